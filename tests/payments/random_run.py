"""One random run: what is drawn for it, how it goes, and what has to hold after it.

`python -m tests.payments.random_run` adds up the numbers that the runs of a test printed.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from payments import reasons
from payments.models import Attempt, State
from sandbox import seed
from sandbox.faults import Fault, Kind
from tests.payments import stage
from tests.payments.killing import (
    IMPATIENCE,
    LOOK_EVERY,
    LOOKS,
    PATIENCE,
    Child,
    Due,
    Scene,
    attempts_on,
    killer,
    move_on,
)

REBIND = "crm.item.payment.update"
METHODS = (
    *(stage.PAY,) * 5,
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
    *((f"http {stage.PAY}", nth) for nth in (1, 1)),
    *((f"http {stage.READ_BACK}", nth) for nth in (1, 1)),
    (f"http {stage.KEPT}", 1),
    (f"http {REBIND}", 1),
    ("SELECT b24app_usertoken", 1),
    ("end", 1),
)
SIDES = ("before", "after")
NUMBERS = "numbers of random runs: "


@dataclass(frozen=True)
class PlannedFault:
    kind: str
    method: str | None
    when: str
    times: int | None

    def switched_on(self) -> Fault:
        """A delay is one that nobody waits for; what is cut off is so at once."""
        seconds = IMPATIENCE * 1.5 if self.kind == Kind.DELAY else 0
        return Fault(self.kind, self.method, self.when, self.times, seconds)


@dataclass(frozen=True)
class PlannedKill:
    """At a step of the first payer's own, or (`method`) in a request, while the portal works."""

    step: str = ""
    nth: int = 1
    side: str = "before"
    method: str | None = None

    @property
    def of_step(self) -> dict[str, Any] | None:
        if not self.step:
            return None
        return {"step": self.step, "nth": self.nth, "side": self.side}


@dataclass(frozen=True)
class Meddling:
    """What somebody does in the CRM; `moment` is "before" or "between" paying and settling, or the
    method that is being asked just then."""

    action: str
    moment: str
    when: str = "before"


@dataclass(frozen=True)
class Plan:
    number: int
    system: str
    payers: int
    faults: tuple[PlannedFault, ...]
    kill: PlannedKill | None
    meddling: tuple[Meddling, ...]
    is_late: bool  # what is held back goes on only after somebody has looked
    is_down: bool  # the portal cannot be read when it is looked at for the first time
    has_event: bool
    looks: tuple[str, ...]
    kill_of_look: PlannedKill | None

    @property
    def is_slow(self) -> bool:
        return any(fault.kind in (Kind.DELAY, Kind.HOLD) for fault in self.faults)


def draw(number: int) -> Plan:
    """The plan of the run with this number: always the same."""
    dice = random.Random(number)
    return Plan(
        number=number,
        system=dice.choice(("bound",) * 6 + ("rebind", "rebind", "silent", "inactive")),
        payers=dice.choice((1, 1, 2)),
        faults=tuple(_fault(dice) for _ in range(dice.choice((0, 1, 1, 1, 2)))),
        kill=_kill(dice) if dice.random() < 0.5 else None,
        meddling=tuple(_meddling(dice) for _ in range(dice.choice((0, 0, 0, 1, 1, 2)))),
        is_late=dice.random() < 0.5,
        is_down=dice.random() < 0.15,
        has_event=dice.random() < 0.4,
        looks=tuple(dice.choice(("check", "reconcile", "reconcile")) for _ in range(2)),
        kill_of_look=_kill_of_look(dice) if dice.random() < 0.25 else None,
    )


def _fault(dice: random.Random) -> PlannedFault:
    kind = dice.choice(list(Kind))
    method = dice.choice(METHODS)
    if kind == Kind.TRUE_WITHOUT_PAYMENT:
        method = stage.PAY
    return PlannedFault(kind, method, dice.choice(SIDES), dice.choice((1, 1, 1, 2, None)))


def _kill(dice: random.Random) -> PlannedKill:
    if dice.random() < 0.5:
        method = dice.choice((stage.PAY, stage.PAY, stage.KEPT, stage.READ_BACK, REBIND))
        return PlannedKill(method=method, side=dice.choice(SIDES))
    step, nth = dice.choice(STEPS)
    return PlannedKill(step, nth, "before" if step == "end" else dice.choice(SIDES))


