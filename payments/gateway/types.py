"""Bitrix24's payments, orders, CRM items and pay systems as frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Generic, TypeVar

T = TypeVar("T")

DEAL = 2
SMART_INVOICE = 31
CONTACT = 3
COMPANY = 4

# Longer texts are cut. Bitrix24's columns are not longer, and this app's are not shorter.
NUMBER_LENGTH = 100
NAME_LENGTH = 255
TITLE_LENGTH = 255
# The type of a CRM item is stored in a column of 31 bits.
LARGEST_TYPE = 2**31 - 1


@dataclass(frozen=True)
class UnreadableRow:
    """The readable part of a row that could not be parsed."""

    id: int | None = None
    name: str = ""  # a payment's number, else a name
    order_id: int | None = None  # of a payment
    is_paid: bool = False  # of a payment: True only if it is surely paid


@dataclass(frozen=True)
class Rows(Generic[T]):
    """The rows of a list."""

    read: tuple[T, ...] = ()  # in the order of the answer
    unreadable: tuple[UnreadableRow, ...] = ()

    def __len__(self) -> int:
        return len(self.read) + len(self.unreadable)

    def may_hide(self, id_: int) -> bool:
        """Returns whether an unreadable row has this id, or has no readable id."""
        return any(row.id in (None, id_) for row in self.unreadable)


@dataclass(frozen=True)
class Owner:
    """The CRM item that an order belongs to: a deal, a new invoice or a smart-process item."""

    type_id: int
    id: int
    title: str = ""

    @classmethod
    def of(cls, type_id: int | None, id_: int | None, title: str = "") -> Owner | None:
        """Returns the owner in two nullable columns of a row; None if one of them is null."""
        return None if type_id is None or id_ is None else cls(type_id, id_, title)

    @property
    def key(self) -> tuple[int, int]:
        return self.type_id, self.id


@dataclass(frozen=True)
class CrmCard:
    """A deal or an invoice with its customer."""

    owner: Owner
    customer: Owner | None  # the company, else the contact; without a title


@dataclass(frozen=True)
class Payment:
    """One payment of an order."""

    id: int
    account_number: str
    sum: Decimal
    currency: str
    paid: bool
    pay_system_id: int
    pay_system_name: str
    # None also in the short rows of a CRM item's payments, as is `date_bill`.
    order_id: int | None = None
    date_bill: datetime | None = None
    # Returning the money resets `paid` only: `date_paid` and `response_at` keep their values.
    date_paid: datetime | None = None
    emp_paid_id: int | None = None
    # When a pay system last reported money; only read when one payment is read by its id.
    response_at: datetime | None = None
    # The names of dates that the portal sent and that cannot be read; these fields are None.
    unread: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Order:
    id: int
    account_number: str
    canceled: bool
    person_type_id: int | None


@dataclass(frozen=True)
class OrderWithPayments:
    order: Order
    payment_ids: frozenset[int]


@dataclass(frozen=True)
class OrderLink:
    """One order belongs to one CRM item. An order may have several items, an item several
    orders."""

    order_id: int
    owner: Owner


@dataclass(frozen=True)
class PaySystem:
    """A payment system of the portal."""

    id: int
    name: str
    active: bool
    registry: str  # the table in which Bitrix24 looks up its payments
    person_type_id: int | None  # the type of buyer; None if it takes all
    action_file: str  # the code of its REST handler, or the name of its built-in handler
    is_cash: bool
    sort: int
