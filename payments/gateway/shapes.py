"""What Bitrix24 tells us about payments, as frozen values; its JSON goes no further than here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

DEAL = 2
SMART_INVOICE = 31
CONTACT = 3
COMPANY = 4


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
