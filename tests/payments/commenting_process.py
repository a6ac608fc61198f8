"""A process of its own that posts what is due: `python -m tests.payments.commenting_process`.

It reads what to do as a line of JSON, says "ready", and posts once the next line comes.
"""

from __future__ import annotations

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
    from payments import timeline

    say("ready")
    sys.stdin.readline()
    say(str(timeline.post_due()))


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
