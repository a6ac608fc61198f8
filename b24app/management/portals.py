"""A portal as an operator names it on the command line."""

from __future__ import annotations

from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from b24app.errors import Missing
from b24app.models import Portal


class NoSuchPortal(Missing):
    sentence_by_default = _(
        "No portal of this app has that name. Give its host, or its member_id. Nothing was done."
    )


def portals_named(name: str) -> list[Portal]:
    """By member_id or by host, whatever has become of them. Of several that had one host, those
    that have the app come first, then those that had it last.

    The secret of events is not read: a portal can be named also where the keys are lost.
    """
    portals = Portal.objects.defer("application_token")
    return list(
        portals.filter(Q(member_id=name) | Q(domain__iexact=name)).order_by(
            F("uninstalled_at").desc(nulls_first=True), F("installed_at").desc(nulls_last=True)
        )
    )


def portal_named(name: str) -> Portal:
    """The first of them; raises NoSuchPortal."""
    portals = portals_named(name)
    if not portals:
        raise NoSuchPortal(name)
    return portals[0]