def _kill_of_look(dice: random.Random) -> PlannedKill:
    step = dice.choice(("UPDATE payments_attempt", f"http {stage.KEPT}", "end"))
    nth = dice.choice((1, 1, 2)) if step.startswith("UPDATE") else 1
    return PlannedKill(step, nth, "before" if step == "end" else dice.choice(SIDES))


def _meddling(dice: random.Random) -> Meddling:
    action = dice.choice(("pay", "pay", "unpay", "unpay", "cancel"))
    moments = ("before", "between", stage.KEPT, stage.PAY, stage.READ_BACK)
    return Meddling(action, dice.choice(moments), dice.choice(SIDES))


class Run:
    """A plan carried out on a payment of its own."""

    def __init__(self, scene: Scene, plan: Plan, numbers: Counter[str]) -> None:
        self.scene = scene
        self.plan = plan
        self.numbers = numbers
        self.due: Due = scene.due()
        self.order = scene.alpha.orders[self.due.payment.order_id]
        self.since = len(scene.sandbox.log)
        self.started_at = timezone.now()
        self.paid_by_hand = 0  # how often somebody in the CRM made it paid
        self.unpaid = 0
        self.known_paid: set[int] = set()
        self.reopened = False

    def carry_out(self) -> None:
        plan, sandbox = self.plan, self.scene.sandbox
        # An older attempt to look at would tell two runs apart no more.
        assert not Attempt.objects.still_open().exists()
        tasks = self._tasks()
        self._meddle("before")
        faults = [sandbox.faults.add(fault.switched_on()) for fault in plan.faults]
        for meddling in plan.meddling:
            if meddling.moment not in ("before", "between"):
                self._meddle_in_request(meddling)
        children = self._pay(tasks)
        if not plan.is_late:
            _release(faults)
        self._meddle("between")
        if plan.has_event:
            self._look("saved")
        if plan.is_down:
            sandbox.faults.add(Fault("html502", stage.KEPT, times=None))
            self._look(plan.looks[0])
        elif plan.is_late:
            self._look("check")
        _release(faults)
        sandbox.wait_until_quiet()
        sandbox.faults.clear()
        self._count_faults(faults)
        self._settle()
        self._check_end(children)

    def _tasks(self) -> list[dict[str, Any]]:
        """What the payers press, on pages that they opened before anything happened."""
        payment, alpha = self.due.payment, self.scene.alpha
        if self.plan.system == "silent":
            payment.pay_system_id = seed.CASH
        patience = IMPATIENCE if self.plan.is_slow else PATIENCE
        chosen = seed.DEMO_CARD_PAY if self.plan.system == "rebind" else payment.pay_system_id
        people = [self.scene.manager, self.scene.admin][: self.plan.payers]
        tasks = [
            self.scene.task("pay", self.due, who, pay_system_id=chosen, patience=patience)
            for who in people
        ]
        alpha.pay_systems[seed.ACME_PAY].active = self.plan.system != "inactive"
        return tasks

    def _pay(self, tasks: list[dict[str, Any]]) -> list[Child]:
        kill, pid = self.plan.kill, Future[int]()
        if kill is not None and kill.method:
            fault = Fault("delay", kill.method, kill.side, seconds=0, on_hit=killer(pid))
            fault.user_id = self.scene.manager.user_id
            self.scene.sandbox.faults.add(fault)
        elif kill is not None:
            tasks[0]["kill"] = kill.of_step
        processes = self.scene.processes
        children = [processes.start(task) for task in tasks]
        pid.set_result(children[0].pid)
        for child in children:
            processes.end(child)
            self._after(child)
            if not child.killed:
                answer = child.answer
                if answer["shown"] == State.PAID:
                    assert self._was_said_paid(), "shown Paid, which the portal has not said"
        return children

    def _look(self, do: str) -> Child:
        kill = None
        if self.plan.kill_of_look is not None and not self.reopened:
            kill = self.plan.kill_of_look.of_step
        patience = IMPATIENCE if self.plan.is_slow and not self.reopened else PATIENCE
        task = self.scene.task(do, self.due, patience=patience, kill=kill)
        child = self.scene.processes.run(task)
        self._after(child)
        if not child.killed and "failed" in child.said:
            assert child.said["expected"], child.said
            assert do != "reconcile", child.said
        self.numbers[f"looks by {do}"] += 1
        return child

    def _after(self, child: Child) -> None:
        """What has to hold whenever a process has ended."""
        self.numbers["processes killed"] += child.killed
        for attempt in attempts_on(self.due):
            if attempt.state == State.PAID and attempt.pk not in self.known_paid:
                assert self._was_said_paid(), "recorded as paid, which the portal has not said"
                assert attempt.evidence["paid"] == "Y"
                self.known_paid.add(attempt.pk)

    def _was_said_paid(self) -> bool:
        at = self.scene.sandbox.said_paid_at.get(self.due.payment.id)
        return at is not None and at >= self.started_at.timestamp()

    def _settle(self) -> None:
        """The portal answers again, people open the app again, time goes by."""
        self.scene.reopen()
        looks = list(self.plan.looks)
        for passes in range(LOOKS):
            if not any(attempt.is_open for attempt in attempts_on(self.due)):
                self.numbers[f"settled after {passes} looks"] += 1
                return
            move_on(LOOK_EVERY)
            self._look(looks.pop(0) if looks else "reconcile")
            self.reopened = True
        raise AssertionError("open for ever")

    def _check_end(self, children: list[Child]) -> None:
        payment, attempts = self.due.payment, attempts_on(self.due)
        told = self.scene.told_to_pay(since=self.since)
        sent = [attempt for attempt in attempts if attempt.sent_at is not None]
        paid = [attempt for attempt in attempts if attempt.state == State.PAID]
        paid_by_app = payment.times_paid - self.paid_by_hand
        assert told <= len(sent), "sent twice"
        assert paid_by_app <= 1 + self.unpaid, "paid twice"
        assert len(paid) <= 1 + self.unpaid, "in the history twice"
        if paid_by_app:
            assert sent, "paid, and not in the history"
        if not self.unpaid:
            assert bool(paid) <= payment.paid
            if paid_by_app:
                assert [one.user_id for one in paid] == [payment.emp_paid_id], "lost"
                assert paid[0].reason == ""
        for attempt in paid:
            if payment.emp_paid_id == seed.SETTINGS_ADMIN and not self.unpaid:
                assert attempt.reason == reasons.PAID_BY_OTHER
        assert (self.scene.shown(self.due) == "paid") == payment.paid
        self._check_secrets(attempts)
        self.numbers["runs"] += 1
        self.numbers["payments sent"] += told
        self.numbers["paid by the app"] += paid_by_app
        self.numbers["paid by hand"] += self.paid_by_hand
        self.numbers["sent twice"] += max(0, told - len(sent))
        self.numbers["paid twice"] += max(0, paid_by_app - 1 - self.unpaid)
        for attempt in attempts:
            self.numbers[f"attempts {attempt.state} {attempt.reason}".strip()] += 1

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
        act: Callable[[], None] = lambda: self._act(meddling.action)  # noqa: E731
        self.scene.sandbox.faults.add(
            Fault("delay", meddling.moment, meddling.when, seconds=0, on_hit=act)
        )

    def _act(self, action: str) -> None:
        payment = self.due.payment
        with self.scene.sandbox.world.lock:
            if action == "cancel":
                self.order.canceled = True
            elif action == "pay" and not payment.paid and not self.order.canceled:
                payment.paid, payment.emp_paid_id = True, seed.SETTINGS_ADMIN
                payment.date_paid = timezone.now()
                payment.times_paid += 1
                self.paid_by_hand += 1
            elif action == "unpay" and payment.paid:
                payment.paid = False
                self.unpaid += 1

    def _count_faults(self, faults: list[Fault]) -> None:
        for fault in faults:
            self.numbers[f"struck by {fault.kind}"] += fault.hits


def _release(faults: list[Fault]) -> None:
    for fault in faults:
        fault.release.set()


def shown(numbers: Counter[str]) -> str:
    return NUMBERS + json.dumps(dict(sorted(numbers.items())))


def main() -> None:
    total: Counter[str] = Counter()
    for line in sys.stdin:
        if line.startswith(NUMBERS):
            total.update(json.loads(line.removeprefix(NUMBERS)))
    for name, count in sorted(total.items()):
        sys.stdout.write(f"{count:7} {name}\n")


if __name__ == "__main__":
    main()
