"""The compromise drill: a portal's tokens, its proof of events and its sessions end at once."""

from __future__ import annotations

from django.db import transaction
from django.db.models import F, Q

from b24app.models import Portal, UserToken
from b24app.proof import security


class PortalUnclear(Exception):
    """No portal has this name, or more than one; the message says which."""


def portal_named(name: str) -> Portal:
    """The portal with this member_id or domain, as an operator writes it. Raises PortalUnclear."""
    # The secret is left alone: a portal is to be revoked also where the keys are lost.
    portals = Portal.objects.defer("application_token")
    found = list(portals.filter(Q(member_id=name) | Q(domain__iexact=name)))
    if not found:
        raise PortalUnclear(f"No portal has the member_id or the domain {name}.")
    if len(found) > 1:
        ids = ", ".join(portal.member_id for portal in found)
        raise PortalUnclear(f"More than one portal had the domain {name}. Their member_ids: {ids}")
    return found[0]


@transaction.atomic
def revoke(portal: Portal) -> int:
    """Forget every secret of the portal and refuse every page that is open there; answers how many
    pairs are gone.

    It stays installed: its next openings bring new tokens, an administrator's those that serve it
    and the application_token. A renewal under way ends first; none can begin without its row.
    """
    Portal.objects.filter(pk=portal.pk).update(
        application_token="", session_generation=F("session_generation") + 1
    )
    pairs, _ = UserToken.objects.filter(portal=portal).delete()
    security.warning("portal revoked: %s pairs deleted (member_id %s)", pairs, portal.member_id)
    return pairs
