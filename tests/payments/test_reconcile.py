"""`manage.py reconcile`: open attempts are settled by what the portal says, or handed over."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from b24app.session import Person
from payments import reasons
from payments.models import SETTLE_AFTER, STALE_CLAIM, Attempt, State
from payments.pay import pay
from payments.reconcile import HAND_OVER_AFTER, reconcile
from sandbox import seed
from sandbox.app import Sandbox
from sandbox.faults import Fault
from sandbox.world import Portal
from tests.payments import stage

pytestmark = pytest.mark.django_db


@pytest.fixture
def manager(sandbox: Sandbox, alpha: Portal) -> Person:
    return stage.person(sandbox, stage.install(sandbox, alpha), seed.MANAGER)


def later(**more: int) -> datetime:
    return timezone.now() + timedelta(**more)


OVERDUE = SETTLE_AFTER + timedelta(seconds=5)


@pytest.mark.parametrize(("when", "ends"), [("after", State.PAID), ("before", State.REFUSED)])
def test_what_was_left_open_is_settled_by_what_the_portal_says(
    sandbox: Sandbox, manager: Person, when: str, ends: State
) -> None:
    attempt = lost(sandbox, manager, when=when)
    assert reconcile().looked_at == 0
    assert sandbox.log == []

    done = reconcile(now=timezone.now() + OVERDUE)

    attempt.refresh_from_db()
    assert (attempt.state, attempt.due_at) == (ends, None)
    assert done.looked_at == 1
    assert done.paid + done.refused == 1
    assert [call.method for call in sandbox.log] == [stage.KEPT]
    assert attempt.evidence["askedBy"] == "portal"


def lost(sandbox: Sandbox, manager: Person, *, when: str = "after") -> Attempt:
    """A try of which nobody heard again: before Bitrix24 carried it out, or after."""
    offer = stage.offer_of(manager)
    sandbox.faults.add(Fault("drop", method=stage.PAY, when=when))

    def switch_off() -> None:
        for method in (stage.READ_BACK, stage.KEPT):
            sandbox.faults.add(Fault("drop", method=method, times=None))

    sandbox.faults.add(Fault("delay", method=stage.PAY, seconds=0, on_hit=switch_off))
    attempt = pay(manager, offer, pay_system_id=seed.ACME_PAY)
    sandbox.faults.clear()
    sandbox.log.clear()
    assert attempt.state == State.UNKNOWN
    return attempt


def test_a_claim_of_the_dead_is_given_up(sandbox: Sandbox, manager: Person) -> None:
    attempt = lost(sandbox, manager)
    Attempt.objects.update(
        state=State.PAYING, sent_at=None, due_at=attempt.created_at + STALE_CLAIM
    )

    done = reconcile(now=timezone.now() + STALE_CLAIM + timedelta(seconds=1))

    attempt.refresh_from_db()
    assert (attempt.state, attempt.reason) == (State.REFUSED, reasons.ABANDONED)
    assert done.given_up == 1
    assert sandbox.log == []


def test_without_an_answer_it_goes_to_a_person_in_time(sandbox: Sandbox, manager: Person) -> None:
    attempt = lost(sandbox, manager)
    sandbox.faults.add(Fault("html502", method=stage.KEPT, times=None))
    sandbox.faults.add(Fault("html502", method=stage.READ_BACK, times=None))
    now = timezone.now() + OVERDUE
    assert reconcile(now=now).left_open == 1
    attempt.refresh_from_db()
    assert attempt.looks == 1
    assert attempt.handed_over_at is None

    done = reconcile(now=now + HAND_OVER_AFTER)

    assert done.handed_over == 1
    attempt.refresh_from_db()
    assert attempt.handed_over_at == now + HAND_OVER_AFTER
    assert attempt.state == State.UNKNOWN
