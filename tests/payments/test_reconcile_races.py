"""Many processes reconcile, pay and undo at once: one of them reads each attempt."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from b24app.identity.session import Person
from payments import reasons
from payments.attempts.pay import pay
from payments.attempts.reconcile import LEASE, Reconciled, reconcile
from payments.attempts.transitions import claim, leave_open, mark_sent
from payments.attempts.undo import undo
from payments.models import STALE_CLAIM, Attempt, Entry, Kind, State
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.payments import stage
from tests.payments.unconfirmed import UNDO, calls, lost_payment, overdue

pytestmark = pytest.mark.django_db(transaction=True)

ROWS = 12


def test_of_many_each_attempt_is_looked_at_by_one(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    ids = seed.fill(alpha, ROWS)
    attempt = lost_payment(sandbox, manager)
    for payment_id in ids:
        attempt.pk, attempt.payment_id = None, payment_id
        attempt.save(force_insert=True)
    start = threading.Barrier(4)

    def work() -> Reconciled:
        start.wait(10)
        return reconcile(now=overdue())

    passes = stage.together(*[work] * 4)

    assert sum(done.looked_at for done in passes) == ROWS + 1
    assert sum(done.failed for done in passes) == 0
    assert calls(sandbox, stage.KEPT) == ROWS + 1
    assert not Attempt.objects.still_open().exists()


def test_what_one_is_looking_at_no_other_takes_until_its_lease_ends(
    sandbox: Sandbox, manager: Person
) -> None:
    lost_payment(sandbox, manager)
    reached = threading.Event()
    held = sandbox.faults.add(Fault("hold", method=stage.KEPT, on_hit=reached))

    def second() -> Reconciled:
        try:
            assert reached.wait(10)
            return reconcile(now=overdue())
        finally:
            held.release.set()

    one, two = stage.together(lambda: reconcile(now=overdue()), second)

    assert (one.paid, two.looked_at) == (1, 0)


def test_what_a_dead_process_was_looking_at_is_due_when_its_lease_ends(
    sandbox: Sandbox, manager: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """Like SIGKILL, it lets nothing be written."""

    def die() -> None:
        raise Killed

    lost_payment(sandbox, manager)
    now = overdue()
    with monkeypatch.context() as patched:
        patched.setattr(
            "payments.attempts.reconcile.settle_by_reading", lambda *args, **more: die()
        )
        with pytest.raises(Killed):
            reconcile(now=now)
    assert reconcile(now=now + LEASE - timedelta(seconds=1)).looked_at == 0
    assert reconcile(now=now + LEASE).paid == 1


def test_a_claim_given_up_while_it_reads_sends_nothing(sandbox: Sandbox, manager: Person) -> None:
    offer = stage.offer_of(manager)
    late = timezone.now() + STALE_CLAIM + timedelta(minutes=1)
    sandbox.faults.add(
        Fault(
            "delay", method="crm.item.payment.update", seconds=0, on_hit=lambda: reconcile(now=late)
        )
    )
    attempt = pay(manager, offer, pay_system_id=seed.DEMO_CARD_PAY)
    assert attempt.state == State.REFUSED
    assert stage.sent_payments(sandbox) == 0


def test_reconciling_leaves_a_payment_under_way_to_its_payer(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    offer = stage.offer_of(manager)
    looked = []
    sandbox.faults.add(
        Fault("delay", method=stage.PAY, seconds=0, on_hit=lambda: looked.append(reconcile()))
    )
    assert pay(manager, offer, pay_system_id=seed.ACME_PAY).state == State.PAID
    assert [done.looked_at for done in looked] == [0]


def test_what_the_payer_wrote_down_meanwhile_is_not_overwritten(
    sandbox: Sandbox, manager: Person
) -> None:
    """Back from the portal at last, while reconciling looks in vain."""
    attempt, _ = claim(manager, stage.offer_of(manager), kind=Kind.PAY, pay_system_id=seed.ACME_PAY)
    assert mark_sent(attempt)
    payers = Attempt.objects.get()

    def comes_back() -> None:
        leave_open(payers, reason=reasons.READ_BACK_FAILED, evidence={"answer": "true"})

    sandbox.faults.add(Fault("drop", method=stage.KEPT, on_hit=comes_back))
    sandbox.faults.add(Fault("drop", method=stage.KEPT, times=None))
    sandbox.faults.add(Fault("drop", method=stage.READ_BACK, times=None))

    assert reconcile(now=overdue()).left_open == 1

    stored = Attempt.objects.get()
    assert (stored.state, stored.reason) == (State.UNKNOWN, reasons.READ_BACK_FAILED)
    assert stored.evidence["answer"] == "true"
    assert [entry.event for entry in Entry.objects.all()] == ["unknown"]


@pytest.mark.parametrize("method", [stage.KEPT, UNDO], ids=["while read", "while sent"])
def test_paying_and_undoing_at_once_is_one_after_the_other(
    sandbox: Sandbox, alpha: Portal, manager: Person, method: str
) -> None:
    offer = stage.offer_of(manager)
    paid = pay(manager, offer, pay_system_id=seed.ACME_PAY)
    reached = threading.Event()
    held = sandbox.faults.add(Fault("hold", method=method, on_hit=reached))
    sandbox.log.clear()

    def meanwhile(act: Callable[[], Attempt]) -> Callable[[], Attempt]:
        def task() -> Attempt:
            try:
                assert reached.wait(10)
                return act()
            finally:
                held.release.set()

        return task

    undone, joined = stage.together(
        lambda: undo(manager, offer, note="Wrong order"),
        meanwhile(lambda: pay(manager, offer, pay_system_id=seed.ACME_PAY)),
    )

    assert (undone.kind, undone.state) == (Kind.UNDO, State.UNDONE)
    assert (joined.pk, joined.kind) == (undone.pk, Kind.UNDO)
    assert calls(sandbox, UNDO) == 1
    assert stage.sent_payments(sandbox) == 0
    assert alpha.payments[seed.PAYMENT].times_paid == 1
    assert [attempt.pk for attempt in Attempt.objects.order_by("pk")] == [paid.pk, undone.pk]


def test_two_undoings_at_once_are_one(sandbox: Sandbox, alpha: Portal, manager: Person) -> None:
    offer = stage.offer_of(manager)
    pay(manager, offer, pay_system_id=seed.ACME_PAY)
    start = threading.Barrier(4)

    def press() -> Attempt:
        start.wait(10)
        return undo(manager, offer, note="Wrong order")

    stage.together(*[press] * 4)

    assert calls(sandbox, UNDO) == 1
    assert Attempt.objects.filter(kind=Kind.UNDO, state=State.UNDONE).count() == 1
    assert not alpha.payments[seed.PAYMENT].paid
