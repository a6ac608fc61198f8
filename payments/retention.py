"""What stays of the ledger when a portal removes the app, and for how long."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from b24app.models import Portal
from payments.models import Attempt

# Attempts read and written back at once.
_CHUNK = 500


def keep_ids_and_sums(portal: Portal) -> None:
    """Remove the texts that came from the portal and its people, which may name somebody: what its
    pay systems are called and said, and why something was undone or closed. A portal that comes
    back finds which payment was paid, and how an attempt that is still open has to be settled."""
    attempts = Attempt.objects.filter(portal=portal)
    attempts.exclude(pay_system_name="").update(pay_system_name="")
    attempts.exclude(note="").update(note="")
    with_text = attempts.filter(
        Q(evidence__has_key="error") | Q(evidence__has_key="noteBefore")
    ).only("evidence")
    changed = []
    for attempt in with_text.iterator(chunk_size=_CHUNK):
        attempt.evidence.pop("noteBefore", None)
        if "error" in attempt.evidence:
            attempt.evidence["error"]["description"] = ""
        changed.append(attempt)
    Attempt.objects.bulk_update(changed, ["evidence"], batch_size=_CHUNK)


def forget_uninstalled() -> int:
    """Delete the ledgers of portals that have stayed away for B24_LEDGER_RETENTION_DAYS; answers
    how many attempts that were."""
    limit = timezone.now() - timedelta(days=settings.B24_LEDGER_RETENTION_DAYS)
    count, _each = Attempt.objects.filter(portal__uninstalled_at__lt=limit).delete()
    return count
