"""Parses the rows of payments, orders, links and pay systems into typed values.

Raises OutcomeUnknown for a row that cannot be read.
"""

from __future__ import annotations

from datetime import datetime

from b24app.errors import OutcomeUnknown
from b24app.untrusted.numbers import whole
from payments.gateway import parsing
from payments.gateway.types import (
    LARGEST_TYPE,
    NAME_LENGTH,
    NUMBER_LENGTH,
    Order,
    OrderLink,
    Owner,
    Payment,
    PaySystem,
    Rows,
    UnreadableRow,
)

# The server's names of a payment's dates.
_DATES = {"date_bill": "dateBill", "date_paid": "datePaid", "response_at": "psResponseDate"}


def payments(result: object, *, key: str | None = None) -> Rows[Payment]:
    return parsing.rows(result, payment, key=key, parse_unreadable=_unreadable_payment)


def pay_systems(result: object) -> Rows[PaySystem]:
    return parsing.rows(result, _pay_system, parse_unreadable=_unreadable_system)


def payment(row: parsing.Row) -> Payment:
    dates, unread = _dates(row)
    return Payment(
        id=parsing.integer(row.get("id")),
        account_number=parsing.text(row.get("accountNumber"), NUMBER_LENGTH),
        sum=parsing.money(row.get("sum")),
        currency=parsing.currency(row.get("currency")),
        paid=parsing.flag(row.get("paid")),
        pay_system_id=parsing.identifier(row.get("paySystemId")) or 0,
        pay_system_name=parsing.text(row.get("paySystemName"), NAME_LENGTH),
        order_id=parsing.identifier(row.get("orderId")),
        date_bill=dates["date_bill"],
        date_paid=dates["date_paid"],
        emp_paid_id=parsing.identifier(row.get("empPaidId")),
        response_at=dates["response_at"],
        unread=unread,
    )


def _unreadable_payment(row: parsing.Row) -> UnreadableRow:
    """Returns the readable part of a payment that cannot be parsed."""
    return UnreadableRow(
        id=whole(row.get("id"), least=1),
        name=parsing.text_if_readable(row.get("accountNumber"), NUMBER_LENGTH),
        order_id=whole(row.get("orderId"), least=1),
        is_paid=row.get("paid") == "Y",
    )


def _dates(row: parsing.Row) -> tuple[dict[str, datetime | None], frozenset[str]]:
    """Returns the dates by the field names of Payment, and the names of unreadable dates."""
    found: dict[str, datetime | None] = {}
    unread: set[str] = set()
    for name, servers_name in _DATES.items():
        try:
            found[name] = parsing.moment(row.get(servers_name))
        except OutcomeUnknown:
            found[name] = None
            unread.add(name)
    return found, frozenset(unread)


def order(row: parsing.Row) -> Order:
    return Order(
        id=parsing.integer(row.get("id")),
        account_number=parsing.text(row.get("accountNumber"), NUMBER_LENGTH),
        canceled=parsing.flag(row.get("canceled")),
        person_type_id=parsing.identifier(row.get("personTypeId")),
    )


def order_link(row: parsing.Row) -> OrderLink:
    type_id = parsing.integer(row.get("ownerTypeId"), most=LARGEST_TYPE)
    return OrderLink(
        parsing.integer(row.get("orderId")), Owner(type_id, parsing.integer(row.get("ownerId")))
    )


def _pay_system(row: parsing.Row) -> PaySystem:
    return PaySystem(
        id=parsing.integer(row.get("ID")),
        name=parsing.text(row.get("NAME"), NAME_LENGTH),
        active=parsing.flag(row.get("ACTIVE")),
        registry=parsing.text(row.get("ENTITY_REGISTRY_TYPE"), NAME_LENGTH),
        person_type_id=parsing.identifier(row.get("PERSON_TYPE_ID")),
        action_file=parsing.text(row.get("ACTION_FILE"), NAME_LENGTH),
        is_cash=row.get("IS_CASH") == "Y",
        sort=parsing.sort_order(row.get("SORT")),
    )


def _unreadable_system(row: parsing.Row) -> UnreadableRow:
    name = parsing.text_if_readable(row.get("NAME"), NAME_LENGTH)
    return UnreadableRow(whole(row.get("ID"), least=1), name)
