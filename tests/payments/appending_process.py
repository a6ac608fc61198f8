"""Appends entries, once a line comes: `python -m tests.payments.appending_process`."""

from __future__ import annotations

import sys

from tests.payments.child import begin, say


def main() -> None:
    task = begin()
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


if __name__ == "__main__":
    main()
