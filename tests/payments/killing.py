"""Runs a Bitrix24 on ports and the app's processes beside it, and kills them at chosen steps."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import DateTimeField, F
from django.utils import timezone

from b24app.identity.session import Person
from b24app.tokens import store
from payments.gateway import DEAL, Owner
from payments.listing.status import status_of
from payments.models import Attempt
from payments.offer import Offer, seal
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.server.ports import PortServers, running
from sandbox.server.wsgi import Pause
from sandbox.wire.http import Request, Response
from sandbox.world import seed
from sandbox.world.world import Payment, Portal
from tests.payments import stage

# PATIENCE is longer than a loaded machine needs for an answer. IMPATIENCE is for runs in which no
# answer comes.
PATIENCE, IMPATIENCE = 15.0, 0.3
# The states of a row whose payment is paid.
SHOWN_AS_PAID = ("paid", "marked")
DEATH_SECONDS = 10

Task = dict[str, Any]


class WatchedSandbox(Sandbox):
    """Records what it returned for each payment, and knows when no request is under way."""

    def __init__(self, oauth_url: str, portal_urls: tuple[str, str]) -> None:
        super().__init__(
            seed.demo_world(
                oauth_url=oauth_url, portal_urls=portal_urls, app_url="http://localhost:8000"
            )
        )
        # When it last returned a payment as paid ("Y") or unpaid, by the machine's clock.
        self.said_at: dict[tuple[int, str], float] = {}
        self._under_way = 0
        self._ended = threading.Condition()

    def respond(self, request: Request, pause: Pause) -> Response:
        with self._ended:
            self._under_way += 1
        try:
            response = super().respond(request, pause)
            if not response.close:
                self.said_at |= dict.fromkeys(_said_in(response.body), time.time())
            return response
        finally:
            with self._ended:
                self._under_way -= 1
                self._ended.notify_all()

    def wait_until_quiet(self) -> None:
        """Waits until requests of killed processes have been carried out as well."""
        with self._ended:
            assert self._ended.wait_for(lambda: self._under_way == 0, timeout=DEATH_SECONDS)


def _said_in(body: bytes) -> set[tuple[int, str]]:
    """Returns the payments of an answer, with what it says of each."""
    try:
        return set(_payment_rows(json.loads(body)))
    except ValueError:
        return set()


def _payment_rows(value: Any) -> Iterator[tuple[int, str]]:
    if isinstance(value, dict):
        if "paid" in value and "id" in value:
            yield int(value["id"]), value["paid"]
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _payment_rows(part)


@dataclass
class Child:
    """One process of the app; after waiting, `killed` and its result are known."""

    pid: int
    killed: bool = False
    said: dict[str, Any] = field(default_factory=dict)

    @property
    def answer(self) -> Any:
        assert "answer" in self.said, self.said
        return self.said["answer"]


class Processes:
    """Starts a new process of the app for each task."""

    def __init__(self) -> None:
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the others
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "tests.payments.killed_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            cwd=settings.BASE_DIR,
            text=True,
        )
        self._said: dict[int, dict[str, Any]] = {}

    def start(self, task: Task) -> Child:
        self._tell({"run": task})
        return Child(self._heard("pid")["pid"])

    def end(self, child: Child) -> Child:
        """Waits until it has ended, in either way."""
        self._tell({"wait": child.pid})
        child.killed = self._heard("ended")["killed"]
        child.said = self._said.pop(child.pid, {})
        return child

    def run(self, task: Task) -> Child:
        return self.end(self.start(task))

    def logged(self) -> str:
        self.errors.seek(0)
        return self.errors.read().decode()

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(DEATH_SECONDS)
        self._process.stdout.close()
        self.errors.close()

    def _tell(self, order: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()

    def _heard(self, key: str) -> dict[str, Any]:
        """Returns the next line with this key; lines of other children are kept for them."""
        assert self._process.stdout is not None
        while True:
            line = self._process.stdout.readline()
            assert line, f"the process is gone: {self.logged()}"
            words: dict[str, Any] = json.loads(line)
            if key in words:
                return words
            self._said[words["of"]] = words


def kill(pid: int) -> None:
    """Kill a process and return when it is dead."""
    watched = os.pidfd_open(pid)
    try:
        os.kill(pid, signal.SIGKILL)
        assert select.select([watched], [], [], DEATH_SECONDS)[0], "it does not die"
    finally:
        os.close(watched)


def killer(pid: Future[int]) -> Callable[[], None]:
    """Returns a fault's action that kills a process whose id is known only later."""
    return lambda: kill(pid.result(DEATH_SECONDS))


@dataclass(frozen=True)
class Due:
    """An unpaid payment with a deal of its own."""

    payment: Payment
    owner: Owner


