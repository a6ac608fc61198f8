"""`manage.py keep_tokens`: renews the tokens of idle portals; run it once a day."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from b24app.tokens import keep_alive
from b24app.work import jobs


class Command(BaseCommand):
    help = (
        "Renews the tokens of portals that were idle for almost 180 days, after which they would "
        "be lost. Run it once a day; it renews nothing else."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--at-most",
            type=int,
            default=keep_alive.AT_MOST,
            metavar="N",
            help="renewals in this run (%(default)s)",
        )

    def handle(self, *args: Any, at_most: int, **options: Any) -> None:
        renewed = failed = 0
        try:
            with jobs.recorded("keep_tokens"):
                for renewal in keep_alive.renew_due(at_most=at_most):
                    if renewal.error:
                        failed += 1
                        self.stdout.write(f"{renewal.domain}: not renewed: {renewal.error}")
                    else:
                        renewed += 1
        except keep_alive.NoAnswer as error:
            raise CommandError(
                f"Stopped after {renewed} renewals: {keep_alive.FAILURES_IN_A_ROW} failures in a "
                f"row. The last one: {error}"
            ) from error
        finally:
            self.stdout.write(f"Renewed {renewed}, failed {failed}.")
