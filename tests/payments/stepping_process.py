"""Takes one step of a run for each line that comes: `python -m tests.payments.stepping_process`.

`dies_at` names a place in the code, as module:function; when that is reached, the process kills
itself as the operating system does when memory runs out: nothing is cleaned up.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from typing import Any

from tests.payments.child import begin, say


def main() -> None:
    task = begin()
    from django.utils import timezone

    from b24app.identity.session import Person
    from b24app.models import Portal
    from payments.bulk.runs import run_of
    from payments.bulk.step import step

    person = Person(Portal.objects.get(), task["user_id"], proved_at=timezone.now())
    run = run_of(person, task["run"])
    if task["dies_at"]:
        _die_at(*task["dies_at"].split(":"))
    say("ready")
    for _ in sys.stdin:
        row = step(person, run)
        say(json.dumps({"payment": row.payment_id if row else None, "state": run.state}))


def _die_at(module_name: str, name: str) -> None:
    def die(*args: Any, **kwargs: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    module = importlib.import_module(module_name)
    assert callable(getattr(module, name))
    setattr(module, name, die)


if __name__ == "__main__":
    main()