class Scene:
    """The app installed on that Bitrix24, with people who pay in processes that can be killed."""

    def __init__(self, sandbox: WatchedSandbox, processes: Processes) -> None:
        self.sandbox = sandbox
        self.processes = processes
        self.alpha: Portal = sandbox.world.portals[seed.ALPHA]
        self.row = stage.install(sandbox, self.alpha)
        self.manager = stage.person(sandbox, self.row, seed.MANAGER)
        self.admin = stage.person(sandbox, self.row, seed.ADMIN)
        # Every process of this machine calls as fast as it can.
        self.alpha.bucket_size = 10**6

    def reopen(self) -> None:
        """Every person opens the app again, which replaces tokens that were lost with a process."""
        store.store_portal_pair(self.row, stage.pair(self.sandbox, self.alpha, seed.ADMIN))
        for who in (self.manager, self.admin):
            stage.person(self.sandbox, self.row, who.user_id)

    def due(self, *, pay_system_id: int = seed.ACME_PAY) -> Due:
        with self.sandbox.world.lock:
            payment = self.alpha.payments[seed.fill(self.alpha, 1)[0]]
            payment.pay_system_id = pay_system_id
            (type_id, deal_id), *_ = self.alpha.orders[payment.order_id].bindings
            assert type_id == DEAL
            title = self.alpha.items[type_id, deal_id].title
        return Due(payment, Owner(DEAL, deal_id, title))

    def offer(self, due: Due, who: Person) -> Offer:
        """Returns the offer that the deal's tab shows this person."""
        payment = due.payment
        return Offer(
            portal_id=self.row.pk,
            user_id=who.user_id,
            payment_id=payment.id,
            account_number=payment.account_number,
            order_id=None,
            owner=due.owner,
            sum=payment.sum,
            currency=payment.currency,
            pay_system_id=payment.pay_system_id,
            pay_system_name=self.alpha.pay_systems[payment.pay_system_id].name,
            made_at=timezone.now(),
        )

    def task(self, do: str, due: Due, who: Person | None = None, **more: Any) -> Task:
        who = who or self.manager
        return {
            "do": do,
            "database": str(connection.settings_dict["NAME"]),
            "oauth_url": self.sandbox.world.oauth_url,
            "patience": PATIENCE,
            "user_id": who.user_id,
            "payment_id": due.payment.id,
            "offer": seal(self.offer(due, who)),
            "pay_system_id": due.payment.pay_system_id,
            **more,
        }

    def run(self, task: Task, *, kill_at: Fault | None = None, once: str | None = None) -> Child:
        """Runs the task in a new process, killed when it meets the fault (once the method `once`
        has been carried out), and waits until the portal has finished its requests."""
        if kill_at is None:
            child = self.processes.run(task)
        else:
            pid: Future[int] = Future()
            kill_at.on_hit = killer(pid)
            self._add(kill_at, once)
            child = self.processes.start(task)
            pid.set_result(child.pid)
            self.processes.end(child)
        self.sandbox.wait_until_quiet()
        return child

    def _add(self, fault: Fault, once: str | None) -> None:
        def add() -> None:
            self.sandbox.faults.add(fault)

        if once is None:
            add()
        else:
            self.sandbox.faults.add(Fault("delay", once, "after", seconds=0, on_hit=add))

    def reconcile_as_command(self) -> None:
        """Runs `manage.py reconcile` as cron does, in a process of its own."""
        done = subprocess.run(
            [sys.executable, "manage.py", "reconcile"],
            cwd=settings.BASE_DIR,
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "tests.settings",
                "DATABASE_URL": _database_url(),
            },
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr

    def shown(self, due: Due) -> str:
        """Returns the payment's state as the deal's tab shows it."""
        listing = stage.tab(self.manager, due.owner.id)
        row = stage.row_of(listing, due.payment.id)
        return status_of(row, may_pay=listing.may_pay, names=listing.names).state

    def told(self, method: str, *, since: int = 0) -> int:
        """Returns how often the portal was asked for this, with an effect or without."""
        return sum(method in call.methods for call in self.sandbox.log[since:])


def _database_url() -> str:
    """Returns the tests' database as a URL, for a program that reads it from the environment."""
    name = str(connection.settings_dict["NAME"])
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    return f"{os.environ['DATABASE_URL'].rpartition('/')[0]}/{name}"


def move_on(by: timedelta) -> None:
    """Let time pass: whatever was written down about an open attempt, was so much earlier.

    The rows are moved instead of the clock, so that the processes that come next run as they are,
    and their clock is the machine's.
    """
    moved = {
        column.name: F(column.name) - by
        for column in Attempt._meta.get_fields()
        if isinstance(column, DateTimeField)
    }
    Attempt.objects.still_open().update(**moved)


def attempts_on(due: Due) -> list[Attempt]:
    return list(Attempt.objects.filter(payment_id=due.payment.id).order_by("pk"))


@contextmanager
def app_processes() -> Iterator[Processes]:
    processes = Processes()
    try:
        yield processes
    finally:
        processes.close()


@contextmanager
def scene(processes: Processes) -> Iterator[Scene]:
    servers = PortServers((0, 0, 0))
    oauth_url, *portal_urls = (f"http://127.0.0.1:{port}" for port in servers.ports)
    sandbox = WatchedSandbox(oauth_url, (portal_urls[0], portal_urls[1]))
    with running(sandbox, servers):
        yield Scene(sandbox, processes)


# As cron does. An attempt is read again and again, and the first run that is not killed settles
# it; one that died holds it up for its lease.
LOOKS = 12
LOOK_EVERY = timedelta(minutes=4)


def settle(scene: Scene, due: Due, *, as_command: bool = True) -> int:
    """Lets time pass and reconciles as cron does, until no attempt on the payment is open; returns
    the number of passes."""
    for passes in range(LOOKS):
        if not Attempt.objects.filter(payment_id=due.payment.id).still_open().exists():
            return passes
        move_on(LOOK_EVERY)
        if as_command:
            scene.reconcile_as_command()
        else:
            scene.run(scene.task("reconcile", due)).answer  # noqa: B018
    raise AssertionError(f"open for ever: {attempts_on(due)}")
