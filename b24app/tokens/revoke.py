"""The compromise drill: a portal's tokens, its proof of events and its sessions end at once."""

from __future__ import annotations

from django.db import transaction
from django.db.models import F

from b24app.models import EventReceipt, Portal, UserToken
from b24app.monitoring.logs import security


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
    EventReceipt.objects.filter(portal=portal, is_proved=False).delete()
    pairs, _ = UserToken.objects.filter(portal=portal).delete()
    security.warning("portal revoked: %s pairs deleted (member_id %s)", pairs, portal.member_id)
    return pairs
