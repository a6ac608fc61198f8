"""Events that are worked later: stored before the answer, worked once, retried, given up."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections
from django.test import Client
from django.utils import timezone

from b24app import models
from b24app.errors import NeverSent
from b24app.events import queue
from b24app.models import EventReceipt
from b24app.signals import Later, payment_saved, pruning
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.events import form_body
from sandbox.world.world import Portal
from tests.b24app.portal_posts import FORM
from tests.b24app.rows import installed

pytestmark = pytest.mark.django_db

TOKEN = "application-token-of-alpha"
BURST = 500
# The sandbox, as Bitrix24, gives a handler this long.
LONGEST_ANSWER = 5.0


@pytest.fixture
def portal(sandbox: Sandbox, alpha: Portal) -> models.Portal:
    row = installed(sandbox, alpha)
    row.application_token = TOKEN
    row.save()
    return row


@pytest.fixture
def told() -> Iterator[list[int]]:
    """Returns the payments that receivers of the signal were called with, each time."""
    payments: list[int] = []

    def note(payment_id: int, **_: object) -> None:
        payments.append(payment_id)

    payment_saved.connect(note)
    yield payments
    payment_saved.disconnect(note)


@pytest.fixture
def failing() -> Iterator[list[Exception]]:
    """A list of the errors that a receiver raises; it raises nothing while the list is empty."""
    errors: list[Exception] = []

    def fail(**_: object) -> None:
        if errors:
            raise errors[-1]

    payment_saved.connect(fail)
    yield errors
    payment_saved.disconnect(fail)


def saved(payment_id: object, *, ts: str = "1696527000") -> dict[str, Any]:
    return {
        "event": "ONPAYMENTENTITYSAVED",
        "event_handler_id": "7",
        "data": {"FIELDS": {"ID": str(payment_id)}},
        "ts": ts,
        "auth": {
            "member_id": seed.ALPHA,
            "application_token": TOKEN,
            "access_token": "an-access-token",
            "domain": "alpha.example.com",
        },
    }


def deliver(client: Client, fields: dict[str, Any]) -> int:
    status: int = client.post("/event/", form_body(fields), content_type=FORM).status_code
    return status


def make_due() -> None:
    """Lets time pass until waiting events may be retried."""
    queue.waiting().update(due_at=timezone.now())


def test_an_event_is_stored_before_the_answer_and_worked_after_it(
    client: Client, sandbox: Sandbox, portal: models.Portal, told: list[int]
) -> None:
    assert deliver(client, saved(271)) == 200
    receipt = EventReceipt.objects.get()
    assert (receipt.event, receipt.ids, receipt.handled_at) == (
        "ONPAYMENTENTITYSAVED",
        {"ID": 271},
        None,
    )
    assert told == []
    out = StringIO()
    call_command("work_events", stdout=out)
    assert told == [271]
    assert out.getvalue() == "Events worked: 1; to be tried again later: 0.\n"
    receipt.refresh_from_db()
    assert receipt.handled_at is not None
    assert receipt.due_at is None
    assert sandbox.log == []


def test_no_token_is_stored_with_an_event(client: Client, portal: models.Portal) -> None:
    deliver(client, saved(271))
    row = str(EventReceipt.objects.values().get())
    assert TOKEN not in row
    assert "an-access-token" not in row


def test_a_second_delivery_is_worked_once(
    client: Client, portal: models.Portal, told: list[int]
) -> None:
    assert deliver(client, saved(271)) == deliver(client, saved(271)) == 200
    queue.work()
    assert deliver(client, saved(271)) == 200
    queue.work()
    assert told == [271]
    assert deliver(client, saved(271, ts="1696527009")) == 200
    queue.work()
    assert told == [271, 271]


@pytest.mark.parametrize("payment_id", ["", "0", "-1", "x", "9" * 30])
def test_an_event_about_nothing_is_a_bad_request(
    client: Client, portal: models.Portal, payment_id: str
) -> None:
    assert deliver(client, saved(payment_id)) == 400
    assert not EventReceipt.objects.exists()


def test_a_failure_is_tried_again_later_and_later(
    client: Client, portal: models.Portal, told: list[int], failing: list[Exception]
) -> None:
    failing.append(NeverSent("the portal is down"))
    deliver(client, saved(271))
    delays = []
    for tries in range(1, queue.MAX_TRIES):
        before = timezone.now()
        assert queue.work() == 1
        receipt = EventReceipt.objects.get()
        assert (receipt.tries, receipt.failure) == (tries, "NeverSent")
        assert receipt.due_at is not None
        delays.append(round((receipt.due_at - before).total_seconds()))
        assert queue.work() == 0
        make_due()
    # A busy machine takes a second for a step.
    assert delays == pytest.approx([30, 120, 480, 1920, 7680, 21600, 21600, 21600], abs=5)
    failing.clear()
    assert queue.work() == 1
    receipt = EventReceipt.objects.get()
    assert receipt.handled_at is not None
    assert receipt.failure == ""


def test_tries_are_bounded(client: Client, portal: models.Portal, failing: list[Exception]) -> None:
    failing.append(NeverSent("the portal is gone"))
    deliver(client, saved(271))
    for _ in range(queue.MAX_TRIES):
        make_due()
        assert queue.work() == 1
    receipt = EventReceipt.objects.get()
    assert (receipt.handled_at, receipt.due_at) == (None, None)
    assert receipt.failure == "NeverSent"
    assert not queue.waiting().exists()


def test_a_bug_in_one_event_does_not_stop_the_rest(
    client: Client, portal: models.Portal, failing: list[Exception], told: list[int]
) -> None:
    failing.append(ZeroDivisionError())
    for payment_id in (1, 2, 3):
        deliver(client, saved(payment_id))
    assert queue.work() == 3
    failures = set(EventReceipt.objects.values_list("failure", flat=True))
    assert failures == {"ZeroDivisionError"}


def test_a_receiver_says_when_it_wants_to_hear_again(
    client: Client, portal: models.Portal, failing: list[Exception]
) -> None:
    until = timezone.now() + timedelta(minutes=2)
    failing.append(Later(until))
    deliver(client, saved(271))
    assert queue.work() == 1
    receipt = EventReceipt.objects.get()
    assert (receipt.due_at, receipt.failure) == (until, "")


def test_what_a_dead_worker_left_is_taken_up_after_its_lease(
    client: Client, portal: models.Portal, told: list[int]
) -> None:
    deliver(client, saved(271))
    receipt = EventReceipt.objects.select_related("portal").get()
    assert queue._claim(receipt)
    assert queue.work() == 0
    left = EventReceipt.objects.get()
    assert left.due_at is not None
    assert left.due_at > timezone.now() + queue.LEASE - timedelta(minutes=1)
    make_due()
    assert queue.work() == 1
    assert told == [271]


def test_of_two_that_saw_the_same_event_one_gets_it(client: Client, portal: models.Portal) -> None:
    deliver(client, saved(271))
    one, two = (EventReceipt.objects.get() for _ in range(2))
    assert [queue._claim(one), queue._claim(two)] == [True, False]


def test_nothing_is_worked_for_a_portal_that_left_meanwhile(
    client: Client, portal: models.Portal, told: list[int]
) -> None:
    deliver(client, saved(271))
    models.Portal.objects.update(uninstalled_at=timezone.now())
    queue.work()
    assert told == []
    assert not queue.waiting().exists()


def test_old_receipts_are_pruned_and_waiting_ones_kept(
    client: Client, portal: models.Portal
) -> None:
    for payment_id in (1, 2):
        deliver(client, saved(payment_id))
    queue.work()
    deliver(client, saved(3))
    old = timezone.now() - queue.RECEIPTS_KEPT - timedelta(days=1)
    EventReceipt.objects.exclude(ids={"ID": 2}).update(received_at=old)
    pruning.send(sender=None)
    kept = EventReceipt.objects.values_list("ids", flat=True)
    assert sorted(row["ID"] for row in kept) == [2, 3]


def test_invented_ids_are_bounded_and_calls_none(
    client: Client,
    sandbox: Sandbox,
    portal: models.Portal,
    told: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = timezone.now()
    most = 50
    monkeypatch.setattr(queue, "EVENTS_AN_HOUR", most)
    EventReceipt.objects.bulk_create(
        EventReceipt(
            portal=portal,
            event="ONPAYMENTENTITYSAVED",
            fingerprint=str(number),
            ids={"ID": number},
            due_at=now,
        )
        for number in range(1, most)
    )
    assert [deliver(client, saved(most + number)) for number in range(3)] == [200, 429, 429]
    assert EventReceipt.objects.count() == most
    queue.work()
    assert sandbox.log == []
    # Also where a fast worker has emptied the queue.
    assert deliver(client, saved(7_777)) == 429
    EventReceipt.objects.update(received_at=now - queue.HOUR)
    assert deliver(client, saved(7_777)) == 200


def test_many_events_of_one_portal_do_not_delay_anothers(
    client: Client, sandbox: Sandbox, beta: Portal, portal: models.Portal, told: list[int]
) -> None:
    other = installed(sandbox, beta)
    other.application_token = TOKEN
    other.save()
    for payment_id in range(1, 61):
        deliver(client, saved(payment_id))
    fields = saved(999)
    fields["auth"]["member_id"] = seed.BETA
    deliver(client, fields)
    queue.work()
    assert 999 in told[:3]
    assert sorted(told) == [*range(1, 61), 999]


def test_events_about_one_payment_wait_two_at_a_time(
    client: Client, portal: models.Portal, told: list[int], failing: list[Exception]
) -> None:
    """A person who posts the same payment again and again causes as many looks as one who does so
    once, while its portal does not answer."""
    failing.append(NeverSent("the portal is down"))
    for number in range(20):
        assert deliver(client, saved(271, ts=str(number))) == 200
        queue.work()
    assert EventReceipt.objects.count() == queue.MOST_ON_ONE
    assert deliver(client, saved(272)) == 200
    assert EventReceipt.objects.count() == queue.MOST_ON_ONE + 1


@pytest.mark.django_db(transaction=True)
def test_a_burst_is_answered_at_once_and_each_event_worked_exactly_once(
    portal: models.Portal, told: list[int]
) -> None:
    slowest: list[float] = []

    def burst(first: int) -> list[int]:
        client = Client()
        statuses = []
        try:
            for payment_id in range(first, BURST + 1, 8):
                began = time.monotonic()
                statuses.append(deliver(client, saved(payment_id)))
                slowest.append(time.monotonic() - began)
        finally:
            connections.close_all()
        return statuses

    with ThreadPoolExecutor(8) as pool:
        statuses = [status for each in pool.map(burst, range(1, 9)) for status in each]
    assert statuses == [200] * BURST
    assert max(slowest) < LONGEST_ANSWER
    assert told == []

    both = threading.Barrier(2, timeout=20)

    def worker() -> int:
        both.wait()
        try:
            return queue.work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        counts = [future.result() for future in [pool.submit(worker) for _ in range(2)]]
    assert sum(counts) == BURST
    assert min(counts) > 0
    assert sorted(told) == list(range(1, BURST + 1))
    assert EventReceipt.objects.filter(tries=1, due_at=None).count() == BURST
