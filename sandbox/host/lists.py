"""Renders the lists of deals and of invoices."""

from __future__ import annotations

from collections.abc import Sequence

from sandbox.host.card_types import CARD_TYPES
from sandbox.host.payments import money
from sandbox.host.places import row_menu
from sandbox.host.rendering import Html, join, render
from sandbox.host.shell import full_name, page
from sandbox.host.visit import Visit
from sandbox.wire.http import Response
from sandbox.world.world import Item

ROWS = 50


def item_list(visit: Visit, type_id: int) -> Response:
    title = CARD_TYPES[type_id].list_title
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


def _paid_by_item(visit: Visit, items: Sequence[Item]) -> dict[int, tuple[int, int]]:
    """Counts, by item id, the payments and the paid ones among them, in one pass over them all."""
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
        address=CARD_TYPES[item.type_id].path_of(item.id),
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
