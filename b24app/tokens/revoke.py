"""Revokes a portal's secrets after a compromise: tokens, application_token and sessions."""

from __future__ import annotations

from django.db import transaction
from django.db.models import F

from b24app.models import EventReceipt, Portal, UserToken
from b24app.monitoring.logs import security


@transaction.atomic
def revoke(portal: Portal) -> int:
    """Deletes all secrets of the portal and ends its sessions. Returns the number of pairs deleted.

    The app stays installed. A person's next opening brings a new pair; an administrator's brings
    the pair that serves the portal and the application_token. A renewal in progress ends first,
    and no other can begin without its row.
    """
    Portal.objects.filter(pk=portal.pk).update(
        application_token="", session_generation=F("session_generation") + 1
    )
    EventReceipt.objects.filter(portal=portal, is_proved=False).delete()
    pairs, _ = UserToken.objects.filter(portal=portal).delete()
    security.warning("portal revoked: %s pairs deleted (member_id %s)", pairs, portal.member_id)
    return pairs
