"""Defines a portal's people, and the rights that their CRM role gives them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """A person's role on a portal; their rights follow from it."""

    PORTAL_ADMIN = "portal admin"
    CRM_SETTINGS_ADMIN = "CRM settings admin"  # CONFIG/WRITE, thereby shop admin
    MANAGER = "manager"  # may add and update orders
    READER = "manager without order rights"
    EXTRANET = "extranet"
    DISMISSED = "dismissed"


class Level(StrEnum):
    """The scope of a right to orders; the letters are the server's own."""

    NONE = ""
    OWN = "A"  # the orders this person is responsible for
    DEPARTMENT = "D"  # also those of people in the same department
    SUB_DEPARTMENTS = "F"  # also those of people in the departments below
    OPEN = "O"  # also those open to all: no order is, so it reaches no more than F
    ALL = "X"


@dataclass(frozen=True)
class OrderRights:
    """The entity ORDER in a CRM role. The server calls `update` WRITE."""

    read: Level = Level.NONE
    add: Level = Level.NONE
    update: Level = Level.NONE
    delete: Level = Level.NONE  # no method here asks for it: a payment is deleted by `update`


# The departments of a portal, each below the one before it.
HEAD_OFFICE, SALES, FIELD_SALES = 1, 2, 3

_EVERYTHING = OrderRights(Level.ALL, Level.ALL, Level.ALL, Level.ALL)
_RIGHTS_OF_ROLE = {
    Role.PORTAL_ADMIN: _EVERYTHING,
    Role.CRM_SETTINGS_ADMIN: _EVERYTHING,
    Role.MANAGER: _EVERYTHING,
    Role.READER: OrderRights(read=Level.ALL),
    Role.EXTRANET: OrderRights(),
    Role.DISMISSED: OrderRights(),
}
_CHANGE_ITEMS = frozenset({Role.PORTAL_ADMIN, Role.CRM_SETTINGS_ADMIN, Role.MANAGER})


@dataclass
class User:
    id: int
    name: str
    last_name: str
    role: Role
    sees_all: bool = True  # otherwise only the items this person is responsible for
    departments: tuple[int, ...] = (HEAD_OFFICE,)
    # None: the role's rights. Portal admins may do everything, even if this says otherwise.
    order_rights: OrderRights | None = None
    # Whether this person may change the deals and invoices that they may read; None: by role.
    changes_items: bool | None = None
    time_zone: str = ""  # an IANA name; empty where the browser decides
    pays_old_invoices: bool = True  # the right to change invoices of the old kind
    reads_sale: bool = True  # False: the shop group right D, which some portals give
    is_system: bool = False  # in place of a dismissed installer; user.get does not return it

    @property
    def is_admin(self) -> bool:
        return self.role is Role.PORTAL_ADMIN

    @property
    def may_configure_crm(self) -> bool:
        return self.role in (Role.PORTAL_ADMIN, Role.CRM_SETTINGS_ADMIN)

    @property
    def orders(self) -> OrderRights:
        if self.is_admin or self.order_rights is None:
            return _RIGHTS_OF_ROLE[self.role]
        return self.order_rights

    @property
    def may_edit_orders(self) -> bool:
        """Whether this person may add or update any order; no particular order is checked."""
        return bool(self.orders.add or self.orders.update)

    @property
    def may_change_items(self) -> bool:
        if self.is_admin or self.changes_items is None:
            return self.role in _CHANGE_ITEMS
        return self.changes_items

    @property
    def may_read_sale(self) -> bool:
        """Whether the shop group right is above D: normally true for every CRM role."""
        return self.reads_sale and self.role not in (Role.EXTRANET, Role.DISMISSED)
