"""Appends entries to a portal's ledger. Each entry contains the hash of the entry before it.

Call `record` inside the transaction that changes the attempt, so that both are written or neither.
A removal of old entries or of texts appends an entry that records it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from b24app.errors import B24Error
from b24app.models import Portal
from payments.ledger import hashing
from payments.models import Attempt, Entry
from payments.models.entry import unguarded

# Events of the ledger itself.
REMOVED, TEXTS_ERASED = "removed", "texts_erased"

# Each retry means that another writer of this portal appended first.
_MOST_TRIES = 200
# Entries changed or removed in one transaction.
_AT_ONCE = 500
# Four decimal places, as the attempt's column has.
_SUM = "{:.4f}"
# Keys of the evidence that name no person; all other text of the evidence can be erased.
_EVIDENCE_KEPT = frozenset(
    {"answer", "failure", "paid", "datePaid", "code", "readIn", "askedBy", "object", "order"}
)


def record(
    portal: Portal,
    event: str,
    *,
    actor_id: int | None,
    attempt: Attempt | None = None,
    facts: Mapping[str, Any] | None = None,
    texts: Mapping[str, Any] | None = None,
) -> None:
    """Appends one entry.

    `event` is "paid", "refused", "unknown", "undone", "closed", "handed_over", "approval_asked",
    "approved" or "declined". `actor_id` is the person of the portal who caused it, None for the app
    itself. `facts` are added to those of the attempt. `texts` may name people and can be erased.

    Call it last in the caller's transaction: other writers of this portal wait until that ends. One
    SELECT and one INSERT, and again for each writer who appended first. Raises B24Error after
    `_MOST_TRIES`.
    """
    all_facts, all_texts = _of_attempt(attempt) if attempt is not None else ({}, {})
    all_facts |= hashing.plain(facts or {})
    all_texts |= {name: text for name, text in (texts or {}).items() if text}
    salted_texts = hashing.salted(all_texts) if all_texts else None
    _append(portal, event, actor_id, attempt.pk if attempt else None, all_facts, salted_texts)


def _append(
    portal: Portal,
    event: str,
    actor_id: int | None,
    attempt_id: int | None,
    facts: dict[str, Any],
    texts: dict[str, Any] | None,
) -> Entry:
    last = _head(portal)
    for _ in range(_MOST_TRIES):
        number, previous = last
        entry = Entry(
            portal=portal,
            number=number + 1,
            at=timezone.now(),
            event=event,
            attempt_id=attempt_id,
            actor_id=actor_id,
            facts=facts,
            texts=texts,
            texts_digest=hashing.digest_of(texts),
            previous=previous,
        )
        entry.hash = seal(entry, portal.member_id)
        try:
            # PostgreSQL makes this wait for a writer with the same number, and raises when that one
            # commits; the savepoint keeps the caller's transaction usable.
            with transaction.atomic():
                entry.save(force_insert=True)
        except IntegrityError:
            latest = _head(portal)
            if latest == last:
                raise
            last = latest
        else:
            return entry
    raise B24Error(f"no entry could be appended for portal {portal.pk}")


def seal(entry: Entry, member_id: str) -> str:
    """Returns the hash of this entry's content."""
    return hashing.seal(
        member_id=member_id,
        number=entry.number,
        at=entry.at,
        event=entry.event,
        attempt_id=entry.attempt_id,
        actor_id=entry.actor_id,
        facts=entry.facts,
        texts_digest=entry.texts_digest,
        previous=entry.previous,
    )


def _head(portal: Portal) -> tuple[int, str]:
    found = (
        Entry.objects.filter(portal=portal)
        .order_by("-number")
        .values_list("number", "hash")
        .first()
    )
    return found or (0, hashing.GENESIS)


