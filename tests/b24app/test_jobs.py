"""`manage.py work`: each job with its period, by one worker or by many, and who notices none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection, connections
from django.test import Client, override_settings
from django.utils import timezone

from b24app import models
from b24app.events import queue
from b24app.install import doctor
from b24app.models import EventReceipt, JobRun
from b24app.signals import payment_saved
from b24app.tokens import store
from b24app.work import jobs
from b24app.work.jobs import Job
from payments.models import Attempt, State
from sandbox.server.app import Sandbox
from sandbox.world import seed
from tests.b24app.test_event_queue import deliver, portal, saved, told  # noqa: F401
from tests.b24app.test_metrics import TOKEN, scrape
from tests.b24app.working import working
from tests.payments import stage
from tests.payments.unconfirmed import OVERDUE, lost_payment
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)

NAMES = ["keep_tokens", "prune", "reconcile", "work_events"]
DAILY = timedelta(days=1)


def job(work: Callable[[jobs.Stop], int], *, is_shared: bool = False) -> Job:
    return Job("daily", work, period=DAILY, missed_after=2 * DAILY, is_shared=is_shared)


def run(one: Job) -> int:
    return jobs.run_if_due(one, lambda: False)


def test_a_daily_job_is_done_once_a_day_by_one_of_two_workers() -> None:
    done: list[int] = []
    both = threading.Barrier(2, timeout=20)
    release = threading.Event()

    def work(stop: jobs.Stop) -> int:
        done.append(1)
        assert release.wait(20)
        return 1

    def worker() -> int:
        both.wait()
        try:
            return run(job(work))
        finally:
            release.set()
            connections.close_all()

    assert sorted(stage.together(worker, worker)) == [0, 1]
    assert done == [1]
    assert run(job(work)) == 0
    JobRun.objects.update(due_at=timezone.now())
    assert run(job(work)) == 1


def test_a_daily_job_of_a_dead_worker_is_taken_up_after_its_lease() -> None:
    one = job(lambda stop: 1)
    JobRun.objects.create(name="daily", due_at=timezone.now() + jobs.LEASE)
    assert run(one) == 0
    JobRun.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    assert run(one) == 1


def test_a_job_that_fails_is_noted_and_tried_again_soon() -> None:
    def fail(stop: jobs.Stop) -> int:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        run(job(fail))
    row = JobRun.objects.get()
    assert (row.failure, row.finished_at) == ("ValueError", None)
    left = row.due_at - timezone.now()
    assert timedelta(0) < left <= jobs.RETRY_AFTER
    assert run(job(fail)) == 0

    JobRun.objects.update(due_at=timezone.now())
    run(job(lambda stop: 1))
    row.refresh_from_db()
    assert (row.failure, row.finished_at is None) == ("", False)


def test_a_job_that_fails_stops_no_other(portal: models.Portal, told: list[int]) -> None:  # noqa: F811
    failing = job(lambda stop: 1 // 0, is_shared=True)
    jobs.add_job(failing)
    try:
        queue.put(portal, "ONPAYMENTENTITYSAVED", fingerprint="1", data={"FIELDS": {"ID": "7"}})
        with working("daily", "work_events"):
            until(lambda: told == [7])
            until(lambda: JobRun.objects.filter(failure="ZeroDivisionError").exists())
    finally:
        del jobs.JOBS["daily"]


def test_the_web_process_works_nothing_by_itself(
    client: Client,
    portal: models.Portal,  # noqa: F811
    told: list[int],  # noqa: F811
) -> None:
    threads = threading.enumerate()
    assert [deliver(client, saved(payment_id)) for payment_id in range(1, 31)] == [200] * 30
    assert threading.enumerate() == threads
    assert (told, queue.waiting().count()) == ([], 30)
    with working("work_events"):
        until(lambda: not queue.waiting().exists())
    assert sorted(told) == list(range(1, 31))


def test_a_worker_that_is_told_to_stop_ends_its_event_and_leaves_the_rest(
    client: Client,
    portal: models.Portal,  # noqa: F811
) -> None:
    under_way, go_on = threading.Semaphore(0), threading.Event()

    def hold(**_: object) -> None:
        under_way.release()
        assert go_on.wait(20)

    for payment_id in range(1, 6):
        deliver(client, saved(payment_id))
    payment_saved.connect(hold)
    try:
        with working("work_events") as stop:
            assert under_way.acquire(timeout=20)
            threading.Thread(target=_set_after, args=(go_on, stop)).start()
    finally:
        go_on.set()
        payment_saved.disconnect(hold)
    handled = EventReceipt.objects.filter(handled_at__isnull=False).count()
    assert 1 <= handled < 5
    assert queue.waiting().count() == 5 - handled


def _set_after(later: threading.Event, earlier: threading.Event) -> None:
    assert earlier.wait(20)
    later.set()


@pytest.mark.processes
def test_two_processes_do_all_jobs_and_end_when_they_are_told(
    client: Client,
    sandbox: Sandbox,
    portal: models.Portal,  # noqa: F811
) -> None:
    name = str(connection.settings_dict["NAME"])
    command = [sys.executable, "-m", "tests.b24app.working_process", name]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
        for _ in range(2)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline().startswith(f"Process {process.pid} works: ")
        deliver(client, saved(271))
        until(lambda: not queue.waiting().exists())
        until(lambda: not jobs.missed())
        processes[0].send_signal(signal.SIGTERM)
        processes[1].send_signal(signal.SIGINT)
        assert [process.wait(20) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
    assert EventReceipt.objects.get().handled_at is not None
    assert sorted(JobRun.objects.values_list("name", flat=True)) == NAMES


def test_what_is_not_confirmed_is_settled_by_the_worker(
    sandbox: Sandbox,
    portal: models.Portal,  # noqa: F811
) -> None:
    store_serving_pair(sandbox, portal)
    attempt = lost_payment(sandbox, stage.person(sandbox, portal, seed.MANAGER))
    Attempt.objects.update(due_at=timezone.now(), sent_at=timezone.now() - OVERDUE)
    with working("reconcile"):
        until(lambda: Attempt.objects.get(pk=attempt.pk).state == State.PAID)


def store_serving_pair(sandbox: Sandbox, row: models.Portal) -> None:
    alpha = sandbox.world.portals[row.member_id]
    store.store_portal_pair(row, stage.pair(sandbox, alpha, seed.ADMIN))


@override_settings(B24_METRICS_TOKEN=TOKEN)
def test_a_missing_worker_is_seen_by_the_doctor_and_in_ready_and_metrics(
    client: Client,
    portal: models.Portal,  # noqa: F811
) -> None:
    def line() -> doctor.Line:
        return next(line for line in doctor.examine(portal) if line.name == "Background work")

    assert client.get("/readyz/").json() == {"status": "ok", "jobs": {}}
    assert not line().is_ok
    assert set(str(line().found).split(": ")[1].split(".")[0].split(", ")) == set(NAMES)

    for command in ("work_events", "reconcile", "keep_tokens", "prune"):
        call_command(command, stdout=StringIO())

    assert line().is_ok
    assert set(client.get("/readyz/").json()["jobs"]) == set(NAMES)
    assert 0 <= scrape(client)['pay_job_age_seconds{name="work_events"}'] < 60

    old = timezone.now() - timedelta(hours=1)
    JobRun.objects.update(finished_at=old)
    assert str(line().found).startswith("Not done lately: work_events, reconcile.")
    assert client.get("/readyz/").status_code == 200
    assert client.get("/readyz/").json()["jobs"]["work_events"] >= 3600
