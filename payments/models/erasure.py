"""What was erased when a portal left: kept without anything that names a person."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class Erasure(models.Model):
    """How far a portal's ledger reached when it was erased; appended once for each erasure.

    The portal is named by its member_id, which no person has.
    """

    class What(models.TextChoices):
        ALL = "all", "everything"
        TEXTS = "texts", "texts; ids and sums are kept"

    member_id = models.CharField(max_length=64, db_index=True)
    what = models.CharField(max_length=5, choices=What.choices)
    at = models.DateTimeField(default=timezone.now)
    removed_at = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField()
    # Those of them that were sent and never confirmed.
    open_attempts = models.PositiveIntegerField()
    entries = models.PositiveIntegerField()
    # Number and hash of the chain's last entry; 0 and empty where there was none.
    last_number = models.PositiveBigIntegerField()
    last_hash = models.CharField(max_length=64, blank=True)

    def __str__(self) -> str:
        return f"erasure of {self.member_id}: {self.what}"
