"""Finds the portal that the operator names on the command line."""

from __future__ import annotations

from django.core.management.base import CommandError
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from b24app.errors import Missing
from b24app.models import Portal


class NoSuchPortal(Missing):
    sentence_by_default = _(
        "No portal of this app has that name. Give its host, or its member_id. Nothing was done."
    )


def find_portals(name: str) -> list[Portal]:
    """Returns the portals with this member_id or host, also those that removed the app.

    Of several with one host, those that have the app come first, then the latest. Does not read
    `application_token`, which cannot be decrypted if the keys are lost.
    """
    portals = Portal.objects.defer("application_token")
    return list(
        portals.filter(Q(member_id=name) | Q(domain__iexact=name)).order_by(
            F("uninstalled_at").desc(nulls_first=True), F("installed_at").desc(nulls_last=True)
        )
    )


def find_only_portal(name: str) -> Portal:
    """Returns the one portal with this name, for a command that deletes. Raises CommandError if
    there is no such portal, or if the host was that of several."""
    portals = find_portals(name)
    if not portals:
        raise CommandError(f"No portal has the member_id or the domain {name}.")
    if len(portals) > 1:
        ids = ", ".join(each.member_id for each in portals)
        raise CommandError(f"More than one portal had the domain {name}: {ids}")
    return portals[0]


def find_portal(name: str) -> Portal:
    """Returns the first of `find_portals`. Raises NoSuchPortal."""
    portals = find_portals(name)
    if not portals:
        raise NoSuchPortal(name)
    return portals[0]
