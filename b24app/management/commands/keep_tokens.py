"""`manage.py keep_tokens`, once a day: portals that nobody opens keep their tokens."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from b24app import keeping


class Command(BaseCommand):
    help = (
        "Renews the tokens of portals that were idle for almost 180 days, after which they would "
        "be lost. Run it once a day; it renews nothing else."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--at-most",
            type=int,
            default=keeping.AT_MOST,
            metavar="N",
            help="renewals in this run (%(default)s)",
        )

    def handle(self, *args: Any, at_most: int, **options: Any) -> None:
        renewed = failed = 0
        try:
            for kept in keeping.keep(at_most=at_most):
                if kept.error:
                    failed += 1
                    self.stdout.write(f"{kept.domain}: not renewed: {kept.error}")
                else:
                    renewed += 1
        except keeping.NobodyAnswers as error:
            raise CommandError(
                f"Stopped after {renewed} renewals: {keeping.FAILURES_IN_A_ROW} failures in a row. "
                f"The last one: {error}"
            ) from error
        finally:
            self.stdout.write(f"Renewed {renewed}, failed {failed}.")
