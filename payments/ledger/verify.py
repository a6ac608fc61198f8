"""Verifies a portal's chain entry by entry, and compares the attempts with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, Max, OuterRef
from django.utils.dateparse import parse_datetime

from b24app.models import Portal
from payments.ledger import chain, hashing
from payments.ledger.chain import REMOVED, TEXTS_ERASED
from payments.models import OPEN_STATES, Attempt, Entry

# Entries and attempts in memory at the same time.
_CHUNK = 500
# Values that an attempt and its last entry both have.
_COMPARED = ("kind", "state", "payment_id", "sum", "currency", "user_id", "pay_system_id")


@dataclass
class Report:
    """The result of a verification."""

    findings: int = 0
    count: int = 0  # of entries
    head: tuple[int, str] = (0, hashing.GENESIS)  # number and hash of the last entry


@dataclass(frozen=True)
class _Cut:
    """The removals and erasures that the chain itself records."""

    removed: dict[int, str]  # hash of the last removed entry by its number
    removed_before: str  # removed entries are older than this; "" if none was removed
    erased_up_to: int  # the texts up to this number were erased
    erased: frozenset[int]  # the texts of these entries were erased for a person

    @property
    def last_removed(self) -> int:
        return max(self.removed, default=0)


def verify(
    portal: Portal, *, tell: Callable[[str], object], known_head: tuple[int, str] | None = None
) -> Report:
    """Verifies the whole chain, and calls `tell` with a sentence for each finding.

    Its memory does not grow with the chain; only the numbers of entries whose texts were erased for
    a person are all in it.

    `known_head` is the number and hash of an entry from an earlier report: with it, a chain that
    was cut off or rewritten is found. Only reads; entries appended meanwhile are verified too.
    """
    report = Report()
    for finding in _findings(portal, report, known_head):
        report.findings += 1
        tell(f"{portal.member_id}: {finding}")
    return report


def _findings(portal: Portal, report: Report, known_head: tuple[int, str] | None) -> Iterator[str]:
    cut = _cut(portal)
    for entries in _chunks(portal):
        for entry in entries:
            yield from _faults_of(entry, portal, cut, *report.head, known_head=known_head)
            report.head = (entry.number, entry.hash)
            report.count += 1
        yield from _faults_of_attempts(portal, entries)
    yield from _attempts_without_entry(portal, cut)
    if known_head is not None:
        yield from _faults_of_head(known_head, report.head, cut)


def _chunks(portal: Portal) -> Iterator[list[Entry]]:
    after = 0
    while entries := list(Entry.objects.of(portal.pk).filter(number__gt=after)[:_CHUNK]):
        yield entries
        after = entries[-1].number


def _cut(portal: Portal) -> _Cut:
    entries = Entry.objects.of(portal.pk).filter(event__in=[REMOVED, TEXTS_ERASED])
    removed: dict[int, str] = {}
    before, up_to_erased, erased = "", 0, set[int]()
    for event, facts in entries.values_list("event", "facts").iterator(chunk_size=_CHUNK):
        up_to = _number(facts, "up_to")
        if event == TEXTS_ERASED:
            up_to_erased = max(up_to_erased, up_to)
            erased.update(_numbers(facts, "numbers"))
        elif up_to > max(removed, default=0):
            # A later removal includes the earlier ones, so the last one counts.
            removed, before = {up_to: str(facts.get("hash"))}, str(facts.get("before"))
    return _Cut(removed, before, up_to_erased, frozenset(erased))


def _number(facts: Any, name: str) -> int:
    value = facts.get(name) if isinstance(facts, dict) else None
    return value if isinstance(value, int) else 0


def _numbers(facts: Any, name: str) -> list[int]:
    value = facts.get(name) if isinstance(facts, dict) else None
    items = value if isinstance(value, list) else []
    return [number for number in items if isinstance(number, int)]


def _faults_of(
    entry: Entry,
    portal: Portal,
    cut: _Cut,
    last_number: int,
    last_hash: str,
    *,
    known_head: tuple[int, str] | None,
) -> Iterator[str]:
    here = f"entry {entry.number}"
    if last_number == 0 and entry.number > 1:
        yield from _faults_of_beginning(entry, cut)
    elif entry.number > last_number + 1:
        yield f"entries {last_number + 1} to {entry.number - 1} are missing"
    elif entry.previous != last_hash:
        yield f"{here} does not follow the entry before it: one of them was changed or moved"
    if not _is_sealed(entry, portal):
        yield f"{here} does not match its own hash: it was changed, or moved from another place"
    if entry.texts is not None:
        if hashing.digest_of(entry.texts) != entry.texts_digest:
            yield f"the texts of {here} were changed"
    elif entry.texts_digest and entry.number > cut.erased_up_to and entry.number not in cut.erased:
        yield f"the texts of {here} were erased, and no entry says so"
    if known_head is not None and entry.number == known_head[0] and entry.hash != known_head[1]:
        yield f"{here} does not have the given hash: the chain was rewritten"


def _faults_of_beginning(entry: Entry, cut: _Cut) -> Iterator[str]:
    up_to = entry.number - 1
    if up_to not in cut.removed:
        yield f"entries 1 to {up_to} are missing, and no entry says that they were removed"
    elif cut.removed[up_to] != entry.previous:
        yield f"entry {entry.number} does not follow what was removed before it"


def _is_sealed(entry: Entry, portal: Portal) -> bool:
    try:
        return chain.seal(entry, portal.member_id) == entry.hash
    except (TypeError, ValueError):  # Values that `record` never writes.
        return False


def _faults_of_attempts(portal: Portal, entries: Sequence[Entry]) -> Iterator[str]:
    """Compares attempts with their last entries; two queries a chunk.

    The attempts are read first. If an attempt changes between the queries, its last entry is in a
    later chunk, and the attempt is compared there.
    """
    ids = {entry.attempt_id for entry in entries if entry.attempt_id is not None}
    attempts = Attempt.objects.filter(portal=portal).in_bulk(ids)
    of_these = Entry.objects.filter(portal=portal, attempt_id__in=ids).order_by()
    last = dict(of_these.values_list("attempt_id").annotate(Max("number")))
    for entry in entries:
        if entry.attempt_id is None or last.get(entry.attempt_id) != entry.number:
            continue
        attempt = attempts.get(entry.attempt_id)
        if attempt is None:
            yield f"entry {entry.number}: its attempt {entry.attempt_id} is missing"
        else:
            yield from _differences(entry, attempt)


def _differences(entry: Entry, attempt: Attempt) -> Iterator[str]:
    facts = entry.facts if isinstance(entry.facts, dict) else {}
    for name in _COMPARED:
        value = getattr(attempt, name)
        expected = f"{value:.4f}" if name == "sum" else value
        if facts.get(name) != expected:
            yield (
                f"attempt {attempt.pk} says {name} {expected}, "
                f"but entry {entry.number} says {facts.get(name)}"
            )


def _attempts_without_entry(portal: Portal, cut: _Cut) -> Iterator[str]:
    settled = Attempt.objects.filter(portal=portal).exclude(state__in=OPEN_STATES)
    without_entry = settled.filter(~Exists(Entry.objects.filter(attempt_id=OuterRef("pk"))))
    before = parse_datetime(cut.removed_before) if cut.removed_before else None
    if before is not None:
        # Their entries were removed; the attempts are deleted later.
        without_entry = without_entry.exclude(settled_at__lt=before)
    rows = without_entry.order_by("pk").values_list("pk", "state", "payment_id")
    for pk, state, payment_id in rows.iterator(chunk_size=_CHUNK):
        yield f"attempt {pk} on payment {payment_id} is {state}, and no entry says so"


def _faults_of_head(known: tuple[int, str], head: tuple[int, str], cut: _Cut) -> Iterator[str]:
    number, hash_ = known
    if number > head[0]:
        yield f"entry {number} was given, but the chain ends at {head[0]}: its end is missing"
    elif number <= cut.last_removed and cut.removed.get(number) != hash_:
        yield f"entry {number} was given and cannot be verified: it was removed past its time"
