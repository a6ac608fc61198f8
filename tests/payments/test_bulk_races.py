"""Two tabs, two processes, a process killed in the middle of a step: nothing is paid twice."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import timedelta

import pytest
from django.utils import timezone

from b24app.identity.session import Person
from payments.attempts.pay import check
from payments.bulk import runs as running
from payments.bulk.forms import KINDS_OF_A_RUN
from payments.bulk.progress import progress_of
from payments.bulk.step import LEASE, step
from payments.models import STALE_CLAIM, Attempt, Kind, RowState, Run, RunRow, RunState, State
from payments.offer import open_offer
from sandbox.api.faults import AFTER, BEFORE, Fault
from sandbox.server.app import Sandbox
from sandbox.server.ports import PortServers
from sandbox.server.ports import running as serving
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.payments import runs, stage
from tests.payments.runs import THREE
from tests.payments.unconfirmed import MARK, calls
from tests.processes import Process, heard, started, tell

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes]


def test_a_step_that_took_too_long_is_overtaken_and_its_row_left_alone(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    run = runs.started(manager, *THREE)
    reached = threading.Event()
    held = sandbox.faults.add(Fault("hold", method=stage.PAY, on_hit=reached))

    def later() -> RunRow | None:
        try:
            assert reached.wait(10)
            mine = Run.objects.get()
            runs.died(mine)
            overtaken = step(manager, mine)
            assert overtaken is not None
            assert overtaken.state == RowState.TRIED
            runs.next_step(manager, mine)
            assert Run.objects.get().stepping_until is None
            # Another process makes a step while the slow one ends.
            Run.objects.update(stepping_until=timezone.now() + LEASE)
            return overtaken
        finally:
            held.release.set()

    slow, overtaken = stage.together(lambda: runs.next_step(manager, run), later)

    assert slow is not None
    assert overtaken is not None
    assert slow.pk == overtaken.pk
    assert stage.sent_payments(sandbox) == 2
    # It did not release the other process's lease.
    assert runs.next_step(manager, run) is None
    runs.died(run)
    runs.worked(manager, run)
    assert progress_of(run).words == "3 of 3 paid"
    assert [alpha.payments[number].times_paid for number in THREE] == [1, 1, 1]


def test_two_runs_of_one_person_cannot_start_at_once(sandbox: Sandbox, manager: Person) -> None:
    ready = [runs.drafted(manager, payment_id) for payment_id in THREE[:2]]
    start = threading.Barrier(2)

    def begin(run: Run) -> str:
        start.wait(10)
        try:
            running.start(run, KINDS_OF_A_RUN)
        except running.RunUnfinished:
            return "refused"
        return "started"

    outcomes = stage.together(lambda: begin(ready[0]), lambda: begin(ready[1]))

    assert sorted(outcomes) == ["refused", "started"]


# ---- killed


@pytest.fixture
def on_ports() -> Iterator[Sandbox]:
    """A Bitrix24 that other processes can call."""
    servers = PortServers((0, 0, 0))
    oauth_url, *portal_urls = (f"http://127.0.0.1:{port}" for port in servers.ports)
    world = seed.demo_world(
        oauth_url=oauth_url,
        portal_urls=(portal_urls[0], portal_urls[1]),
        app_url="http://localhost:8000",
    )
    stage_of_ports = Sandbox(world)
    with serving(stage_of_ports, servers):
        yield stage_of_ports


def process_of(who: Person, run: Run, *, dies_at: str = "") -> AbstractContextManager[Process]:
    return started(
        "tests.payments.stepping_process", user_id=who.user_id, run=run.pk, dies_at=dies_at
    )


def taken_up_again(run: Run, who: Person) -> None:
    """Resumes as after a restart, once the lease is over; settles open attempts as Check now does,
    when they are old enough to be final."""
    run.refresh_from_db()
    assert run.state == RunState.RUNNING
    runs.died(run)
    runs.worked(who, run)
    long_ago = timezone.now() - STALE_CLAIM - timedelta(seconds=1)
    Attempt.objects.filter(sent_at__isnull=False).update(sent_at=long_ago)
    Attempt.objects.update(created_at=long_ago)
    for row in run.rows.all():
        check(who, open_offer(row.offer, who))


STEPPING, PAYING = "payments.bulk.step", "payments.attempts.execute"
CALL = (BEFORE, AFTER)
MOVES = {Kind.PAY: stage.PAY, Kind.MARK: MARK}
KINDS = pytest.mark.parametrize("kind", MOVES)
# Where the process ends, whether the payment has been sent by then, and how the row ends.
PLACES = {
    "lease taken": (f"{STEPPING}:_take_step", 0, State.PAID),
    "row taken up, before the claim": (f"{STEPPING}:_send", 0, State.PAID),
    "after the claim": (f"{PAYING}:_carry_out", 0, State.REFUSED),
    "before sent_at": (f"{PAYING}:mark_sent", 0, State.REFUSED),
    "before the call": (f"{PAYING}:_send", 0, State.REFUSED),
    "after the answer": (f"{PAYING}:settle", 1, State.PAID),
    "before the row is written": (f"{STEPPING}:_store_attempt", 1, State.PAID),
    "during the call, before the effect": (BEFORE, 1, State.REFUSED),
    "during the call, after the effect": (AFTER, 1, State.PAID),
}


def scene(on_ports: Sandbox, kind: Kind) -> tuple[Person, Run, int]:
    """A run of three rows of this kind, and its first payment."""
    alpha = on_ports.world.portals[seed.ALPHA]
    if kind == Kind.MARK:
        for payment_id in THREE:
            alpha.payments[payment_id].pay_system_id = seed.CASH
    who = stage.person(on_ports, stage.install(on_ports, alpha), seed.MANAGER)
    run = runs.started(who, *THREE)
    assert {row.kind for row in run.rows.all()} == {kind}
    return who, run, runs.first_row(run).payment_id


@KINDS
@pytest.mark.parametrize("place", PLACES)
def test_a_killed_step_pays_nothing_twice(on_ports: Sandbox, place: str, kind: Kind) -> None:
    dies_at, sent, ends = PLACES[place]
    who, run, first = scene(on_ports, kind)

    with process_of(who, run, dies_at="" if dies_at in CALL else dies_at) as process:
        if dies_at in CALL:
            fault = Fault("drop", method=MOVES[kind], when=dies_at, on_hit=process.kill)
            on_ports.faults.add(fault)
        tell(process, "step")
        assert process.wait(30) == -9
    assert calls(on_ports, MOVES[kind]) == sent
    # Until the lease of the dead process is over, no other takes a step.
    assert runs.next_step(who, run) is None

    taken_up_again(run, who)

    assert_true(on_ports, run, first, ends, kind)


def assert_true(on_ports: Sandbox, run: Run, first: int, ends: State, kind: Kind) -> None:
    """Compares each row with the portal, and the number of payments with the portal's count."""
    alpha = on_ports.world.portals[seed.ALPHA]
    rows = runs.rows(run)
    assert run.state == RunState.FINISHED
    assert {row.state for row in rows.values()} == {RowState.TRIED}
    for payment_id, row in rows.items():
        assert row.attempt is not None
        assert row.attempt.kind == kind
        expected = ends if payment_id == first else State.PAID
        assert row.attempt.state == expected
        assert alpha.payments[payment_id].paid == (expected == State.PAID)
        assert alpha.payments[payment_id].times_paid <= 1
    sent = {move: calls(on_ports, method) for move, method in MOVES.items()}
    assert sent.pop(kind) <= len(THREE)
    assert not any(sent.values())
    assert Attempt.objects.count() == len(THREE)


def test_two_processes_make_one_step(on_ports: Sandbox) -> None:
    who, run, _ = scene(on_ports, Kind.PAY)
    reached = threading.Event()

    with process_of(who, run) as first, process_of(who, run) as second:
        held = on_ports.faults.add(Fault("hold", method=stage.PAY, on_hit=reached))
        tell(first, "step")
        assert reached.wait(20)
        tell(second, "step")
        assert json.loads(heard(second)) == {"payment": None, "state": "running"}
        held.release.set()
        assert json.loads(heard(first))["payment"] is not None

    assert stage.sent_payments(on_ports) == 1
    run.refresh_from_db()
    assert run.next_step_at is not None
    assert run.stepping_until is None
    assert run.next_step_at < timezone.now() + LEASE
