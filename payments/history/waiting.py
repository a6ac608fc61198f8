"""What waits for a decision: attempts that looking at them for long has not settled."""

from __future__ import annotations

from django.utils import timezone

from b24app.errors import Missing
from b24app.identity.session import Person
from b24app.models import Portal
from payments.history.filters import IS_WAITING
from payments.history.lines import owner_of
from payments.models import Attempt, AttemptQuerySet
from payments.offer import Offer

# Each is read and decided by a person; the next ones come up as these are.
MOST_SHOWN = 20


def waiting_in(portal: Portal) -> AttemptQuerySet:
    """Newest first."""
    return Attempt.objects.filter(IS_WAITING, portal=portal).order_by("-created_at", "-pk")


def find_waiting(portal: Portal, attempt_id: int) -> Attempt:
    """Raises Missing where this portal has no such attempt; one that was settled a moment ago is
    found, as it is now."""
    attempt = Attempt.objects.filter(portal=portal, pk=attempt_id).first()
    if attempt is None or attempt.handed_over_at is None:
        raise Missing("no attempt that was handed over")
    return attempt


def offer_for(person: Person, attempt: Attempt) -> Offer:
    """What was tried, as an offer to whoever looks at it now; to look, not to pay."""
    return Offer(
        portal_id=person.portal.pk,
        user_id=person.user_id,
        payment_id=attempt.payment_id,
        account_number=attempt.account_number,
        order_id=attempt.order_id,
        owner=owner_of(attempt),
        sum=attempt.sum,
        currency=attempt.currency,
        pay_system_id=attempt.bound_pay_system_id,
        pay_system_name=attempt.pay_system_name,
        made_at=timezone.now(),
    )
