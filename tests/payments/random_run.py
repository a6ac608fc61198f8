"""Runs one random plan: draws it, carries it out, and checks the result."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.utils import timezone

from b24app.identity.session import Person
from payments import reasons
from payments.approvals import requests
from payments.models import (
    Approval,
    ApprovalState,
    Attempt,
    Entry,
    Kind,
    RowState,
    RunRow,
    RunState,
    State,
)
from payments.models import Run as BulkRun
from payments.offer import seal
from payments.policy import rules
from sandbox.api.faults import PLAIN_KINDS, Fault
from sandbox.api.faults import Kind as FaultKind
from sandbox.world import seed
from tests.payments import stage
from tests.payments.killing import (
    IMPATIENCE,
    LOOK_EVERY,
    LOOKS,
    PATIENCE,
    SHOWN_AS_PAID,
    Child,
    Due,
    Scene,
    attempts_on,
    killer,
    move_on,
)

REBIND = "crm.item.payment.update"
# The method that each kind of attempt sends.
MOVES = {
    Kind.PAY: stage.PAY,
    Kind.MARK: "crm.item.payment.pay",
    Kind.UNDO: "crm.item.payment.unpay",
}
MOVE = "the move"  # stands for one of them, whichever kind is drawn
METHODS = (
    *(MOVE,) * 8,
    *(stage.READ_BACK,) * 2,
    *(stage.KEPT,) * 2,
    REBIND,
    "sale.paysystem.list",
    "sale.order.list",
    None,
)
STEPS = (
    *(("INSERT payments_attempt", nth) for nth in (1,)),
    *(("UPDATE payments_attempt", nth) for nth in (1, 1, 2, 2)),
    *(("http batch", nth) for nth in (1, 2)),
    *((f"http {MOVE}", nth) for nth in (1, 1)),
    *((f"http {stage.READ_BACK}", nth) for nth in (1, 1)),
    (f"http {stage.KEPT}", 1),
    (f"http {REBIND}", 1),
    ("SELECT b24app_usertoken", 1),
    ("end", 1),
)
SIDES = ("before", "after")
AWAY = (FaultKind.DROP, FaultKind.HTML502, FaultKind.STATUS500, FaultKind.BROKEN_JSON)


@dataclass(frozen=True)
class PlannedFault:
    kind: str
    method: str | None
    when: str
    times: int | None

    def switched_on(self, move: str) -> Fault:
        """A delay is not waited for; a cut takes effect at once."""
        seconds = IMPATIENCE * 1.5 if self.kind == FaultKind.DELAY else 0
        method = move if self.method == MOVE else self.method
        return Fault(self.kind, method, self.when, self.times, seconds)


@dataclass(frozen=True)
class PlannedKill:
    """A kill at one of the first payer's steps, or (`method`) in a request, while the portal
    works."""

    step: str = ""
    nth: int = 1
    side: str = "before"
    method: str | None = None

    def of_step(self, move: str) -> dict[str, Any]:
        return {"step": self.step.replace(MOVE, move), "nth": self.nth, "side": self.side}


@dataclass(frozen=True)
class Meddling:
    """What a person does in the CRM; `moment` is "before" or "between" paying and settling, or the
    method that is being asked just then."""

    action: str
    moment: str
    when: str = "before"


@dataclass(frozen=True)
class Plan:
    number: int
    kind: Kind
    system: str
    payers: int
    faults: tuple[PlannedFault, ...]
    kill: PlannedKill | None
    meddling: tuple[Meddling, ...]
    away: str  # the kind of fault that all calls meet once the move was asked for; none if empty
    is_late: bool  # a held request goes on only after a read
    is_down: bool  # the portal does not answer the first read
    has_event: bool
    looks: tuple[str, ...]
    kill_of_look: PlannedKill | None
    is_paid_after: bool  # a person presses Pay once all is settled
    approval: str  # the rules demand one, which is "given" or "missing"; they do not if empty
    is_bulk: bool  # the first payer pays or marks by a step of a run of several payments

    @property
    def is_slow(self) -> bool:
        return any(fault.kind in (FaultKind.DELAY, FaultKind.HOLD) for fault in self.faults)


def draw(number: int) -> Plan:
    """Returns the plan of the run with this number: always the same."""
    dice = random.Random(number)
    kind: Kind
    return Plan(
        number=number,
        kind=(kind := dice.choice((Kind.PAY,) * 8 + (Kind.MARK, Kind.UNDO))),
        system=dice.choice(("bound",) * 6 + ("rebind", "rebind", "silent", "inactive")),
        payers=dice.choice((1, 1, 2)),
        faults=tuple(_fault(dice) for _ in range(dice.choice((0, 1, 1, 1, 2)))),
        kill=_kill(dice) if dice.random() < 0.5 else None,
        meddling=tuple(_meddling(dice) for _ in range(dice.choice((0, 0, 0, 1, 1, 2)))),
        away=dice.choice(AWAY) if dice.random() < 0.3 else "",
        is_late=dice.random() < 0.5,
        is_down=dice.random() < 0.15,
        has_event=dice.random() < 0.3,
        looks=tuple(dice.choice(("check", "reconcile", "reconcile")) for _ in range(2)),
        kill_of_look=_kill_of_look(dice) if dice.random() < 0.25 else None,
        is_paid_after=dice.random() < 0.3,
        approval=dice.choice(("",) * 12 + ("given",) * 3 + ("missing",)),
        is_bulk=dice.random() < 0.25 and kind != Kind.UNDO,
    )


def _fault(dice: random.Random) -> PlannedFault:
    kind = dice.choice(PLAIN_KINDS)
    method = dice.choice(METHODS)
    if kind == FaultKind.TRUE_WITHOUT_PAYMENT:
        method = MOVE
    return PlannedFault(kind, method, dice.choice(SIDES), dice.choice((1, 1, 1, 2, None)))


def _kill(dice: random.Random) -> PlannedKill:
    if dice.random() < 0.5:
        method = dice.choice((MOVE, MOVE, stage.KEPT, stage.READ_BACK, REBIND))
        return PlannedKill(method=method, side=dice.choice(SIDES))
    step, nth = dice.choice(STEPS)
    return PlannedKill(step, nth, "before" if step == "end" else dice.choice(SIDES))


def _kill_of_look(dice: random.Random) -> PlannedKill:
    step = dice.choice(("UPDATE payments_attempt", f"http {stage.KEPT}", "end"))
    nth = dice.choice((1, 1, 2)) if step.startswith("UPDATE") else 1
    return PlannedKill(step, nth, "before" if step == "end" else dice.choice(SIDES))


def _meddling(dice: random.Random) -> Meddling:
    action = dice.choice(("pay", "pay", "unpay", "unpay", "cancel"))
    moments = ("before", "between", stage.KEPT, MOVE, stage.READ_BACK)
    return Meddling(action, dice.choice(moments), dice.choice(SIDES))


class Run:
    """A plan carried out on a payment of its own."""

    def __init__(self, scene: Scene, plan: Plan, numbers: Counter[str]) -> None:
        self.scene = scene
        self.plan = plan
        self.numbers = numbers
        self.move = MOVES[plan.kind]
        is_silent = plan.kind == Kind.MARK or (plan.kind == Kind.PAY and plan.system == "silent")
        self.due: Due = scene.due(pay_system_id=seed.CASH if is_silent else seed.ACME_PAY)
        scene.alpha.pay_systems[seed.ACME_PAY].active = True
        self.order = scene.alpha.orders[self.due.payment.order_id]
        self.since = len(scene.sandbox.log)
        self.by_hand: Counter[str] = Counter()  # what a person did in the CRM
        self.known: set[int] = set()  # settled attempts that were checked
        self.is_repaired = False
        self.row: RunRow | None = None

    def carry_out(self) -> None:
        plan, sandbox = self.plan, self.scene.sandbox
        # Otherwise this run would settle what another one left open.
        assert not Attempt.objects.still_open().exists()
        if plan.kind == Kind.UNDO:
            self._after(self.scene.run(self.scene.task("pay", self.due)))
            assert self.due.payment.paid
        self._set_limits({self.due.payment.currency: "0"} if plan.approval else {})
        tasks = self._tasks()
        self._meddle("before")
        faults = [sandbox.faults.add(fault.switched_on(self.move)) for fault in plan.faults]
        for meddling in plan.meddling:
            if meddling.moment not in ("before", "between"):
                self._meddle_in_request(meddling)
        if plan.away:
            sandbox.faults.add(Fault("delay", self.move, "after", seconds=0, on_hit=self._go_away))
        self._press(tasks)
        if not plan.is_late:
            _release(faults)
        self._meddle("between")
        if plan.has_event:
            self._look("saved")
        if plan.is_down:
            sandbox.faults.add(Fault("html502", stage.KEPT, times=None))
            self._look(plan.looks[0])
        elif plan.is_late and plan.is_slow:
            self._look("check")
        _release(faults)
        sandbox.wait_until_quiet()
        sandbox.faults.clear()
        for fault in faults:
            self.numbers[f"struck by {fault.kind}"] += fault.hits
        self._settle()
        if self.row is not None:
            self._end_bulk_run(self.row)
        self._check_end()
        self._set_limits({})
        if plan.is_paid_after and plan.kind == Kind.PAY and plan.system == "bound":
            self._pay_after()

    def _tasks(self) -> list[dict[str, Any]]:
        """Returns what people press, on pages that they opened before anything happened."""
        scene, plan = self.scene, self.plan
        patience = IMPATIENCE if plan.is_slow else PATIENCE
        chosen = self.due.payment.pay_system_id
        if plan.system == "rebind" and plan.kind == Kind.PAY:
            chosen = seed.DEMO_CARD_PAY
        people = [scene.manager, scene.admin][: plan.payers]
        if plan.kind == Kind.UNDO:
            people.reverse()
        tasks = [
            scene.task(plan.kind.value, self.due, who, pay_system_id=chosen, patience=patience)
            for who in people
        ]
        if plan.approval == "given" and plan.kind != Kind.UNDO:
            for who in people:
                self._approve(who, chosen)
        if plan.is_bulk:
            self.row = self._bulk_row(people[0], chosen)
            tasks[0] |= {"do": "step", "row": self.row.pk}
        scene.alpha.pay_systems[seed.ACME_PAY].active = plan.system != "inactive"
        return tasks

    def _set_limits(self, limits: dict[str, str]) -> None:
        before = rules.policy_of(self.scene.row)
        if before.limits != limits:
            values = {**before.as_facts(), "limits": limits}
            rules.change(self.scene.row, actor_id=seed.ADMIN, version=before.version, values=values)

    def _approve(self, who: Person, pay_system_id: int) -> None:
        scene = self.scene
        offer = scene.offer(self.due, who)
        asked = requests.ask(
            who, offer, pay_system_id=pay_system_id, pay_system_name="", kind=self.plan.kind
        )
        requests.approve(scene.admin if who is scene.manager else scene.manager, asked.pk)

    def _bulk_row(self, who: Person, pay_system_id: int) -> RunRow:
        offer = self.scene.offer(self.due, who)
        run = BulkRun.objects.create(
            portal=self.scene.row, user_id=who.user_id, state=RunState.RUNNING
        )
        return RunRow.objects.create(
            run=run,
            position=1,
            kind=self.plan.kind,
            payment_id=offer.payment_id,
            account_number=offer.account_number,
            pay_system_id=pay_system_id,
            sum=offer.sum,
            currency=offer.currency,
            offer=seal(offer),
        )

    def _end_bulk_run(self, row: RunRow) -> None:
        """The person opens the page of the run again, and it goes on to its end."""
        runs = BulkRun.objects.filter(pk=row.run_id)
        for _ in range(LOOKS):
            if runs.get().is_over:
                break
            runs.update(state=RunState.RUNNING, stepping_until=None, next_step_at=None)
            who = self.scene.manager
            task = self.scene.task("step", self.due, who, row=row.pk)
            self._after(self.scene.run(task))
            self._settle()
        row.refresh_from_db()
        assert runs.get().state == RunState.FINISHED, "a run without an end"
        assert row.state == RowState.TRIED
        assert row.attempt in attempts_on(self.due)
        self.numbers[f"runs of several payments: {self.plan.kind.label}"] += 1

    def _press(self, tasks: list[dict[str, Any]]) -> None:
        kill, pid = self.plan.kill, Future[int]()
        if kill is not None and kill.method:
            method = self.move if kill.method == MOVE else kill.method
            fault = Fault("delay", method, kill.side, seconds=0, on_hit=killer(pid))
            fault.user_id = tasks[0]["user_id"]
            self.scene.sandbox.faults.add(fault)
        elif kill is not None:
            tasks[0]["kill"] = kill.of_step(self.move)
        processes = self.scene.processes
        children = [processes.start(task) for task in tasks]
        pid.set_result(children[0].pid)
        for child in children:
            processes.end(child)
            self._after(child)
            if not child.killed and child.answer["shown"] in SHOWN_AS_PAID:
                assert self._was_said("Y"), "shown Paid, which the portal has not said"

    def _look(self, do: str) -> None:
        kill = self.plan.kill_of_look if not self.is_repaired else None
        task = self.scene.task(
            do,
            self.due,
            patience=IMPATIENCE if self.plan.is_slow and not self.is_repaired else PATIENCE,
            kill=kill and kill.of_step(self.move),
        )
        child = self.scene.processes.run(task)
        self._after(child)
        self.numbers[f"looks by {do}"] += 1
        if child.killed:
            self.numbers["looks killed"] += 1
        elif do == "reconcile":
            assert child.answer["failed"] == 0
        else:
            assert child.said.get("expected", True), child.said

    def _after(self, child: Child) -> None:
        """Checks what must hold whenever a process has ended."""
        self.numbers["processes"] += 1
        self.numbers["processes killed"] += child.killed
        for attempt in attempts_on(self.due):
            if attempt.state in (State.PAID, State.UNDONE) and attempt.pk not in self.known:
                said = attempt.evidence["paid"]
                assert self._was_said(said), "recorded, and the portal has not said so"
                assert said == ("Y" if attempt.state == State.PAID else "N") or attempt.reason
                self.known.add(attempt.pk)

    def _was_said(self, paid: str) -> bool:
        """Only this run has asked for its payment."""
        return (self.due.payment.id, paid) in self.scene.sandbox.said_at

    def _settle(self) -> None:
        """The portal answers again, people open the app again, time goes by."""
        self.scene.reopen()
        looks = list(self.plan.looks)
        for passes in range(LOOKS):
            if not any(attempt.is_open for attempt in attempts_on(self.due)):
                self.numbers[f"settled after {passes:2} looks"] += 1
                return
            move_on(LOOK_EVERY)
            self._look(looks.pop(0) if looks else "reconcile")
            self.is_repaired = True
        raise AssertionError("open for ever")

    def _check_end(self) -> None:
        payment, attempts, by_hand = self.due.payment, attempts_on(self.due), self.by_hand
        paid_by_app = payment.times_paid - by_hand["pay"]
        unpaid = payment.times_paid - payment.paid
        unpaid_by_app = unpaid - by_hand["unpay"]
        moves = [one for one in attempts if one.state in (State.PAID, State.UNDONE)]
        paid = [one for one in moves if one.state == State.PAID]
        twice = 0
        for kind, method in MOVES.items():
            told = self.scene.told(method, since=self.since)
            sent = sum(one.kind == kind and one.sent_at is not None for one in attempts)
            twice += max(0, told - sent)
            self.numbers[f"sent: {kind.label}"] += told
        assert not twice, "sent twice"
        assert paid_by_app <= 1 + unpaid, "paid twice"
        assert len(paid) <= payment.times_paid, "in the history, and was never paid"
        assert len(moves) - len(paid) <= unpaid, "in the history, and was never undone"
        if not by_hand:
            assert len(paid) == paid_by_app, "paid, and lost from the history"
            assert len(moves) - len(paid) == unpaid_by_app, "undone, and lost from the history"
            assert bool(moves and moves[-1].state == State.PAID) == payment.paid
            assert not any(one.reason for one in moves)
        if paid_by_app and not unpaid:
            assert [one.user_id for one in paid] == [payment.emp_paid_id], "lost"
        for attempt in paid:
            if not paid_by_app:
                assert attempt.reason == reasons.PAID_BY_OTHER
        assert (self.scene.shown(self.due) in SHOWN_AS_PAID) == payment.paid
        self._check_ledger(attempts)
        self._check_approvals(attempts)
        self._check_secrets(attempts)
        self.numbers["runs"] += 1
        self.numbers["paid by the app"] += paid_by_app
        self.numbers["undone by the app"] += unpaid_by_app
        self.numbers["paid or unpaid by hand meanwhile"] += by_hand.total()
        self.numbers["sent twice"] += twice
        self.numbers["paid twice"] += max(0, paid_by_app - 1 - unpaid)
        for attempt in attempts:
            self.numbers[f"ended: {attempt.kind} {attempt.state} {attempt.reason}".strip()] += 1

    def _pay_after(self) -> None:
        """Pressing Pay now pays what is unpaid, and nothing else."""
        payment = self.due.payment
        may_be_paid = not payment.paid and not self.order.canceled
        told, times_paid = self.scene.told(self.move), payment.times_paid
        task = self.scene.task("pay", self.due, self.scene.admin)
        answer = self.scene.run(task).answer
        assert answer["state"] == (State.PAID if may_be_paid else State.REFUSED)
        assert self.scene.told(self.move) - told == may_be_paid
        assert payment.times_paid - times_paid == may_be_paid
        self.numbers["paid once settled"] += may_be_paid

    def _check_ledger(self, attempts: list[Attempt]) -> None:
        """Each outcome is in the chain, and the last entry of each says how it ended."""
        for attempt in attempts:
            entries = list(Entry.objects.filter(attempt_id=attempt.pk).order_by("number"))
            events = [entry.event for entry in entries]
            assert events, "ended, and no entry says so"
            assert entries[-1].facts["state"] == attempt.state, "ended otherwise in the ledger"
            assert events.count(attempt.state) == 1, events
            self.numbers["entries in the ledger"] += len(events)

    def _check_approvals(self, attempts: list[Attempt]) -> None:
        """Above the limit nothing is sent without an unused approval."""
        if not self.plan.approval or self.plan.kind == Kind.UNDO:
            return
        left_us = [one for one in attempts if one.sent_at and one.reason != reasons.NOT_REACHED]
        used = [one.approval_id for one in left_us]
        assert None not in used, "sent without an approval"
        assert len(set(used)) == len(used), "an approval was used twice"
        states = Approval.objects.filter(pk__in=used).values_list("state", flat=True)
        assert set(states) <= {ApprovalState.USED}
        self.numbers["sent by an approval"] += len(used)
        self.numbers["refused for want of an approval"] += sum(
            one.reason == reasons.NEEDS_APPROVAL for one in attempts
        )

    def _check_secrets(self, attempts: list[Attempt]) -> None:
        kept = json.dumps([[one.evidence, one.note, one.reason] for one in attempts])
        for token in self.scene.sandbox.world.tokens.values():
            assert token.access not in kept
            assert token.refresh not in kept

    def _meddle(self, moment: str) -> None:
        for meddling in self.plan.meddling:
            if meddling.moment == moment:
                self._act(meddling.action)

    def _meddle_in_request(self, meddling: Meddling) -> None:
        act: Callable[[], None] = partial(self._act, meddling.action)
        method = self.move if meddling.moment == MOVE else meddling.moment
        self.scene.sandbox.faults.add(Fault("delay", method, meddling.when, seconds=0, on_hit=act))

    def _go_away(self) -> None:
        self.numbers["runs whose portal went away after the move"] += 1
        self.scene.sandbox.faults.add(Fault(self.plan.away, times=None))

    def _act(self, action: str) -> None:
        payment = self.due.payment
        with self.scene.sandbox.world.lock:
            if action == "cancel":
                self.order.canceled = True
            elif action == "pay" and not payment.paid and not self.order.canceled:
                payment.paid, payment.emp_paid_id = True, seed.SETTINGS_ADMIN
                payment.date_paid = timezone.now()
                payment.times_paid += 1
                self.by_hand[action] += 1
            elif action == "unpay" and payment.paid:
                payment.paid = False
                self.by_hand[action] += 1


def _release(faults: list[Fault]) -> None:
    for fault in faults:
        fault.release.set()
