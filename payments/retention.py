"""What stays of the ledger when a portal removes the app, and for how long; and where it stays."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from b24app.models import Portal
from payments import comments, ledger
from payments.models import OPEN_STATES, Approval, Attempt, Entry, Policy

# Rows read, written back or removed at once, in one transaction.
_CHUNK = 500


@transaction.atomic
def keep_ids_and_sums(portal: Portal) -> None:
    """Remove the texts that came from the portal and its people, which may name somebody: what its
    pay systems are called and said, and why something was undone, closed or declined. A portal that
    comes back finds which payment was paid, and how an attempt that is still open has to be
    settled."""
    approvals = Approval.objects.filter(portal=portal)
    approvals.exclude(pay_system_name="", note="").update(pay_system_name="", note="")
    attempts = Attempt.objects.filter(portal=portal)
    attempts.exclude(pay_system_name="").update(pay_system_name="")
    attempts.exclude(note="").update(note="")
    with_text = attempts.filter(
        Q(evidence__has_key="error") | Q(evidence__has_key="noteBefore")
    ).only("evidence")
    changed = []
    # Held until this is committed: one that is settled meanwhile must not lose what settled it.
    for attempt in with_text.select_for_update().iterator(chunk_size=_CHUNK):
        attempt.evidence.pop("noteBefore", None)
        if "error" in attempt.evidence:
            attempt.evidence["error"]["description"] = ""
        changed.append(attempt)
    Attempt.objects.bulk_update(changed, ["evidence"], batch_size=_CHUNK)
    ledger.erase_texts(portal)
    comments.drop(portal)


def forget(portal: Portal) -> int:
    """Delete all that is kept of a portal's payments; answers how many attempts that were."""
    attempts = Attempt.objects.filter(portal=portal)
    # What undoes another one goes with it: neither can hold the other.
    attempts.filter(undoes__isnull=False).update(undoes=None)
    count = _delete(attempts)
    # After the attempts that went by them.
    Approval.objects.filter(portal=portal).delete()
    Policy.objects.filter(portal=portal).delete()
    ledger.forget(portal)
    return count


def forget_uninstalled() -> int:
    """Delete the ledgers of portals that have stayed away for B24_LEDGER_RETENTION_DAYS; answers
    how many attempts that were."""
    limit = timezone.now() - timedelta(days=settings.B24_LEDGER_RETENTION_DAYS)
    gone = Portal.objects.defer("application_token").filter(uninstalled_at__lt=limit)
    return sum(forget(portal) for portal in gone)


def forget_history(now: datetime | None = None) -> tuple[int, int]:
    """Remove what is older than B24_HISTORY_DAYS; answers how many entries and attempts that were.

    Entries go as the beginning of their chain, so that the rest can be checked, and an attempt
    after its entries. One that is open, or that has a newer entry or an undoing that stays, keeps
    all of its own, and thereby what comes after them in the chain.
    """
    if not settings.B24_HISTORY_DAYS:
        return 0, 0
    before = (now or timezone.now()) - timedelta(days=settings.B24_HISTORY_DAYS)
    entries = attempts = 0
    with_history = Exists(Entry.objects.filter(portal=OuterRef("pk"), at__lt=before))
    for portal in Portal.objects.defer("application_token").filter(with_history):
        entries += _cut(portal, before)
    for portal_id in Attempt.objects.values_list("portal_id", flat=True).order_by().distinct():
        attempts += _sweep(portal_id, before)
    return entries, attempts


def _cut(portal: Portal, before: datetime) -> int:
    count = 0
    last = _last_to_go(portal, before)
    while last:
        chunk = Entry.objects.of(portal.pk).filter(number__lte=last)
        up_to = max(chunk.values_list("number", flat=True)[:_CHUNK], default=None)
        if up_to is None:
            break
        count += ledger.cut(portal, up_to=up_to, before=before)
    return count


def _last_to_go(portal: Portal, before: datetime) -> int:
    """The number up to which all entries are old and nothing that stays has one; 0 if none is."""
    entries = Entry.objects.filter(portal=portal)
    newer = Entry.objects.filter(portal=portal, at__gte=before)
    attempts = Attempt.objects.filter(portal=portal)
    staying = attempts.filter(
        Q(state__in=OPEN_STATES)
        | Exists(newer.filter(attempt_id=OuterRef("pk")))
        | Exists(attempts.filter(undoes=OuterRef("pk"), state__in=OPEN_STATES))
        | Exists(
            attempts.filter(Exists(newer.filter(attempt_id=OuterRef("pk"))), undoes=OuterRef("pk"))
        )
    )
    stops = entries.filter(Q(at__gte=before) | Q(attempt_id__in=staying.values("pk")))
    first_to_stay = stops.order_by("number").values_list("number", flat=True).first()
    if first_to_stay is not None:
        return first_to_stay - 1
    last = entries.order_by("-number").values_list("number", flat=True).first()
    return last or 0


def _sweep(portal_id: int, before: datetime) -> int:
    """Attempts whose entries are gone; an undoing before what it undid."""
    old = Attempt.objects.filter(portal_id=portal_id, settled_at__lt=before)
    settled = old.exclude(state__in=OPEN_STATES)
    return _delete(
        settled.filter(
            ~Exists(Entry.objects.filter(attempt_id=OuterRef("pk"))),
            ~Exists(Attempt.objects.filter(undoes=OuterRef("pk"))),
        )
    )


def _delete(attempts: QuerySet[Attempt]) -> int:
    """In transactions of their own size, until none is left; answers how many they were."""
    count = 0
    while chunk := list(attempts.order_by("pk").values_list("pk", flat=True)[:_CHUNK]):
        with transaction.atomic():
            Attempt.objects.filter(pk__in=chunk).delete()
        count += len(chunk)
    return count
