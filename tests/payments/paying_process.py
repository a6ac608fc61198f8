"""A process of its own that pays one payment: `python -m tests.payments.paying_process`.

It reads what to do as a line of JSON, says "ready", and pays once the next line comes.
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
    from django.utils import timezone

    from b24app.identity.session import Person
    from b24app.models import Portal
    from payments.attempts.pay import pay
    from payments.offer import open_offer

    person = Person(Portal.objects.get(), task["user_id"], proved_at=timezone.now())
    offer = open_offer(task["offer"], person)
    say("ready")
    sys.stdin.readline()
    attempt = pay(person, offer, pay_system_id=task["pay_system_id"])
    say(json.dumps({"pk": attempt.pk, "state": attempt.state}))


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
