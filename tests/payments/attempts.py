"""Writes attempts straight into the database, as many and as old as a test needs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from b24app import models
from payments.models import Attempt, State
from sandbox.world import seed

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def made(portal: models.Portal, **values: Any) -> Attempt:
    """Returns an unsaved attempt: a payment that the portal says the manager has paid."""
    at = values.get("created_at", NOON)
    given = {
        "portal": portal,
        "payment_id": seed.PAYMENT,
        "account_number": "163/1",
        "order_id": 163,
        "owner_type": 2,
        "owner_id": seed.DEAL,
        "pay_system_id": seed.ACME_PAY,
        "pay_system_name": "Acme Pay",
        "bound_pay_system_id": seed.ACME_PAY,
        "sum": Decimal("12500"),
        "currency": "EUR",
        "user_id": seed.MANAGER,
        "state": State.PAID,
        "created_at": at,
        "sent_at": at,
        "settled_at": at + timedelta(seconds=2),
        "evidence": {
            "answer": "true",
            "paid": "Y",
            "datePaid": "2026-11-20T15:00:01+03:00",
            "empPaidId": seed.MANAGER,
            "paySystemId": seed.ACME_PAY,
        },
    }
    return Attempt(**{**given, **values})


def keep(portal: models.Portal, **values: Any) -> Attempt:
    attempt = made(portal, **values)
    attempt.save(force_insert=True)
    return attempt


def handed_over(portal: models.Portal, **values: Any) -> Attempt:
    """Returns an attempt that was sent, never answered, and read in vain for long."""
    given: dict[str, Any] = {
        "state": State.UNKNOWN,
        "reason": "no_answer",
        "settled_at": None,
        "handed_over_at": NOON + timedelta(days=1),
        "looks": 9,
        "evidence": {"answer": "none", "failure": "OutcomeUnknown"},
    }
    return keep(portal, **{**given, **values})
