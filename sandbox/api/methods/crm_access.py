"""Checks rights to orders as the CRM's controllers do.

`crm/lib/controller/item/payment.php`, `EntityPermissions/Item.php`: READ and UPDATE of the order.
"""

from __future__ import annotations

from sandbox.api.methods.refusals import FORBIDDEN
from sandbox.api.registry import Call, RestError
from sandbox.world.users import Level
from sandbox.world.world import Order, Portal, Role


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
    """Returns whether the level includes this order, which depends on its responsible person."""
    responsible = call.portal.users.get(order.responsible_id)
    if level in (Level.NONE, Level.ALL) or responsible is None:
        return level is Level.ALL
    if responsible.id == call.user.id:
        return True
    if level is Level.OWN:
        return False
    departments = set(call.user.departments)
    if level in (Level.SUB_DEPARTMENTS, Level.OPEN):
        departments = _with_those_below(call.portal, departments)
    return not departments.isdisjoint(responsible.departments)


def _with_those_below(portal: Portal, departments: set[int]) -> set[int]:
    reached: set[int] = set()
    while departments:
        reached |= departments
        departments = {
            department for department, parent in portal.departments.items() if parent in departments
        }
    return reached
