"""Rights on CRM objects and on the orders bound to them."""

from __future__ import annotations

from sandbox.methods.refusals import FORBIDDEN
from sandbox.registry import Call, RestError
from sandbox.world import Item, Order, Role


def check_intranet(call: Call) -> None:
    """Extranet users are turned away before anything is looked at."""
    if call.user.role is Role.EXTRANET:
        raise RestError(
            "allowed_only_intranet_user", "Action is allowed only to intranet users", FORBIDDEN
        )


def denied(call: Call) -> RestError:
    """The newest build has a code for it; older ones, and the documentation, a bare zero."""
    if call.portal.older_build:
        return RestError(0, "Insufficient permissions")
    return RestError("ACCESS_DENIED", "Access denied")


def check_order_read(call: Call, order: Order) -> None:
    item = _owner(call, order)
    allowed = call.user.may_read_sale if item is None else call.portal.may_read(call.user, item)
    if not allowed:
        raise denied(call)


def check_order_update(call: Call, order: Order) -> None:
    item = _owner(call, order)
    allowed = call.user.may_edit_orders if item is None else call.portal.may_update(call.user, item)
    if not allowed:
        raise denied(call)


def _owner(call: Call, order: Order) -> Item | None:
    """The object whose rights count for an order. The older build asks for rights on orders only,
    and so does every build for an order outside the CRM."""
    if call.portal.older_build or not order.bindings:
        return None
    return call.portal.items.get(order.bindings[0])
