"""Marks one payment as paid by hand, for pay systems that take no payments from an app."""

from __future__ import annotations

from b24app.identity.session import Caller
from payments.attempts.execute import run_attempt
from payments.attempts.prepare import ExtraRule
from payments.models import Attempt, Kind
from payments.offer import Offer


def mark(person: Caller, offer: Offer, *, extra_rule: ExtraRule | None = None) -> Attempt:
    """Marks the offered payment as paid; waits for the portal. No money moves: it came in another
    way, such as cash or a bank transfer.

    The person needs the right to orders and to read the deal or invoice, which the app checks, and
    the right to read and change this order, which Bitrix24 checks. Returns and raises as
    `run_attempt` does; `extra_rule` is as in `pay`.
    """
    return run_attempt(
        person,
        offer,
        kind=Kind.MARK,
        pay_system_id=offer.pay_system_id,
        extra_rule=extra_rule,
    )
