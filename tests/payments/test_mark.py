"""Marked as paid by hand: one call that moves no money, believed only when it is read back."""

from __future__ import annotations

import pytest
from django.core.cache import cache

from b24app.session import Person
from payments import reasons
from payments.mark import mark
from payments.models import Attempt, Kind, State
from payments.offer import Offer
from sandbox import seed
from sandbox.app import Sandbox
from sandbox.world import Portal
from tests.payments import stage

pytestmark = pytest.mark.django_db

MARK = "crm.item.payment.pay"


@pytest.fixture
def manager(sandbox: Sandbox, alpha: Portal) -> Person:
    return stage.person(sandbox, stage.install(sandbox, alpha), seed.MANAGER)


def marks_sent(sandbox: Sandbox) -> int:
    return sum(MARK in call.methods for call in sandbox.log)


@pytest.mark.parametrize(
    ("deal_id", "payment_id"),
    [
        (seed.CASH_DEAL, seed.CASH_PAYMENT),
        (seed.BILL_DEAL, seed.BILL_PAYMENT),
        (seed.ACQUIRER_DEAL, seed.ACQUIRER_PAYMENT),
        (seed.BUILT_IN_DEAL, seed.ON_DELIVERY_PAYMENT),
        (seed.BUILT_IN_DEAL, seed.DOCUMENT_PAYMENT),
    ],
)
def test_what_cannot_be_paid_is_marked_once(
    sandbox: Sandbox, alpha: Portal, manager: Person, deal_id: int, payment_id: int
) -> None:
    offer = stage.offer_of(manager, deal_id=deal_id, payment_id=payment_id)

    attempt = mark(manager, offer)

    assert (attempt.kind, attempt.state, attempt.reason) == (Kind.MARK, State.PAID, "")
    payment = alpha.payments[payment_id]
    assert (payment.paid, payment.times_paid, payment.emp_paid_id) == (True, 1, seed.MANAGER)
    assert marks_sent(sandbox) == 1
    assert stage.sent_payments(sandbox) == 0
    assert Attempt.objects.get().state == State.PAID


def test_what_can_be_paid_is_not_marked(sandbox: Sandbox, alpha: Portal, manager: Person) -> None:
    attempt = mark(manager, stage.offer_of(manager))

    assert (attempt.state, attempt.reason) == (State.REFUSED, reasons.CAN_BE_PAID)
    assert "Press Pay" in str(attempt.sentences[0])
    assert marks_sent(sandbox) == 0
    assert not alpha.payments[seed.PAYMENT].paid


def test_where_the_pay_systems_are_not_known_nothing_is_marked(
    sandbox: Sandbox, manager: Person
) -> None:
    offer = cash(manager)
    stage.lose_portal_token(manager.portal)
    cache.clear()

    attempt = mark(manager, offer)

    assert (attempt.state, attempt.reason) == (State.REFUSED, reasons.SYSTEMS_UNKNOWN)
    assert marks_sent(sandbox) == 0


def cash(who: Person) -> Offer:
    return stage.offer_of(who, deal_id=seed.CASH_DEAL, payment_id=seed.CASH_PAYMENT)
