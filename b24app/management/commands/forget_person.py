"""`manage.py forget_person PORTAL USER_ID`: erases what names a person."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from b24app.management.portals import find_only_portal
from b24app.removal.person import forget_person


class Command(BaseCommand):
    help = (
        "Erases what names a person: their tokens, logged calls and runs, and the texts that they "
        "wrote or that are about their payments. Ids, sums and the ledger stay, and the ledger "
        "records the erasure. Names in the cache expire within ten minutes."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("portal", metavar="PORTAL", help="its domain or its member_id")
        parser.add_argument(
            "user_id", metavar="USER_ID", type=int, help="the person's id in the portal"
        )

    def handle(self, *args: Any, portal: str, user_id: int, **options: Any) -> None:
        for sentence in forget_person(find_only_portal(portal), user_id):
            self.stdout.write(sentence)
