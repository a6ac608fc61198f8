"""The card of an order of the online store."""

from __future__ import annotations

from sandbox.host import crm
from sandbox.host.places import chosen_tab, frame_at, tab_links, tabs_at
from sandbox.host.rendering import render
from sandbox.host.shell import notice, page
from sandbox.host.visit import Visit
from sandbox.wire.http import Response, json_response
from sandbox.world.world import Order

TAB = "CRM_ORDER_DETAIL_TAB"


def card(visit: Visit, order_id: int) -> Response:
    order = _visible(visit, order_id)
    if order is None:
        text = "There is no such order, or you have no permission to see it."
        return notice(visit, "Not found", text, status=404)
    path = f"/shop/orders/details/{order.id}/"
    tabs = tabs_at(visit, TAB)
    at = tabs.get(chosen_tab(visit))
    amount = f"{crm.money(order.price)} {order.currency}"
    if at is None:
        body = render("order_general", number=order.account_number, amount=amount)
    else:
        frame = frame_at(visit, at, code=TAB, item_id=order.id, path=path)
        body = render("card_frame", frame=frame)
    content = render(
        "order_card",
        number=order.account_number,
        amount=amount,
        tabs=tab_links(visit, path, tabs),
        body=body,
        source=f"/_host/order/{order.id}/payments",
    )
    return page(visit, f"Order {order.account_number}", content)


def payments_json(visit: Visit, order_id: int) -> Response:
    order = _visible(visit, order_id)
    if order is None:
        return json_response({}, 404)
    payments = [one for one in visit.portal.payments.values() if one.order_id == order.id]
    return json_response({"payments": [crm.payment_shown(visit, one) for one in payments]})


def _visible(visit: Visit, order_id: int) -> Order | None:
    """An order is shown to whoever may read what it is bound to, and to an administrator."""
    portal = visit.portal
    order = portal.orders.get(order_id)
    if order is None or visit.user.is_admin:
        return order
    items = [portal.items[key] for key in order.bindings if key in portal.items]
    return order if any(portal.may_read(visit.user, item) for item in items) else None
