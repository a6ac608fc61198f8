"""Makes attempts without an answer, by a connection that drops."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from django.utils import timezone

from b24app.identity.session import Person
from payments.attempts.pay import pay
from payments.models import SETTLE_AFTER, Attempt, State
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from tests.payments import stage

MARK = "crm.item.payment.pay"
UNDO = "crm.item.payment.unpay"

# Long enough after a call that it is carried out or never will be.
OVERDUE = SETTLE_AFTER + timedelta(seconds=5)


def overdue() -> datetime:
    return timezone.now() + OVERDUE


def calls(sandbox: Sandbox, method: str) -> int:
    return sum(method in call.methods for call in sandbox.log)


def lost(
    sandbox: Sandbox, act: Callable[[], Attempt], *, method: str = stage.PAY, when: str = "after"
) -> Attempt:
    """Loses the answer, before Bitrix24 carried it out or after; nothing can be read back."""
    sandbox.faults.add(Fault("drop", method=method, when=when))
    sandbox.faults.add(Fault("delay", method=method, seconds=0, on_hit=lambda: silence(sandbox)))
    attempt = act()
    sandbox.faults.clear()
    sandbox.log.clear()
    assert attempt.state == State.UNKNOWN
    assert attempt.due_at is not None
    return attempt


def silence(sandbox: Sandbox, *, host: str | None = None) -> None:
    """Makes every read of payments fail from now on, in both lists."""
    for method in (stage.READ_BACK, stage.KEPT):
        sandbox.faults.add(Fault("drop", method=method, times=None, host=host))


def lost_payment(
    sandbox: Sandbox,
    who: Person,
    *,
    deal_id: int = seed.DEAL,
    payment_id: int = seed.PAYMENT,
    when: str = "after",
) -> Attempt:
    offer = stage.offer_of(who, deal_id=deal_id, payment_id=payment_id)
    return lost(sandbox, lambda: pay(who, offer, pay_system_id=offer.pay_system_id), when=when)
