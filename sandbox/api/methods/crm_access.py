"""Checks rights to orders as the CRM's controllers do.

`crm/lib/controller/item/payment.php`, `EntityPermissions/Item.php`: READ and UPDATE of the order.
"""

from __future__ import annotations

from sandbox.api.methods.refusals import FORBIDDEN
from sandbox.api.registry import Call, RestError
from sandbox.world.users import Level
from sandbox.world.world import Order, Role


def check_intranet(call: Call) -> None:
    """Refuses extranet users before any other check."""
    if call.user.role is Role.EXTRANET:
        raise RestError(
            "allowed_only_intranet_user", "Action is allowed only to intranet users", FORBIDDEN
        )


def denied(call: Call) -> RestError:
    """The newest build sends a code; older ones, and the documentation, send 0."""
    if call.portal.older_build:
        return RestError(0, "Insufficient permissions")
    return RestError("ACCESS_DENIED", "Access denied")


def check_order_read(call: Call, order: Order) -> None:
    """`item()->canRead(Order, id)`: checks the order itself, not the items it is bound to."""
    if not _reaches(call, call.user.orders.read, order):
        raise denied(call)


def check_order_update(call: Call, order: Order) -> None:
    """`item()->canUpdate(Order, id)`: checks the right to read the order first."""
    check_order_read(call, order)
    if not _reaches(call, call.user.orders.update, order):
        raise denied(call)


def _reaches(call: Call, level: Level, order: Order) -> bool:
    if level is Level.OWN:
        return order.responsible_id == call.user.id
    return level is Level.ALL
