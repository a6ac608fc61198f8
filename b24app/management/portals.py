"""Finds the portal that the operator names on the command line."""

from __future__ import annotations

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


def find_portal(name: str) -> Portal:
    """Returns the first of `find_portals`. Raises NoSuchPortal."""
    portals = find_portals(name)
    if not portals:
        raise NoSuchPortal(name)
    return portals[0]
