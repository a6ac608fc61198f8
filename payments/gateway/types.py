"""What Bitrix24 tells us about payments, as frozen values; its JSON goes no further than here."""

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

# What is kept of a text. Bitrix24's own columns are no longer, nor are ours shorter.
NUMBER_LENGTH = 100
NAME_LENGTH = 255
TITLE_LENGTH = 255
# A type of CRM objects is kept in a column of 31 bits.
LARGEST_TYPE = 2**31 - 1


@dataclass(frozen=True)
class UnreadableRow:
    """A row of a list that could not be read, with what could: its id, its number or name, and of a
    payment its order and whether it is surely paid."""

    id: int | None = None
    name: str = ""
    order_id: int | None = None
    is_paid: bool = False


@dataclass(frozen=True)
class Rows(Generic[T]):
    """The rows of a list answer: those that could be read, in their order, and those that could
    not."""

    read: tuple[T, ...] = ()
    unreadable: tuple[UnreadableRow, ...] = ()

    def __len__(self) -> int:
        return len(self.read) + len(self.unreadable)

    def may_hide(self, id_: int) -> bool:
        """Whether one of the unreadable rows has this id, or may have it."""
        return any(row.id in (None, id_) for row in self.unreadable)


@dataclass(frozen=True)
class Owner:
    """The CRM object an order belongs to: a deal, a new invoice or an item of a smart process."""

    type_id: int
    id: int
    title: str = ""

    @classmethod
    def of(cls, type_id: int | None, id_: int | None, title: str = "") -> Owner | None:
        """As rows of the database have it, in two columns that may be empty."""
        return None if type_id is None or id_ is None else cls(type_id, id_, title)

    @property
    def key(self) -> tuple[int, int]:
        return self.type_id, self.id


@dataclass(frozen=True)
class CrmCard:
    """A deal or an invoice with its customer: the company, else the contact. Neither has a title
    here."""

    owner: Owner
    customer: Owner | None


@dataclass(frozen=True)
class Payment:
    """One payment of an order. The short rows of a CRM object name neither order nor bill date.

    Being paid back takes away `paid` and nothing else: `date_paid` stays as it was, and so does
    `response_at`, when a pay system last reported money, which is read of a payment by its id only.

    `unread` names the dates that the portal sent in a form that cannot be read; they are None, and
    unknown. Paying needs none of them.
    """

    id: int
    account_number: str
    sum: Decimal
    currency: str
    paid: bool
    pay_system_id: int
    pay_system_name: str
    order_id: int | None = None
    date_bill: datetime | None = None
    date_paid: datetime | None = None
    emp_paid_id: int | None = None
    response_at: datetime | None = None
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
class Binding:
    """One order belongs to one CRM object; either side may have several."""

    order_id: int
    owner: Owner


@dataclass(frozen=True)
class PaySystem:
    """A payment system of the portal. `action_file` is its handler: a REST handler's code, or a
    built-in one's name. `registry` says which table its payments are looked up in."""

    id: int
    name: str
    active: bool
    registry: str
    person_type_id: int | None
    action_file: str
    is_cash: bool
    sort: int
