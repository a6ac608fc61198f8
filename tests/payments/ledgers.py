"""Makes entries and attempts, and ways round the guards to corrupt them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from b24app import models
from payments.ledger import chain
from payments.ledger.verify import verify
from payments.models import Attempt, Entry
from tests.payments import attempts


def an_attempt(portal: models.Portal, **values: Any) -> Attempt:
    """Returns a paid attempt without an entry."""
    now = timezone.now()
    given = {"sum": Decimal("100.50"), "created_at": now, "settled_at": now, "evidence": {}}
    return attempts.keep(portal, **{**given, **values})


def paid(portal: models.Portal, count: int = 1, **values: Any) -> list[Attempt]:
    """Returns paid attempts with their entries."""
    attempts = [an_attempt(portal, **values) for _ in range(count)]
    for attempt in attempts:
        chain.record(portal, attempt.state, actor_id=3, attempt=attempt)
    return attempts


def entries(portal: models.Portal) -> list[Entry]:
    return list(Entry.objects.of(portal.pk))


def open_to_change(portal: models.Portal, *numbers: int) -> QuerySet[Entry]:
    """The rows without guards, as an owner of the database's password has them."""
    rows: QuerySet[Entry] = QuerySet(Entry).filter(portal=portal)
    return rows.filter(number__in=numbers) if numbers else rows


def aged(portal: models.Portal, at: datetime, *numbers: int) -> None:
    """Changes the age of entries and seals the whole chain again, as if it had always been so."""
    open_to_change(portal, *numbers).update(at=at)
    reseal(portal)


def reseal(portal: models.Portal, *, since: int = 1) -> None:
    previous = ""
    for entry in entries(portal):
        if entry.number >= since:
            previous = previous or entry.previous
            entry.previous = previous
            hash_ = chain.seal(entry, portal.member_id)
            open_to_change(portal, entry.number).update(previous=previous, hash=hash_)
            previous = hash_


def findings(portal: models.Portal, noted: tuple[int, str] | None = None) -> list[str]:
    told: list[str] = []
    verify(portal, tell=told.append, known_head=noted)
    return [line.split(": ", 1)[1] for line in told]
