"""Defines the people of each portal at the start, with their departments and rights."""

from __future__ import annotations

from sandbox.world import ids
from sandbox.world.users import FIELD_SALES, SALES, Level, OrderRights, Role, User


def _same(level: Level) -> OrderRights:
    return OrderRights(level, level, level, level)


def _manager(number: int, name: str, last_name: str, rights: OrderRights) -> User:
    """Returns a manager who sees and changes all deals; `rights` limits them to some orders."""
    return User(number, name, last_name, Role.MANAGER, departments=(SALES,), order_rights=rights)


PEOPLE = (
    User(ids.ADMIN, "Ada", "Admin", Role.PORTAL_ADMIN),
    User(ids.SETTINGS_ADMIN, "Sam", "Settings", Role.CRM_SETTINGS_ADMIN),
    User(ids.MANAGER, "Max", "Manager", Role.MANAGER, departments=(SALES,)),
    User(ids.READER, "Rita", "Reader", Role.READER),
    User(ids.EXTRANET, "Eve", "Extranet", Role.EXTRANET, departments=()),
    User(ids.DISMISSED, "Dan", "Dismissed", Role.DISMISSED),
    User(ids.OWN_MANAGER, "Olga", "Own", Role.MANAGER, sees_all=False, departments=(FIELD_SALES,)),
    _manager(ids.OWN_ORDERS, "Owen", "Orders", _same(Level.OWN)),
    _manager(ids.DEPARTMENT_ORDERS, "Dora", "Department", _same(Level.DEPARTMENT)),
    _manager(ids.ADD_ONLY, "Addie", "Adds", OrderRights(read=Level.ALL, add=Level.ALL)),
    _manager(ids.UPDATE_ONLY, "Uma", "Updates", OrderRights(update=Level.ALL)),
)
