"""Killed anywhere: a process that dies while it pays costs nobody money and loses nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from payments import reasons
from payments.models import State
from sandbox import seed
from sandbox.faults import Fault
from tests.payments import stage
from tests.payments.killing import Due, Processes, Scene, app_processes, attempts_on, scene, settle

pytestmark = pytest.mark.django_db(transaction=True)

CLAIM = "INSERT payments_attempt"
WRITE = "UPDATE payments_attempt"
READ = "http batch"
SEND = f"http {stage.PAY}"
READ_BACK = f"http {stage.READ_BACK}"


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


def test_killed_at_every_step_there_is(scene: Scene) -> None:
    """Steps that nobody thought of: before and after each statement and each request."""
    steps = scene.run(scene.task("pay", scene.due(), list_steps=True)).said["steps"]
    assert len(steps) >= len([death for death in DEATHS.values() if death.kill]) / 2
    for step, nth in steps:
        for side in ("before", "after") if step != "end" else ("before",):
            due = scene.due()
            task = scene.task("pay", due, kill={"step": step, "nth": nth, "side": side})
            assert scene.run(task).killed, (step, nth, side)
            settle(scene, due, as_command=False)
            assert_settled(scene, due)
            assert_payable_once(scene, due)


def assert_settled(scene: Scene, due: Due) -> None:
    """The ledger and the portal agree, and nothing was paid twice."""
    attempts = attempts_on(due)
    assert not [attempt for attempt in attempts if attempt.is_open]
    paid = [attempt for attempt in attempts if attempt.state == State.PAID]
    assert len(paid) == due.payment.times_paid == due.payment.paid
    for attempt in paid:
        assert attempt.evidence["paid"] == "Y"
        assert attempt.user_id == due.payment.emp_paid_id
        assert (due.payment.id, "Y") in scene.sandbox.said_at
    assert scene.shown(due) == ("paid" if due.payment.paid else "due")


def assert_payable_once(scene: Scene, due: Due) -> None:
    """Whoever pays it now, pays it if it is unpaid, and does not if it is paid."""
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
