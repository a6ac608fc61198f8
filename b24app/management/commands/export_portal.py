"""`manage.py export_portal PORTAL`: prints everything that is kept of a portal."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from b24app.management.portals import find_only_portal
from b24app.removal.export import export


class Command(BaseCommand):
    help = (
        "Prints everything that is kept of a portal: a JSON object a line, one for each row, "
        "without secrets. docs/privacy.md says what each field is."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("portal", metavar="PORTAL", help="its domain or its member_id")

    def handle(self, *args: Any, portal: str, **options: Any) -> None:
        for line in export(find_only_portal(portal)):
            self.stdout.write(line)
