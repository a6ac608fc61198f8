"""Presses Pay as a screen does, and asserts what came of it."""

from __future__ import annotations

from b24app.identity.session import Person
from payments.attempts.messages import messages_of
from payments.attempts.pay import pay
from payments.models import Attempt, State
from payments.offer import Offer
from sandbox.server.app import Sandbox
from sandbox.world import seed
from tests.payments import stage


def press(who: Person, offer: Offer | None = None, system: int = seed.ACME_PAY) -> Attempt:
    """Pays by what the deal's tab shows this person now, or showed before."""
    return pay(who, offer or stage.offer_of(who), pay_system_id=system)


def refusal(
    sandbox: Sandbox, who: Person, offer: Offer | None = None, system: int = seed.ACME_PAY
) -> str:
    """Presses Pay; asserts that nothing is sent and the person is told why. Returns the reason."""
    told = stage.sent_payments(sandbox)
    attempt = press(who, offer, system)
    assert (attempt.state, attempt.sent_at) == (State.REFUSED, None)
    assert messages_of(attempt)
    assert stage.sent_payments(sandbox) == told
    return attempt.reason
