"""A slow portal in background work: events, attempts in doubt and comments."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from django.utils import timezone

from b24app import models
from b24app.events import queue
from b24app.models import EventReceipt
from b24app.signals import payment_saved
from b24app.work import due_rows
from b24app.work.due_rows import PortalTurns
from payments import timeline
from payments.attempts.pay import pay
from payments.attempts.reconcile import reconcile
from payments.models import Attempt, Comment, State
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.b24app.working import working
from tests.payments import stage
from tests.payments.unconfirmed import lost_payment, overdue
from tests.waiting import until

SLOW = 0.2  # seconds; the portal's time is shorter
PAYMENTS = [
    (seed.DEAL, seed.PAYMENT),
    (seed.SEVERAL_DEAL, seed.SEVERAL_PAYMENTS[0]),
    (seed.USD_DEAL, seed.USD_PAYMENT),
]


@pytest.fixture
def both(sandbox: Sandbox, alpha: Portal, beta: Portal) -> tuple[models.Portal, models.Portal]:
    return stage.install(sandbox, alpha), stage.install(sandbox, beta)


def slow(monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, host: str, method: str) -> None:
    """Makes every such call of this portal take longer than its time in a pass."""
    monkeypatch.setattr(due_rows, "SECONDS_PER_PORTAL", SLOW / 2)
    sandbox.faults.add(Fault("delay", method, seconds=SLOW, times=None, host=host))


@pytest.mark.django_db
def test_reconciling_leaves_a_slow_portal_after_its_time(
    monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, both: tuple[models.Portal, models.Portal]
) -> None:
    bad, good = (stage.person(sandbox, row, seed.MANAGER) for row in both)
    for deal_id, payment_id in PAYMENTS:
        lost_payment(sandbox, bad, deal_id=deal_id, payment_id=payment_id)
    lost_payment(sandbox, good)
    slow(monkeypatch, sandbox, "alpha.example.com", stage.KEPT)

    done = reconcile(now=overdue())

    assert done.looked_at == 2
    assert Attempt.objects.filter(portal=both[1]).still_open().count() == 0
    # The others are still due, for the next pass.
    assert Attempt.objects.filter(portal=both[0]).still_open().count() == len(PAYMENTS) - 1


@pytest.mark.django_db
def test_comments_of_a_slow_portal_do_not_hold_up_the_others(
    monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, both: tuple[models.Portal, models.Portal]
) -> None:
    bad, good = (stage.person(sandbox, row, seed.MANAGER) for row in both)
    for who, shown in ((bad, PAYMENTS), (good, PAYMENTS[:1])):
        for deal_id, payment_id in shown:
            offer = stage.offer_of(who, deal_id=deal_id, payment_id=payment_id)
            assert pay(who, offer, pay_system_id=seed.ACME_PAY).state == State.PAID
    slow(monkeypatch, sandbox, "alpha.example.com", stage.COMMENT)
    monkeypatch.setattr(timeline, "_PAGE", 2)

    assert timeline.post_due(limit=3) == 2

    by_portal = Comment.objects.filter(done_at__isnull=False).values_list("attempt__portal_id")
    assert sorted(by_portal) == sorted((row.pk,) for row in both)
    # The comments that were left are still due and have used up no try.
    assert Comment.objects.filter(due_at__lte=timezone.now(), tries=0).count() == 2


@pytest.mark.django_db
def test_a_timeline_that_is_read_too_slowly_is_left(
    monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, both: tuple[models.Portal, models.Portal]
) -> None:
    who = stage.person(sandbox, both[0], seed.MANAGER)
    attempt = pay(who, stage.offer_of(who), pay_system_id=seed.ACME_PAY)
    Comment.objects.create(attempt=attempt, due_at=timezone.now(), sent_at=timezone.now())
    monkeypatch.setattr(timeline, "_SECONDS_READ", -1.0)
    since = len(sandbox.log)

    assert timeline.post_due() == 0

    assert sandbox.log[since:] == []
    assert Comment.objects.get().due_at is not None


# Events


@pytest.fixture
def held() -> Iterator[tuple[threading.Event, list[int]]]:
    """A receiver that keeps the events of the portal Alpha until the event is set, and notes the
    portals whose events it has heard of."""
    release, heard = threading.Event(), list[int]()

    def keep(portal: models.Portal, **_: object) -> None:
        heard.append(portal.pk)
        if portal.member_id == seed.ALPHA:
            release.wait(20)

    payment_saved.connect(keep)
    yield release, heard
    release.set()
    payment_saved.disconnect(keep)


def put(portal: models.Portal, *payment_ids: int) -> None:
    for payment_id in payment_ids:
        queue.put(
            portal,
            "ONPAYMENTENTITYSAVED",
            fingerprint=f"{portal.pk}-{payment_id}",
            data={"FIELDS": {"ID": str(payment_id)}},
        )


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("order", ["slow first", "slow last"])
def test_a_slow_portal_holds_one_thread_of_those_that_work_events(
    both: tuple[models.Portal, models.Portal],
    held: tuple[threading.Event, list[int]],
    order: str,
) -> None:
    (bad, good), (release, heard) = both, held
    batches = [(bad, range(1, 30)), (good, range(1, 4))]
    for portal, numbers in batches if order == "slow first" else reversed(batches):
        put(portal, *numbers)
    with working("work_events"):
        of_good = EventReceipt.objects.filter(portal=good, handled_at__isnull=False)
        until(lambda: of_good.count() == 3)
        assert heard.count(bad.pk) == 1
        release.set()
        until(lambda: not queue.waiting().exists())

    # Nothing was left out, and nothing worked twice.
    assert (heard.count(bad.pk), heard.count(good.pk)) == (29, 3)


@pytest.mark.django_db
def test_one_thread_works_the_portals_in_turns(
    monkeypatch: pytest.MonkeyPatch, both: tuple[models.Portal, models.Portal]
) -> None:
    monkeypatch.setattr(due_rows, "SECONDS_PER_PORTAL", 0.0)
    heard: list[int] = []

    def note(portal: models.Portal, **_: object) -> None:
        heard.append(portal.pk)

    bad, good = both
    put(bad, 1, 2, 3)
    put(good, 4, 5)
    payment_saved.connect(note)
    try:
        assert queue.work() == 5
    finally:
        payment_saved.disconnect(note)

    assert heard == [bad.pk, good.pk, bad.pk, good.pk, bad.pk]


def test_a_portal_is_worked_on_by_one_of_those_who_share_it() -> None:
    shared: set[int] = set()
    first, second, apart = PortalTurns(shared), PortalTurns(shared), PortalTurns()
    with first.take(1) as may:
        assert may
        with second.take(1) as also, second.take(2) as other, apart.take(1) as elsewhere:
            assert (also, other, elsewhere) == (False, True, True)
        assert second.skipped() == [1]
    assert second.skipped() == []


def test_the_time_of_a_portal_is_over_until_the_next_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(due_rows, "SECONDS_PER_PORTAL", 0.0)
    passes = PortalTurns()
    with passes.take(1) as may:
        assert may
    with passes.take(1) as again:
        assert not again
    passes.start_pass()
    assert passes.skipped() == []
