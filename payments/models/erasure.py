"""The table of erasures: what was erased after a portal removed the app. Names no person."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class Erasure(models.Model):
    """The size and the head of a portal's ledger before an erasure; one row an erasure.

    The portal is identified by its member_id, which belongs to no person.
    """

    class What(models.TextChoices):
        ALL = "all", "everything"
        TEXTS = "texts", "texts; ids and sums are kept"

    member_id = models.CharField(max_length=64, db_index=True)
    what = models.CharField(max_length=5, choices=What.choices)
    at = models.DateTimeField(default=timezone.now)
    removed_at = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField()
    # How many of the attempts were sent and never confirmed.
    open_attempts = models.PositiveIntegerField()
    entries = models.PositiveIntegerField()
    # Number and hash of the chain's last entry; 0 and "" if the chain was empty.
    last_number = models.PositiveBigIntegerField()
    last_hash = models.CharField(max_length=64, blank=True)

    def __str__(self) -> str:
        return f"erasure of {self.member_id}: {self.what}"
