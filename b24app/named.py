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


def portal_named(name: str) -> Portal:
    """By member_id or by host, whatever has become of it; raises NoSuchPortal.

    Of two that had one host: the one that has the app, or had it last.
    """
    portal = (
        Portal.objects.filter(Q(member_id=name) | Q(domain__iexact=name))
        .order_by(
            F("uninstalled_at").desc(nulls_first=True), F("installed_at").desc(nulls_last=True)
        )
        .first()
    )
    if portal is None:
        raise NoSuchPortal(name)
    return portal
