"""Starts programs of the tests as processes of their own, and talks to them line by line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.db import connection

Process = subprocess.Popen[str]


@contextmanager
def started(module: str, **task: Any) -> Iterator[Process]:
    """Yields the process once it says "ready"; kills it at the end.

    The program gets `task`, with the name of the test's database, as one line of JSON.
    """
    with subprocess.Popen(
        [sys.executable, "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=settings.BASE_DIR,
        text=True,
    ) as process:
        try:
            task["database"] = connection.settings_dict["NAME"]
            tell(process, json.dumps(task, default=str))
            assert heard(process) == "ready"
            yield process
        finally:
            process.kill()


def tell(process: Process, line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def heard(process: Process) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()
