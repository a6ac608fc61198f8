"""A process that carries out tasks in children of its own, which can be killed at any step.

`python -m tests.payments.killed_process` reads lines of JSON. It stays single-threaded and holds no
connection, so that forking it is safe; each child opens its own, as a new process does.

    {"run": task}  forks a child                        -> {"pid": 4711}
    {"wait": 4711} waits until it has ended, or is dead -> {"ended": 4711, "killed": true}

Steps are counted where every step of the app shows, whatever its functions are called: before and
after each statement to the database and each request to Bitrix24. The step "end" is the task's own.
A child kills itself there by SIGKILL: no handler, no `finally`, no rollback of its own.
"""

from __future__ import annotations

import gc
import json
import os
import re
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import django
import requests
from requests.adapters import BaseAdapter

_STATEMENT = re.compile(
    r'(INSERT) INTO "(\w+)"|(UPDATE) "(\w+)"|(DELETE) FROM "(\w+)"|(SELECT) .*? FROM "(\w+)"', re.S
)

Task = dict[str, Any]


class Steps:
    """Counts the steps of a task, and kills the process at the given one. `kill` is {"step": label,
    "nth": 1, "side": "before" or "after"}."""

    def __init__(self, kill: Mapping[str, Any] | None) -> None:
        self._kill = kill
        self._lock = threading.Lock()
        self._count: Counter[str] = Counter()
        self.seen: list[tuple[str, int]] = []

    def begin(self, step: str) -> int:
        with self._lock:
            self._count[step] += 1
            nth = self._count[step]
            self.seen.append((step, nth))
        self._die_at(step, nth, "before")
        return nth

    def end(self, step: str, nth: int) -> None:
        self._die_at(step, nth, "after")

    def _die_at(self, step: str, nth: int, side: str) -> None:
        if self._kill == {"step": step, "nth": nth, "side": side}:
            os.kill(os.getpid(), signal.SIGKILL)

    def statement(
        self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        """A wrapper as Django's `connection.execute_wrapper` takes it."""
        found = _STATEMENT.match(sql)
        step = " ".join(part for part in found.groups() if part) if found else sql.split()[0]
        nth = self.begin(step)
        result = execute(sql, params, many, context)
        self.end(step, nth)
        return result


class SteppingAdapter(BaseAdapter):
    """The app's own adapter with a step around each request."""

    def __init__(self, usual: BaseAdapter, steps: Steps) -> None:
        super().__init__()
        self._usual = usual
        self._steps = steps

    def send(self, request: requests.PreparedRequest, *args: Any, **more: Any) -> requests.Response:
        step = f"http {(request.url or '').rsplit('/rest/', 1)[-1].rstrip('/')}"
        nth = self._steps.begin(step)
        response = self._usual.send(request, *args, **more)
        self._steps.end(step, nth)
        return response

    def close(self) -> None:
        self._usual.close()


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    django.setup()
    import_all()
    gc.freeze()
    for line in sys.stdin:
        order = json.loads(line)
        if "run" in order:
            assert threading.active_count() == 1
            pid = os.fork()
            if pid == 0:
                try:
                    run(order["run"])
                finally:
                    os._exit(0)
            say(pid=pid)
        else:
            pid, status = os.waitpid(order["wait"], 0)
            say(ended=pid, killed=os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL)


def import_all() -> None:
    """Imports what a child would otherwise import each time."""
    for name in (
        "b24app.rest.client",
        "payments.bulk.step",
        "payments.attempts.pay",
        "payments.attempts.reconcile",
        "payments.listing.status",
        "payments.attempts.undo",
    ):
        import_module(name)


def run(task: Task) -> None:
    """Runs a task in a child; returns its result or its error."""
    from django.conf import settings
    from django.db import connections
    from django.db.backends.signals import connection_created

    from b24app.errors import B24Error
    from b24app.rest import client, transport

    connections["default"].settings_dict["NAME"] = task["database"]
    settings.DATABASES["default"]["NAME"] = task["database"]
    settings.B24_OAUTH_URL = task["oauth_url"]
    client.pause = lambda seconds: None
    client.READ_TIMEOUT = client.WRITE_TIMEOUT = (5.0, task["patience"])
    steps = Steps(task.get("kill"))

    def watch(connection: Any, **kwargs: object) -> None:
        connection.execute_wrappers.append(steps.statement)

    connection_created.connect(watch)
    with transport.use_adapter(SteppingAdapter(transport.mounted_adapter(), steps)):
        try:
            answer = {"answer": TASKS[task["do"]](task)}
            steps.begin("end")
        except Exception as error:  # noqa: BLE001 - the parent is told, whatever it is
            name = type(error).__name__
            answer = {"failed": name, "expected": isinstance(error, B24Error), "why": str(error)}
    if task.get("list_steps"):
        answer["steps"] = steps.seen
    say(of=os.getpid(), **answer)


def act(task: Task) -> Any:
    """Does what a person presses; returns what they are shown, and the data behind it."""
    from django.utils import timezone

    from b24app.identity.session import Person
    from b24app.models import Portal
    from payments.attempts.mark_paid import mark
    from payments.attempts.pay import pay
    from payments.attempts.settle import check
    from payments.attempts.undo import undo
    from payments.bulk.step import step
    from payments.listing.status import status_after
    from payments.models import Attempt, RunRow
    from payments.offer import open_offer

    who = Person(Portal.objects.get(), task["user_id"], proved_at=timezone.now())
    offer = open_offer(task["offer"], who)

    def take_a_step() -> Attempt | None:
        row = RunRow.objects.select_related("run").get(pk=task["row"])
        step(who, row.run)
        row.refresh_from_db()
        return row.attempt

    acts: dict[str, Callable[[], Attempt | None]] = {
        "pay": lambda: pay(who, offer, pay_system_id=task["pay_system_id"]),
        "mark": lambda: mark(who, offer),
        "undo": lambda: undo(who, offer, note="Paid by mistake"),
        "check": lambda: check(who, offer),
        "step": take_a_step,
    }
    attempt = acts[task["do"]]()
    shown = status_after(offer, attempt).state
    return {"pk": attempt and attempt.pk, "state": attempt and attempt.state, "shown": shown}


def saved(task: Task) -> Any:
    """Handles the portal's event, as the queue of events does."""
    from b24app.models import Portal
    from b24app.signals import Later, payment_saved

    try:
        payment_saved.send(Portal, portal=Portal.objects.get(), payment_id=task["payment_id"])
    except Later:
        return "later"
    return "done"


def reconcile(task: Task) -> Any:
    from dataclasses import asdict

    from payments.attempts.reconcile import reconcile as reconcile_all

    return asdict(reconcile_all())


TASKS: dict[str, Callable[[Task], Any]] = {
    **dict.fromkeys(("pay", "mark", "undo", "check", "step"), act),
    "saved": saved,
    "reconcile": reconcile,
}


def say(**words: Any) -> None:
    """Writes one line, short enough to stay whole between those of other children."""
    os.write(1, (json.dumps(words) + "\n").encode())


if __name__ == "__main__":
    main()
