"""Stores in an attempt how its payment was read, and compares the payment's dates with it later."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from payments.gateway import Payment
from payments.models import Attempt


def as_evidence(payment: Payment) -> dict[str, Any]:
    """Returns the payment's values as they were read, and in which list."""
    return {
        "paid": "Y" if payment.paid else "N",
        "datePaid": _date_paid(payment),
        "empPaidId": payment.emp_paid_id,
        "paySystemId": payment.pay_system_id,
        "sum": str(payment.sum),
        "currency": payment.currency,
        # The list of this date. "" if the date cannot be read: it is not compared then.
        "readIn": "" if "date_paid" in payment.unread else _list_of(payment),
    }


def store_before(attempt: Attempt, rows: Iterable[Payment]) -> None:
    """Stores the payment's order and its dates in the attempt, before the payment is changed.

    Bitrix24 keeps the date when a payment is set back to unpaid. So a different date shows later
    that the payment was paid in between.
    """
    rows = list(rows)
    order_ids = [row.order_id for row in rows if row.order_id is not None]
    # The rows of a deal lack the order; the row that the portal's token reads has it.
    attempt.order_id = order_ids[0] if order_ids else attempt.order_id
    attempt.evidence["before"] = {
        _list_of(row): _date_paid(row) for row in rows if "date_paid" not in row.unread
    }


def is_dated_otherwise(payment: Payment, dates: dict[str, str | None]) -> bool:
    """Returns whether the payment was paid at another time than `dates` has for its list.

    Dates of different lists are never compared: both may write the same time differently.
    """
    list_ = _list_of(payment)
    if payment.date_paid is None or list_ not in dates:
        return False
    before = dates[list_]
    return before is None or payment.date_paid != datetime.fromisoformat(before)


def _date_paid(payment: Payment) -> str | None:
    return payment.date_paid.isoformat() if payment.date_paid else None


def _list_of(payment: Payment) -> str:
    # The short rows of a CRM item's payments have no order.
    return "object" if payment.order_id is None else "order"
