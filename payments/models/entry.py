"""The table of ledger entries: appended, never changed, each hashed with the entry before it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

from django.db import models


class AppendOnly(TypeError):
    """Raised on a change or deletion of entries. Only `ledger/chain.py` removes entries, and it
    records that in the chain."""


class EntryQuerySet(models.QuerySet["Entry"]):
    def update(self, **kwargs: Any) -> NoReturn:
        raise AppendOnly("entries are not changed")

    def bulk_update(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnly("entries are not changed")

    def delete(self) -> NoReturn:
        raise AppendOnly("entries are not deleted")

    def of(self, portal_id: int) -> EntryQuerySet:
        return self.filter(portal_id=portal_id).order_by("number")


class Entry(models.Model):
    """One event that concerns money in a portal. People and CRM items are kept as ids."""

    portal = models.ForeignKey("b24app.Portal", on_delete=models.PROTECT, related_name="+")
    number = models.PositiveBigIntegerField()  # 1, 2, 3 ... in each portal
    at = models.DateTimeField()
    event = models.CharField(max_length=40)
    # No foreign key: the entry stays when the attempt is deleted.
    attempt_id = models.PositiveBigIntegerField(null=True, db_index=True)
    actor_id = models.PositiveBigIntegerField(null=True)
    facts = models.JSONField()
    # Texts that may name people. When they are erased, the digest stays, so that the chain can
    # still be verified.
    texts = models.JSONField(null=True)
    texts_digest = models.CharField(max_length=64, blank=True)
    previous = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    objects = EntryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "entries"
        constraints = [
            models.UniqueConstraint(fields=["portal", "number"], name="one_entry_a_number")
        ]
        indexes = [models.Index(fields=["portal", "at"], name="entries_by_age")]

    def __str__(self) -> str:
        return f"entry {self.number}: {self.event}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise AppendOnly("entries are not changed")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnly("entries are not deleted")


def unguarded(entries: Iterable[int] | None = None, *, portal_id: int) -> models.QuerySet[Entry]:
    """Returns a portal's entries without the guard against changes: for `ledger/chain.py` alone."""
    rows: models.QuerySet[Entry] = models.QuerySet(Entry).filter(portal_id=portal_id)
    return rows if entries is None else rows.filter(number__in=list(entries))
