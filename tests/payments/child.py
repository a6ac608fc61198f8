"""A program of the tests in a process of its own; see `tests.processes`."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import django


def begin() -> dict[str, Any]:
    """Reads the task, a line of JSON, and sets Django up with the test's database."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    task: dict[str, Any] = json.loads(sys.stdin.readline())
    from django.conf import settings

    settings.DATABASES["default"]["NAME"] = task["database"]
    django.setup()
    return task


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
