"""Erases ledgers: after a portal removed the app, and entries that are past their time."""

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
    """Erases texts that may name people: pay systems' names and messages, and people's notes.

    Ids and sums stay, so that a portal that installs the app again knows which payments were paid,
    and open attempts can still be settled.
    """
    approvals = Approval.objects.filter(portal=portal)
    approvals.exclude(pay_system_name="", note="").update(pay_system_name="", note="")
    attempts = Attempt.objects.filter(portal=portal)
    attempts.exclude(pay_system_name="").update(pay_system_name="")
    _erase_notes(attempts)
    ledger.erase_texts(portal)
    _record_erasure(portal, Erasure.What.TEXTS)


@transaction.atomic
def erase_texts_of_person(portal: Portal, user_id: int) -> tuple[int, int]:
    """Erases the texts that this person wrote, and those about the person's own attempts.

    Returns the numbers of attempts and approvals, and of entries, that had texts. Ids, sums and the
    names of pay systems stay in the attempts.
    """
    approvals = Approval.objects.filter(Q(requested_by=user_id) | Q(decided_by=user_id))
    notes = approvals.filter(portal=portal).exclude(note="").update(note="")
    attempts = Attempt.objects.filter(portal=portal)
    # A note may be another person's: of the administrator who closed the attempt by hand.
    acted_on = Entry.objects.filter(portal=portal, actor_id=user_id, attempt_id__isnull=False)
    notes += _erase_notes(
        attempts.filter(Q(user_id=user_id) | Q(pk__in=acted_on.values("attempt_id")))
    )
    return notes, ledger.erase_texts_of_person(portal, user_id)


def _erase_notes(attempts: QuerySet[Attempt]) -> int:
    """Erases people's notes and Bitrix24's messages; returns how many attempts had some."""
    with_text = attempts.filter(
        ~Q(note="") | Q(evidence__has_key="noteBefore") | Q(evidence__has_key="error")
    ).only("evidence", "note")
    changed = []
    # Locked until the commit: an attempt that is settled meanwhile must keep its new evidence.
    for attempt in with_text.select_for_update().iterator(chunk_size=_CHUNK):
        texts = [attempt.note, attempt.evidence.pop("noteBefore", "")]
        attempt.note = ""
        if "error" in attempt.evidence:
            texts.append(attempt.evidence["error"].get("description"))
            attempt.evidence["error"]["description"] = ""
        if any(texts):
            changed.append(attempt)
    Attempt.objects.bulk_update(changed, ["evidence", "note"], batch_size=_CHUNK)
    return len(changed)


def has_unconfirmed(portal: Portal) -> bool:
    """Returns whether an attempt was sent and has no outcome yet."""
    return _unconfirmed(portal).exists()


@transaction.atomic
def forget(portal: Portal) -> int:
    """Deletes a portal's attempts, approvals, rules and ledger; returns the number of attempts."""
    attempts = Attempt.objects.filter(portal=portal)
    _record_erasure(portal, Erasure.What.ALL)
    # `undoes` would keep the attempts it points to from being deleted.
    attempts.filter(undoes__isnull=False).update(undoes=None)
    count = _delete(attempts)
    # After the attempts: these point to approvals.
    Approval.objects.filter(portal=portal).delete()
    Policy.objects.filter(portal=portal).delete()
    ledger.forget(portal)
    return count


def forget_uninstalled() -> int:
    """Deletes the payments' data of portals that removed the app B24_LEDGER_RETENTION_DAYS ago or
    longer, and at least B24_REMOVAL_GRACE_DAYS ago. Returns the number of attempts."""
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
    """Locks the portal's row, so that a new installation sees all of the data or nothing."""
    locked = gone.defer("application_token").select_for_update()
    portal = locked.filter(pk=pk).first()
    return forget(portal) if portal is not None else 0


def _unconfirmed(portal: Portal) -> AttemptQuerySet:
    return Attempt.objects.filter(portal=portal, sent_at__isnull=False).still_open()


def _record_erasure(portal: Portal, what: Erasure.What) -> None:
    """Stores how much there is, and where the chain ends, before anything is deleted."""
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
        open_attempts=_unconfirmed(portal).count(),
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
    """Removes what is older than B24_HISTORY_DAYS; returns the numbers of entries and attempts.

    Entries are removed from the beginning of their chain, so that the rest can be verified;
    attempts are removed after their entries. An attempt stays if it is open, has a newer entry, or
    was undone by an attempt that stays. Its entries, and all entries after them, stay too.
    """
    if not settings.B24_HISTORY_DAYS:
        return 0, 0
    before = (now or timezone.now()) - timedelta(days=settings.B24_HISTORY_DAYS)
    entries = attempts = 0
    with_history = Exists(Entry.objects.filter(portal=OuterRef("pk"), at__lt=before))
    for portal in Portal.objects.defer("application_token").filter(with_history):
        entries += _cut(portal, before)
    for portal_id in Attempt.objects.values_list("portal_id", flat=True).order_by().distinct():
        attempts += _delete_without_entries(portal_id, before)
    return entries, attempts


def _cut(portal: Portal, before: datetime) -> int:
    count = 0
    last = _last_to_remove(portal, before)
    while last:
        chunk = Entry.objects.of(portal.pk).filter(number__lte=last)
        up_to = max(chunk.values_list("number", flat=True)[:_CHUNK], default=None)
        if up_to is None:
            break
        count += ledger.cut(portal, up_to=up_to, before=before)
    return count


def _last_to_remove(portal: Portal, before: datetime) -> int:
    """Returns the number up to which entries can be removed: all are old, and none belongs to an
    attempt that stays. Returns 0 if no entry can be removed."""
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


def _delete_without_entries(portal_id: int, before: datetime) -> int:
    """Deletes old attempts whose entries are removed; an undo before the attempt that it undid."""
    old = Attempt.objects.filter(portal_id=portal_id, settled_at__lt=before)
    settled = old.exclude(state__in=OPEN_STATES)
    return _delete(
        settled.filter(
            ~Exists(Entry.objects.filter(attempt_id=OuterRef("pk"))),
            ~Exists(Attempt.objects.filter(undoes=OuterRef("pk"))),
        )
    )


def _delete(attempts: QuerySet[Attempt]) -> int:
    """Deletes these attempts in chunks, each in a transaction; returns their number."""
    count = 0
    while chunk := list(attempts.order_by("pk").values_list("pk", flat=True)[:_CHUNK]):
        with transaction.atomic():
            Attempt.objects.filter(pk__in=chunk).delete()
        count += len(chunk)
    return count
