"""What stays of the ledger after a portal's removal of the app, and how long it stays elsewhere."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from b24app.models import Portal
from payments.ledger import chain as ledger
from payments.models import (
    OPEN_STATES,
    Approval,
    Attempt,
    AttemptQuerySet,
    Entry,
    Erasure,
    Policy,
)

logger = logging.getLogger(__name__)

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
    _note_erasure(portal, Erasure.What.TEXTS)


def has_money_under_way(portal: Portal) -> bool:
    """Whether a payment, mark or undoing was sent of which it is not known how it ended."""
    return _under_way(portal).exists()


@transaction.atomic
def forget(portal: Portal) -> int:
    """Delete all that is kept of a portal's payments; returns how many attempts that were."""
    attempts = Attempt.objects.filter(portal=portal)
    _note_erasure(portal, Erasure.What.ALL)
    # What undoes another one goes with it: neither can hold the other.
    attempts.filter(undoes__isnull=False).update(undoes=None)
    count = _delete(attempts)
    # After the attempts that went by them.
    Approval.objects.filter(portal=portal).delete()
    Policy.objects.filter(portal=portal).delete()
    ledger.forget(portal)
    return count


def forget_uninstalled() -> int:
    """Delete the ledgers of portals that have stayed away for B24_LEDGER_RETENTION_DAYS, and for
    B24_REMOVAL_GRACE_DAYS at least; returns how many attempts that were."""
    days = max(settings.B24_LEDGER_RETENTION_DAYS, settings.B24_REMOVAL_GRACE_DAYS)
    gone = Portal.objects.filter(uninstalled_at__lt=timezone.now() - timedelta(days=days))
    left = Exists(Attempt.objects.filter(portal=OuterRef("pk"))) | Exists(
        Entry.objects.filter(portal=OuterRef("pk"))
    )
    return sum(
        _forget_if_gone(pk, gone) for pk in list(gone.filter(left).values_list("pk", flat=True))
    )


@transaction.atomic
def _forget_if_gone(pk: int, gone: QuerySet[Portal]) -> int:
    """With the portal's row locked: an installation waits, and then finds all of it or none."""
    locked = gone.defer("application_token").select_for_update()
    portal = locked.filter(pk=pk).first()
    return forget(portal) if portal is not None else 0


def _under_way(portal: Portal) -> AttemptQuerySet:
    return Attempt.objects.filter(portal=portal, sent_at__isnull=False).still_open()


def _note_erasure(portal: Portal, what: Erasure.What) -> None:
    """Before everything goes: what there is, and how far the chain reaches."""
    chain = Entry.objects.of(portal.pk).values_list("number", "hash")
    last_number, last_hash = chain.last() or (0, "")
    attempts, entries = (model.objects.filter(portal=portal).count() for model in (Attempt, Entry))
    if not (attempts or entries):
        return
    row = Erasure.objects.create(
        member_id=portal.member_id,
        what=what,
        removed_at=portal.uninstalled_at,
        attempts=attempts,
        open_attempts=_under_way(portal).count(),
        entries=entries,
        last_number=last_number,
        last_hash=last_hash,
    )
    logger.info(
        "erased of portal %s: %s (%s attempts, %s of them not confirmed; %s entries, "
        "the last one %s:%s)",
        row.member_id,
        row.get_what_display(),
        row.attempts,
        row.open_attempts,
        row.entries,
        row.last_number,
        row.last_hash,
    )


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
