"""Finds attempts that wait for a person's decision: the app could not learn what happened."""

from __future__ import annotations

from django.utils import timezone

from b24app.errors import Missing
from b24app.identity.session import Person
from b24app.models import Portal
from payments.history.filters import IS_WAITING
from payments.history.lines import owner_of
from payments.models import Attempt, AttemptQuerySet
from payments.offer import Offer

# A person reads and decides each of them; the next ones follow once these are decided.
MOST_SHOWN = 20


def waiting_in(portal: Portal) -> AttemptQuerySet:
    """Returns the portal's attempts that wait for a decision, newest first."""
    return Attempt.objects.filter(IS_WAITING, portal=portal).order_by("-created_at", "-pk")


def find_waiting(portal: Portal, attempt_id: int) -> Attempt:
    """Returns an attempt that waits, or that waited and was settled a moment ago.

    Raises Missing if this portal has no such attempt.
    """
    attempt = Attempt.objects.filter(portal=portal, pk=attempt_id).first()
    if attempt is None or attempt.handed_over_at is None:
        raise Missing("no attempt that was handed over")
    return attempt


def offer_for(person: Person, attempt: Attempt) -> Offer:
    """Returns an offer for this person to check the attempt's payment, not to pay it."""
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
