"""`manage.py revoke PORTAL`: deletes the secrets of a portal, the first step after a leak."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from b24app.management.portals import find_only_portal
from b24app.tokens import revoke


class Command(BaseCommand):
    help = (
        "Deletes a portal's tokens and its application_token and ends its sessions at once. The "
        "app stays installed; it works again once an administrator of the portal opens it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("portal", metavar="PORTAL", help="its domain or its member_id")

    def handle(self, *args: Any, portal: str, **options: Any) -> None:
        found = find_only_portal(portal)
        pairs = revoke.revoke(found)
        self.stdout.write(
            f"{found.domain}: {pairs} pairs of tokens deleted, sessions ended.\n"
            "Bitrix24 still accepts leaked copies: access tokens for up to an hour, refresh tokens "
            "together with the client secret. If that leaked too, change it in Bitrix24 and in "
            "B24_CLIENT_SECRET.\n"
            "An administrator of the portal opens the app once to make it work again."
        )
