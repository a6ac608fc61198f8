"""`manage.py doctor PORTAL`: checks the set-up of a portal, as its administrator's page does."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from b24app.errors import B24Error
from b24app.install import doctor, repairs
from b24app.install.doctor import Line
from b24app.management.portals import NoSuchPortal, find_portal
from b24app.models import Portal


class Command(BaseCommand):
    help = (
        "Checks how the app is set up in a portal. Exit codes: 0 all is in order, "
        "1 something is not, 2 no such portal."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("portal", help="host or member_id")
        parser.add_argument(
            "--repair", action="store_true", help="repair what the app can repair, then check again"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            portal = find_portal(options["portal"])
        except NoSuchPortal as error:
            raise CommandError(str(error.sentence), returncode=2) from error
        lines = doctor.examine(portal)
        if options["repair"] and self._repair(portal, lines):
            lines = doctor.examine(portal)
        for line in lines:
            self.stdout.write(f"{'ok' if line.is_ok else 'PROBLEM':<8} {line.name}: {line.found}")
            if line.advice:
                self.stdout.write(f"{'':<8} {line.advice}")
        if not all(line.is_ok for line in lines):
            sys.exit(1)

    def _repair(self, portal: Portal, lines: list[Line]) -> bool:
        """Does the repairs that the lines offer; returns whether any was tried.

        SERVE comes first, because BIND uses the pair that serves the portal.
        """
        wanted = {line.repair for line in lines if line.repair}
        for which in (repairs.Repair.SERVE, repairs.Repair.BIND):
            if which not in wanted:
                continue
            try:
                repairs.repair(portal, which, by=None)
            except B24Error as error:
                self.stderr.write(f"{which.value}: {error.sentence}")
            else:
                self.stdout.write(f"{which.value}: done")
        return bool(wanted)
