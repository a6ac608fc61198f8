"""Settles payments that are not confirmed, and posts due comments. Run it every few minutes."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from b24app.work import jobs
from payments import timeline
from payments.attempts.reconcile import LIMIT, reconcile
from payments.jobs import NAME


class Command(BaseCommand):
    help = (
        "Read payments that are not confirmed from their portals and settle them. "
        "Several of these may run at the same time. Exits with 1 if the database fails or a bug "
        "stops every attempt; a portal that does not answer is asked again later."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--limit", type=_positive, default=LIMIT, help=f"how many at the most (default {LIMIT})"
        )

    def handle(self, *, limit: int, **options: Any) -> None:
        try:
            with jobs.recorded(NAME):
                done = reconcile(limit=limit)
                posted = timeline.post_due(limit=limit)
        except DatabaseError as error:
            raise CommandError(f"The database does not answer: {error}") from error
        self.stdout.write(
            f"Attempts looked at: {done.looked_at}; paid {done.paid}, undone {done.undone}, "
            f"refused {done.refused}, given up {done.given_up}, still open {done.left_open}, "
            f"of these handed over now {done.handed_over}, failed {done.failed}; "
            f"comments posted {posted}."
        )
        if done.failed and done.failed == done.looked_at:
            raise CommandError("None of them could be settled. See the log.")


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise ArgumentTypeError("a positive number is needed")
    return int(text)
