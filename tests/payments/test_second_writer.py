"""Automation and other apps change a payment between any two calls of an attempt.

Nothing is paid twice, and an outcome is only what the portal has at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from b24app.identity.session import Person
from payments import reasons
from payments.attempts.mark_paid import mark
from payments.attempts.pay import pay
from payments.attempts.undo import undo
from payments.models import Attempt, State
from sandbox.server.adapter import SandboxAdapter
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Payment, Portal
from tests.payments import stage

pytestmark = pytest.mark.django_db

# No attempt makes more requests.
MOST_REQUESTS = 6
Change = Callable[[Portal, Payment], None]


def _pays(portal: Portal, payment: Payment) -> None:
    if not payment.paid:
        payment.times_paid += 1
        payment.paid, payment.emp_paid_id = True, seed.ADMIN
        payment.date_paid = datetime.now(UTC).replace(microsecond=0)


def _unpays(portal: Portal, payment: Payment) -> None:
    payment.paid, payment.emp_paid_id, payment.date_paid = False, None, None


def _pays_and_unpays(portal: Portal, payment: Payment) -> None:
    _pays(portal, payment)
    _unpays(portal, payment)


def _raises_the_sum(portal: Portal, payment: Payment) -> None:
    payment.sum += 1


def _changes_the_currency(portal: Portal, payment: Payment) -> None:
    payment.currency = "USD"


def _changes_the_system(portal: Portal, payment: Payment) -> None:
    payment.pay_system_id = seed.ON_DELIVERY


def _deletes(portal: Portal, payment: Payment) -> None:
    portal.payments.pop(payment.id, None)


def _cancels_the_order(portal: Portal, payment: Payment) -> None:
    portal.orders[payment.order_id].canceled = True


CHANGES: tuple[Change, ...] = (
    _pays, _unpays, _pays_and_unpays, _raises_the_sum, _changes_the_currency,
    _changes_the_system, _deletes, _cancels_the_order,
)  # fmt: skip


@contextmanager
def _changed_before(
    request: int, change: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[int]]:
    """Makes the change before the request with this number, from 1; yields the numbers so far."""
    made: list[int] = []
    send = SandboxAdapter.send

    def changed(self: SandboxAdapter, asked: requests.PreparedRequest, **how: Any) -> Any:
        made.append(len(made) + 1)
        if made[-1] == request:
            change()
        return send(self, asked, **how)

    with monkeypatch.context() as patch:
        patch.setattr(SandboxAdapter, "send", changed)
        yield made


def _attempts(kind: str, manager: Person) -> tuple[int, Callable[[], Attempt]]:
    """Returns the payment's id, and the attempt that a button starts."""
    if kind == "mark":
        offer = stage.offer_of(manager, deal_id=seed.CASH_DEAL, payment_id=seed.CASH_PAYMENT)
        return seed.CASH_PAYMENT, lambda: mark(manager, offer)
    offer = stage.offer_of(manager)
    if kind == "undo":
        pay(manager, offer, pay_system_id=seed.ACME_PAY)
        paid = stage.offer_of(manager)
        return seed.PAYMENT, lambda: undo(manager, paid, note="By mistake")
    system = seed.ACME_PAY if kind == "pay" else seed.DEMO_CARD_PAY
    return seed.PAYMENT, lambda: pay(manager, offer, pay_system_id=system)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("request_number", range(1, MOST_REQUESTS + 1))
@pytest.mark.parametrize("kind", ["pay", "pay by another system", "mark", "undo"])
def test_whenever_it_happens(
    sandbox: Sandbox,
    alpha: Portal,
    manager: Person,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    request_number: int,
    change: Change,
) -> None:
    payment_id, attempt_it = _attempts(kind, manager)
    payment = alpha.payments[payment_id]
    shown = (payment.sum, payment.currency)
    paid_before, calls_before = payment.times_paid, stage.sent_payments(sandbox)
    changed: list[int] = []

    def make_change() -> None:
        change(alpha, payment)
        changed.append(payment.times_paid)

    with _changed_before(request_number, make_change, monkeypatch):
        attempt = attempt_it()
    assert stage.sent_payments(sandbox) - calls_before <= 1
    # The other writer may pay as well, and may undo it; the attempt pays once.
    assert payment.times_paid - paid_before <= 1 + (change in (_pays, _pays_and_unpays))
    exists = payment.id in alpha.payments
    if attempt.state == State.PAID:
        assert payment.paid
        assert exists
        is_as_shown = (payment.sum, payment.currency) == shown
        last_read_was_later = not changed or attempt.reason == reasons.PAID_OTHER_SUM
        assert is_as_shown or last_read_was_later
    elif attempt.state == State.UNDONE:
        # The other writer's date is another second than that of the first payment.
        assert not payment.paid or attempt.reason == reasons.PAID_AGAIN
    elif attempt.state == State.REFUSED:
        is_as_before = kind == "undo"
        assert payment.paid == is_as_before or change in (_pays, _unpays, _pays_and_unpays)
    else:
        assert attempt.state == State.UNKNOWN
        assert not exists
    assert Attempt.objects.get(pk=attempt.pk).state == attempt.state
