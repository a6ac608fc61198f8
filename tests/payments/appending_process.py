"""A process of its own that appends entries: `python -m tests.payments.appending_process`.

It reads what to do as a line of JSON, says "ready", and begins once the next line comes.
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
    from django.db import transaction

    from b24app.models import Portal
    from payments.ledger import chain

    portal = Portal.objects.get(pk=task["portal"])
    say("ready")
    sys.stdin.readline()
    for place in range(task["count"]):
        # Inside a transaction, as payments do it.
        with transaction.atomic():
            chain.record(portal, "noted", actor_id=task["actor"], facts={"place": place})
    say("done")


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