def _of_attempt(attempt: Attempt) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the attempt's values as facts, and as texts that may name people."""
    evidence, evidence_texts = _facts_and_texts(attempt.evidence)
    owner = None if attempt.owner_id is None else [attempt.owner_type, attempt.owner_id]
    facts: dict[str, Any] = {
        "kind": attempt.kind,
        "state": attempt.state,
        "reason": attempt.reason,
        "payment_id": attempt.payment_id,
        "account_number": attempt.account_number,
        "order_id": attempt.order_id,
        "owner": owner,
        "sum": _SUM.format(attempt.sum),
        "currency": attempt.currency,
        "pay_system_id": attempt.pay_system_id,
        "user_id": attempt.user_id,
        "created_at": attempt.created_at,
        "sent_at": attempt.sent_at,
        "settled_at": attempt.settled_at,
        "evidence": evidence,
    }
    for name in ("undoes_id", "approval_id"):
        value = getattr(attempt, name, None)
        if value is not None:
            facts[name] = value
    texts = {
        "pay_system_name": attempt.pay_system_name,
        "note": attempt.note,
        "evidence": evidence_texts,
    }
    return hashing.plain(facts), {name: text for name, text in texts.items() if text}


def _facts_and_texts(evidence: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    facts: dict[str, Any] = {}
    texts: dict[str, Any] = {}
    for name, value in evidence.items():
        if isinstance(value, Mapping):
            inner_facts, inner_texts = _facts_and_texts(value)
            facts[name] = inner_facts
            if inner_texts:
                texts[name] = inner_texts
        elif value is None or isinstance(value, bool | int) or name in _EVIDENCE_KEPT:
            facts[name] = value
        elif value:
            texts[name] = value
    return facts, texts


def cut(portal: Portal, *, up_to: int, before: datetime) -> int:
    """Removes the entries 1 to `up_to`, which are older than `before`, and returns their number.

    Appends an entry that records the removal, in the same transaction, so that the rest of the
    chain can still be verified.
    """
    with transaction.atomic():
        old = unguarded(portal_id=portal.pk).filter(number__lte=up_to)
        last = old.filter(number=up_to).values_list("hash", flat=True).get()
        facts = {"up_to": up_to, "hash": last, "count": old.count(), "before": before}
        # Before the deletion: an empty chain would start again at number 1.
        _append(portal, REMOVED, None, None, hashing.plain(facts), None)
        count, _each = old.delete()
    return count


def erase_texts(portal: Portal) -> int:
    """Erases the texts of all entries and returns how many entries had texts."""
    return _erase_texts(portal, Q(), lambda numbers: {"up_to": numbers[-1]})


def erase_texts_of_person(portal: Portal, user_id: int) -> int:
    """Erases the texts of entries that this person caused, or that are about the person's attempts.

    Returns how many entries had texts.
    """
    theirs = Q(actor_id=user_id) | Q(facts__user_id=user_id)
    return _erase_texts(portal, theirs, lambda numbers: {"numbers": numbers})


def _erase_texts(portal: Portal, which: Q, facts_of: Callable[[list[int]], dict[str, Any]]) -> int:
    """Works in chunks; each transaction appends an entry that records which texts it erased."""
    erased = 0
    while True:
        with_texts = unguarded(portal_id=portal.pk).filter(which, texts__isnull=False)
        numbers = list(with_texts.order_by("number").values_list("number", flat=True)[:_AT_ONCE])
        if not numbers:
            return erased
        with transaction.atomic():
            unguarded(numbers, portal_id=portal.pk).update(texts=None)
            _append(portal, TEXTS_ERASED, None, None, facts_of(numbers), None)
        erased += len(numbers)


def forget(portal: Portal) -> int:
    """Deletes the whole chain of a portal and returns how many entries it had."""
    count = 0
    entries = unguarded(portal_id=portal.pk).order_by("number")
    while numbers := list(entries.values_list("number", flat=True)[:_AT_ONCE]):
        unguarded(numbers, portal_id=portal.pk).delete()
        count += len(numbers)
    return count
