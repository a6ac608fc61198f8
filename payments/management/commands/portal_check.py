"""`manage.py portal_check PORTAL`: asks a live portal whether it is what the app believes of it."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from b24app.errors import B24Error
from b24app.install import beliefs as app_beliefs
from b24app.install.beliefs import Finding
from payments.management import beliefs, target

ALL_HOLD, DIFFERS, NOT_ASKED = range(3)
_VERDICTS = {True: "holds", False: "DIFFERS", None: "unknown"}


class Command(BaseCommand):
    help = (
        "Ask a portal ten questions about what the app believes of Bitrix24; it only reads. With "
        "--pay, pay one payment for real and see what the portal makes of it. "
        "Exit codes: 0 all beliefs hold; 1 one differs or could not be asked; 2 nothing was asked."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("portal", help="host or member_id of a portal that has the app")
        parser.add_argument(
            "--user",
            type=target.positive,
            help="id of the person to ask as, best one without administrator's rights, who must "
            "have opened the app. Without it, the administrator whose token serves the portal",
        )
        parser.add_argument(
            "--pay", type=target.positive, metavar="ID", help="id of a payment to pay for real"
        )
        parser.add_argument("--yes", action="store_true", help="do not ask before paying")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            person = target.person_of(options["portal"], options["user"])
            asked = app_beliefs.asked_of(person.portal, person.user_id)
        except B24Error as error:
            raise CommandError(str(error.sentence), returncode=NOT_ASKED) from error
        questions = (*app_beliefs.BELIEFS, *beliefs.BELIEFS)
        held = self._say(app_beliefs.examine(questions, asked))
        if options["pay"]:
            agreed = (lambda payment: True) if options["yes"] else self._agreed
            try:
                held = self._say(beliefs.walk(person, options["pay"], agreed)) and held
            except beliefs.NotPaid as error:
                raise CommandError(f"Nothing was paid: {error}.", returncode=DIFFERS) from error
            except B24Error as error:
                raise CommandError(str(error.sentence), returncode=DIFFERS) from error
        if not held:
            sys.exit(DIFFERS)

    def _say(self, findings: Iterable[Finding]) -> bool:
        """Prints each finding as it comes; returns whether all beliefs hold."""
        held = True
        for finding in findings:
            held = held and finding.holds is True
            self.stdout.write(f"{_VERDICTS[finding.holds]:<8} {finding.sentence}")
            self.stdout.write(f"{'':<8} {finding.found}")
            self.stdout.flush()
        return held

    def _agreed(self, payment: str) -> bool:
        self.stdout.write(f"Pay {payment} for real?", ending=" [y/N] ")
        self.stdout.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")
