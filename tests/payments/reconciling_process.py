"""A process of its own that reconciles: `python -m tests.payments.reconciling_process`.

It reads the database's name as a line of JSON, says "ready", and runs `manage.py reconcile` once
the next line comes; then it says what that said.
"""

from __future__ import annotations

import io
import json
import os
import sys

import django


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    task = json.loads(sys.stdin.readline())
    from django.conf import settings

    settings.DATABASES["default"]["NAME"] = task["database"]
    django.setup()
    from django.core.management import call_command

    said = io.StringIO()
    say("ready")
    sys.stdin.readline()
    call_command("reconcile", stdout=said)
    say(said.getvalue().strip())


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
