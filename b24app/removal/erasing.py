"""Erases the data of a portal that removed the app, after the grace time.

https://apidocs.bitrix24.com/settings/app-uninstallation.html
"""

from __future__ import annotations

import logging
from datetime import datetime

from django.db import transaction
from django.dispatch import receiver
from django.utils import timezone

from b24app.models import EventReceipt, FailedProof, Portal, RemovalClaim, UserToken
from b24app.monitoring.logs import security
from b24app.signals import portal_uninstalled, pruning

logger = logging.getLogger(__name__)


@receiver(pruning)
def erase_due(now: datetime | None = None, **kwargs: object) -> str:
    """Erases the data of each portal whose grace time is over.

    If a portal fails, its data stay whole and the others are still erased; then raises
    RuntimeError.
    """
    over = RemovalClaim.objects.filter(
        state=RemovalClaim.State.REMOVED, erase_after__lte=now or timezone.now()
    )
    erased = failed = 0
    for pk, portal_id in list(over.order_by("pk").values_list("pk", "portal_id")):
        try:
            erased += _erase(pk, portal_id)
        except Exception:
            logger.exception("the data of portal %s were not erased", portal_id)
            failed += 1
    if failed:
        raise RuntimeError(f"{failed} portals were not erased")
    return f"Portals that removed the app: the data of {erased} are erased."


@transaction.atomic
def _erase(pk: int, portal_id: int) -> bool:
    """Erases the data of one portal. Returns False if the portal was taken up again.

    Locks the portal's row, so an installation waits, and then finds all of the data or none.
    """
    portal = Portal.objects.select_for_update().get(pk=portal_id)
    claim = RemovalClaim.objects.filter(pk=pk, state=RemovalClaim.State.REMOVED).first()
    if claim is None or portal.uninstalled_at is None:
        return False
    FailedProof.objects.filter(portal=claim.portal).delete()
    claim.delete()
    portal_uninstalled.send(sender=Portal, portal=portal, clean=claim.with_data)
    security.info(
        "the grace time of a removal is over (member_id %s, CLEAN %d)",
        portal.member_id,
        claim.with_data,
    )
    return True


@receiver(pruning)
def forget_late_pairs(**kwargs: object) -> str:
    """Deletes the pairs that an opening stored while the removal of its portal was being found.

    Bitrix24 no longer accepts them.
    """
    gone = {"portal__uninstalled_at__isnull": False}
    count, _each = UserToken.objects.filter(**gone).delete()
    EventReceipt.objects.filter(is_proved=False, **gone).delete()
    return f"Tokens of portals that removed the app: {count} pairs deleted."
