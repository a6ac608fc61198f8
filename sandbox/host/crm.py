"""The CRM's pages: lists of deals and invoices, their cards, and a card's payments as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sandbox.host.places import Bound, chosen_tab, frame_at, row_menu, tab_links, tabs_at
from sandbox.host.rendering import Html, join, render
from sandbox.host.shell import full_name, notice, page
from sandbox.host.visit import Visit
from sandbox.wire.http import Response, json_response
from sandbox.world.world import DEAL, SMART_INVOICE, Item, Payment

ROWS = 50
COMMENTS = 20
_PATHS = {DEAL: "/crm/deal/details/{}/", SMART_INVOICE: "/crm/type/31/details/{}/"}
_LIST_TITLES = {DEAL: "Deals", SMART_INVOICE: "Invoices"}
# The invoice's tab has a code of its own; CRM_DYNAMIC_31_DETAIL_TAB does not exist.
_PLACEMENTS = {DEAL: "CRM_DEAL_DETAIL_TAB", SMART_INVOICE: "CRM_SMART_INVOICE_DETAIL_TAB"}


def item_list(visit: Visit, type_id: int) -> Response:
    title = _LIST_TITLES[type_id]
    items = [
        item
        for item in visit.portal.items.values()
        if item.type_id == type_id and visit.portal.may_read(visit.user, item)
    ]
    number = str(visit.request.query.get("page", "1"))
    current = max(int(number), 1) if number.isdecimal() else 1
    shown = items[(current - 1) * ROWS : current * ROWS]
    paid = _paid_by_item(visit, shown)
    content = render(
        "item_list",
        title=title,
        count=len(items),
        rows=join(_row(visit, item, paid[item.id]) for item in shown),
        pager=_pager(current, -(-len(items) // ROWS)),
    )
    return page(visit, title, content)


def card(visit: Visit, type_id: int, item_id: int) -> Response:
    item = visit.portal.items.get((type_id, item_id))
    if item is None:
        return notice(visit, "Not found", "There is no such item in the CRM.", status=404)
    if not visit.portal.may_read(visit.user, item):
        text = "You have no permission to see this item. Ask your CRM administrator."
        return notice(visit, "Access denied", text, status=403)
    tabs = tabs_at(visit, _PLACEMENTS[type_id])
    path = _PATHS[type_id].format(item_id)
    content = render(
        "card",
        title=item.title,
        number=item.id,
        kind="Deal" if type_id == DEAL else "Invoice",
        tabs=tab_links(visit, path, tabs),
        body=_tab_body(visit, item, path, tabs.get(chosen_tab(visit))),
        source=f"/_host/payments?type={type_id}&id={item_id}",
        timeline=_timeline(visit, item),
    )
    return page(visit, item.title, content)


def payments_json(visit: Visit) -> Response:
    """The payments of one item as the portal has them this moment."""
    query = visit.request.query
    try:
        key = (int(query["type"]), int(query["id"]))
    except (KeyError, TypeError, ValueError):
        return json_response({}, 400)
    item = visit.portal.items.get(key)
    if item is None or not visit.portal.may_read(visit.user, item):
        return json_response({}, 404)
    payments = visit.portal.payments_of(*key)
    return json_response({"payments": [payment_shown(visit, payment) for payment in payments]})


def money(amount: Decimal) -> str:
    """Two digits after the point, or as many as the sum has."""
    digits = amount.normalize().as_tuple().exponent
    places = max(2, -digits if isinstance(digits, int) else 2)
    return f"{amount:,.{places}f}"


def payment_shown(visit: Visit, payment: Payment) -> dict[str, Any]:
    """As the list below a card has it."""
    system = visit.portal.pay_systems.get(payment.pay_system_id)
    payer = visit.portal.users.get(payment.emp_paid_id or 0)
    date_paid = payment.date_paid.strftime("%d %b %Y %H:%M") if payment.date_paid else ""
    return {
        "id": payment.id,
        "account_number": payment.account_number,
        "sum": money(payment.sum),
        "currency": payment.currency,
        "pay_system": system.name if system else "",
        "paid": payment.paid,
        "paid_by": full_name(payer) if payer and payment.paid else "",
        "date_paid": date_paid,
        "times_paid": payment.times_paid,
    }


def _tab_body(visit: Visit, item: Item, path: str, tab: Bound | None) -> Html:
    if tab is None:
        responsible = visit.portal.users[item.responsible_id]
        return render(
            "fields",
            amount=f"{money(item.opportunity)} {item.currency}",
            responsible=full_name(responsible),
            title=item.title,
            number=item.id,
        )
    code = _PLACEMENTS[item.type_id]
    frame = frame_at(visit, tab, code=code, item_id=item.id, path=path)
    return render("card_frame", frame=frame)


def _timeline(visit: Visit, item: Item) -> Html:
    """The newest comments, those of before scrolled out of sight."""
    owner = (item.type_id, item.id)
    found = [comment for comment in visit.portal.comments if comment.owner == owner]
    return join(
        render(
            "comment",
            author=full_name(visit.portal.users[comment.author_id]),
            created=comment.created.strftime("%d %b %Y %H:%M"),
            text=comment.text,
        )
        for comment in reversed(found[-COMMENTS:])
    ) or render("no_comment")


def _paid_by_item(visit: Visit, items: Sequence[Item]) -> dict[int, tuple[int, int]]:
    """How many payments each item has, and how many of them are paid; one pass over them all."""
    keys = {(item.type_id, item.id) for item in items}
    of_order = {
        order.id: [key for key in order.bindings if key in keys]
        for order in visit.portal.orders.values()
    }
    counts = {item.id: (0, 0) for item in items}
    for payment in visit.portal.payments.values():
        for _, item_id in of_order[payment.order_id]:
            every, paid = counts[item_id]
            counts[item_id] = (every + 1, paid + payment.paid)
    return counts


def _row(visit: Visit, item: Item, counts: tuple[int, int]) -> Html:
    every, paid = counts
    state = f"{paid} of {every} paid" if every else "No payments"
    return render(
        "item_row",
        number=item.id,
        address=_PATHS[item.type_id].format(item.id),
        title=item.title,
        amount=money(item.opportunity),
        currency=item.currency,
        responsible=full_name(visit.portal.users[item.responsible_id]),
        pill="pill success" if every and paid == every else "pill",
        state=state,
        menu=row_menu(visit, item.type_id, item.id),
    )


def _pager(current: int, last: int) -> Html:
    links = []
    if current > 1:
        links.append(_page_link(current - 1, "Previous"))
    if current < last:
        links.append(_page_link(current + 1, "Next"))
    return join(links)


def _page_link(number: int, text: str) -> Html:
    return render("link", address=f"?page={number}", text=text, current=Html(""))
