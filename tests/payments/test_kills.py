"""Killed anywhere: a process that dies while it pays costs no money and loses nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from payments import reasons
from payments.attempts.reconcile import LEASE
from payments.ledger.verify import verify
from payments.models import Entry, Kind, State
from sandbox.api.faults import Fault
from sandbox.world import seed
from tests.payments import stage
from tests.payments.killing import (
    LOOK_EVERY,
    SHOWN_AS_PAID,
    Due,
    Processes,
    Scene,
    app_processes,
    attempts_on,
    move_on,
    scene,
    settle,
)

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.processes,
    pytest.mark.timeout(300),
]

CLAIM = "INSERT payments_attempt"
WRITE = "UPDATE payments_attempt"
READ = "http batch"
SEND = f"http {stage.PAY}"
READ_BACK = f"http {stage.READ_BACK}"
# The method that each kind of attempt sends.
MOVES = {
    Kind.PAY: stage.PAY,
    Kind.MARK: "crm.item.payment.pay",
    Kind.UNDO: "crm.item.payment.unpay",
}


@pytest.fixture(scope="module")
def processes() -> Iterator[Processes]:
    with app_processes() as started:
        yield started


@pytest.fixture(name="scene")
def _scene(processes: Processes) -> Iterator[Scene]:
    with scene(processes) as built:
        yield built


@dataclass(frozen=True)
class Death:
    """Where a payment's process dies, by itself or in a request (after `once` was asked), and what
    it has done until then: its attempts, how often the portal was told to pay, whether it did."""

    kill: dict[str, Any] | None = None
    fault: dict[str, Any] = field(default_factory=dict)
    once: str | None = None
    attempts: int = 1
    told: int = 0
    paid: bool = False


def at(step: str, side: str, *, nth: int = 1) -> dict[str, Any]:
    return {"step": step, "side": side, "nth": nth}


def in_request(method: str, *, when: str = "before", kind: str = "delay") -> dict[str, Any]:
    """Dead while the portal works on it; what was asked is carried out, unless it is dropped."""
    return {"kind": kind, "method": method, "when": when, "seconds": 0}


DEATHS = {
    "before the claim": Death(at(CLAIM, "before"), attempts=0),
    "before the claim is committed": Death(at(CLAIM, "after"), attempts=0),
    "after the claim": Death(at(READ, "before")),
    "while the payment is read": Death(fault=in_request(stage.KEPT)),
    "when it is read": Death(at(WRITE, "before")),
    "before the call leaves": Death(at(SEND, "before")),
    "in the call, which gets lost": Death(fault=in_request(stage.PAY, kind="drop"), told=1),
    "in the call, before its effect": Death(fault=in_request(stage.PAY), told=1, paid=True),
    "in the call, after its effect": Death(
        fault=in_request(stage.PAY, when="after"), told=1, paid=True
    ),
    "when the answer comes": Death(at(SEND, "after"), told=1, paid=True),
    "before the read-back": Death(at(READ_BACK, "before"), told=1, paid=True),
    "in the read-back": Death(fault=in_request(stage.READ_BACK), once=stage.PAY, told=1, paid=True),
    "when it is read back": Death(at(READ_BACK, "after"), told=1, paid=True),
    "before it is recorded": Death(at(WRITE, "before", nth=2), told=1, paid=True),
    "as it is recorded": Death(at(WRITE, "after", nth=2), told=1, paid=True),
    "after it is recorded": Death(at("end", "before"), told=1, paid=True),
}


@pytest.mark.parametrize("death", DEATHS.values(), ids=DEATHS.keys())
def test_a_payment_whose_process_is_killed(scene: Scene, death: Death) -> None:
    due = scene.due()

    fault = Fault(**death.fault) if death.fault else None
    dead = scene.run(scene.task("pay", due, kill=death.kill), kill_at=fault, once=death.once)

    assert dead.killed
    assert len(attempts_on(due)) == death.attempts
    assert due.payment.paid is death.paid
    assert scene.told(stage.PAY) == death.told
    settle(scene, due)
    assert_settled(scene, due)
    assert scene.told(stage.PAY) == death.told
    assert_payable_once(scene, due)


@pytest.mark.parametrize("kind", Kind)
def test_killed_at_every_step_there_is(scene: Scene, kind: Kind) -> None:
    """Kills before and after each statement and each request."""
    steps = steps_of(scene, scene.task(kind.value, stand_for(scene, kind), scene.admin))
    assert {(CLAIM, 1), (WRITE, 1), (WRITE, 2), (f"http {MOVES[kind]}", 1)} <= set(steps)
    for kill in kills_at(steps):
        due = stand_for(scene, kind)
        was_paid, told = due.payment.paid, scene.told(MOVES[kind])
        assert scene.run(scene.task(kind.value, due, scene.admin, kill=kill)).killed, kill
        told = scene.told(MOVES[kind]) - told
        assert told <= 1
        # The portal has no faults here: it carried out each call.
        assert told == (due.payment.paid is not was_paid)
        settle(scene, due, as_command=False)
        assert_settled(scene, due)
        last = attempts_on(due)[-1:]
        done = [one.kind for one in last if one.state != State.REFUSED and one.kind == kind]
        assert done == [kind] * told, kill
        once_more = scene.run(scene.task(kind.value, due, scene.admin)).answer
        assert (once_more["state"] == State.REFUSED) == bool(told), kill
        assert due.payment.paid is not was_paid
        assert_settled(scene, due)


@pytest.mark.parametrize("is_paid", [True, False], ids=["paid", "not carried out"])
def test_reconciling_killed_at_every_step_is_taken_up(scene: Scene, is_paid: bool) -> None:
    task = scene.task("reconcile", lost(scene, is_paid=is_paid))
    move_on(LOOK_EVERY)
    steps = steps_of(scene, task)
    assert {(WRITE, 1), (WRITE, 2), (f"http {stage.KEPT}", 1)} <= set(steps)
    for kill in kills_at(steps):
        due = lost(scene, is_paid=is_paid)
        move_on(LOOK_EVERY)
        assert scene.run({**task, "kill": kill}).killed, kill
        settle(scene, due, as_command=False)
        assert_settled(scene, due)
        assert due.payment.paid is is_paid
        assert len(attempts_on(due)) == 1
    assert scene.told(stage.PAY) == len(kills_at(steps)) + 1


def test_one_that_reconciling_died_of_waits_for_its_lease(scene: Scene) -> None:
    """So that two do not look at the same attempt, and a dead one does not keep it."""
    due = lost(scene, is_paid=True)
    move_on(LOOK_EVERY)
    before_recording = at(WRITE, "before", nth=2)
    assert scene.run(scene.task("reconcile", due, kill=before_recording)).killed
    assert scene.run(scene.task("reconcile", due)).answer["looked_at"] == 0
    assert [one.state for one in attempts_on(due)] == [State.PAYING]
    move_on(LEASE)
    scene.reconcile_as_command()
    assert_settled(scene, due)


def test_killed_and_checked_by_the_person_at_once(scene: Scene) -> None:
    """Paid shows at once; unpaid only when it is certain."""
    paid, unpaid = lost(scene, is_paid=True), lost(scene, is_paid=False)

    shown = [scene.run(scene.task("check", due)).answer["shown"] for due in (paid, unpaid)]

    assert shown == [State.PAID, State.PAYING]
    again = scene.run(scene.task("pay", unpaid, scene.admin)).answer
    assert (again["state"], again["pk"]) == (State.PAYING, attempts_on(unpaid)[0].pk)
    assert scene.told(stage.PAY) == 2
    move_on(LOOK_EVERY)
    assert scene.run(scene.task("check", unpaid)).answer["shown"] == State.REFUSED
    assert_payable_once(scene, unpaid)


def lost(scene: Scene, *, is_paid: bool) -> Due:
    """A payment whose process was killed while the portal worked on it."""
    due = scene.due()
    fault = in_request(stage.PAY, when="after") if is_paid else in_request(stage.PAY, kind="drop")
    assert scene.run(scene.task("pay", due), kill_at=Fault(**fault)).killed
    assert due.payment.paid is is_paid
    return due


def stand_for(scene: Scene, kind: Kind) -> Due:
    """A payment as this kind of attempt needs it."""
    due = scene.due(pay_system_id=seed.CASH if kind == Kind.MARK else seed.ACME_PAY)
    if kind == Kind.UNDO:
        assert scene.run(scene.task("pay", due, scene.admin)).answer["state"] == State.PAID
    return due


def steps_of(scene: Scene, task: dict[str, Any]) -> list[tuple[str, int]]:
    said = scene.run({**task, "list_steps": True}).said
    return [(step, nth) for step, nth in said["steps"]]


def kills_at(steps: list[tuple[str, int]]) -> list[dict[str, Any]]:
    sides = {"end": ("before",)}
    return [
        at(step, side, nth=nth)
        for step, nth in steps
        for side in sides.get(step, ("before", "after"))
    ]


def assert_settled(scene: Scene, due: Due) -> None:
    """The ledger and the portal agree, and each change of the payment is in it once."""
    payment, attempts = due.payment, attempts_on(due)
    assert not [attempt for attempt in attempts if attempt.is_open]
    paid = [attempt for attempt in attempts if attempt.state == State.PAID]
    undone = [attempt for attempt in attempts if attempt.state == State.UNDONE]
    assert (len(paid), len(undone)) == (payment.times_paid, payment.times_paid - payment.paid)
    for attempt in (*paid, *undone):
        said = "Y" if attempt.state == State.PAID else "N"
        assert (attempt.evidence["paid"], attempt.reason) == (said, "")
        assert (payment.id, said) in scene.sandbox.said_at
    if paid:
        assert paid[-1].user_id == payment.emp_paid_id
    assert_in_the_ledger(scene, due)
    assert scene.shown(due) in (SHOWN_AS_PAID if payment.paid else ["due"])


def assert_in_the_ledger(scene: Scene, due: Due) -> None:
    """Row and entry were written together, whatever was killed: each attempt ended once."""
    findings: list[str] = []
    verify(scene.row, tell=findings.append)
    assert not findings
    for attempt in attempts_on(due):
        entries = Entry.objects.filter(attempt_id=attempt.pk, event=attempt.state)
        assert [entry.facts["payment_id"] for entry in entries] == [due.payment.id]


def assert_payable_once(scene: Scene, due: Due) -> None:
    """Paying now pays it if it is unpaid, and does not if it is paid."""
    was_paid, told = due.payment.paid, scene.told(stage.PAY)
    answer = scene.run(scene.task("pay", due, scene.admin)).answer
    if was_paid:
        assert answer["state"] == State.REFUSED
        assert attempts_on(due)[-1].reason == reasons.ALREADY_PAID
        assert due.payment.emp_paid_id == seed.MANAGER
    else:
        assert answer["state"] == State.PAID
        assert due.payment.emp_paid_id == seed.ADMIN
    assert scene.told(stage.PAY) - told == (not was_paid)
    assert due.payment.times_paid == 1
