"""Taken back: one call, only of what the app has paid, and believed only when it is read back."""

from __future__ import annotations

import pytest

from b24app.session import Person
from payments.models import Attempt, Kind, State
from payments.pay import pay
from payments.undo import undo
from sandbox import seed
from sandbox.app import Sandbox
from sandbox.world import Portal
from tests.payments import stage

pytestmark = pytest.mark.django_db


@pytest.fixture
def manager(sandbox: Sandbox, alpha: Portal) -> Person:
    return stage.person(sandbox, stage.install(sandbox, alpha), seed.MANAGER)


def test_what_was_paid_is_undone_and_can_be_paid_again(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    offer = stage.offer_of(manager)
    paid = pay(manager, offer, pay_system_id=seed.ACME_PAY)

    undone = undo(manager, offer, note="  Paid for the\nwrong order ")

    assert (undone.kind, undone.state, undone.reason) == (Kind.UNDO, State.UNDONE, "")
    assert undone.note == "Paid for the wrong order"
    assert not alpha.payments[seed.PAYMENT].paid
    paid.refresh_from_db()
    assert paid.state == State.PAID
    assert list(paid.undoings.all()) == [undone]
    assert pay(manager, offer, pay_system_id=seed.ACME_PAY).state == State.PAID
    assert Attempt.objects.count() == 3
    assert alpha.payments[seed.PAYMENT].times_paid == 2
