"""Pays one payment through a pay system that takes payments from an app."""

from __future__ import annotations

from b24app.identity.session import Caller
from payments.attempts.execute import run_attempt
from payments.attempts.prepare import ExtraRule
from payments.attempts.settle import check
from payments.models import Attempt, Kind
from payments.offer import Offer

__all__ = ["check", "pay"]


def pay(
    person: Caller, offer: Offer, *, pay_system_id: int, extra_rule: ExtraRule | None = None
) -> Attempt:
    """Pays the offered payment through this pay system; waits for the portal.

    Returns a paid, refused or open attempt; returns and raises as `run_attempt` does. `extra_rule`
    is one more check by the portal's rules, and raises Stopped.
    """
    return run_attempt(
        person, offer, kind=Kind.PAY, pay_system_id=pay_system_id, extra_rule=extra_rule
    )
