"""The table of policies: the pay systems, limits and people that an administrator allows."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

# A payment can be undone for a month at most: by then the month's books are closed.
MAX_UNDO_HOURS = 720
DEFAULT_UNDO_HOURS = 24


class Who(models.TextChoices):
    """The people whom a rule allows something, if Bitrix24 allows it to them too."""

    EVERYBODY = "everybody", _("Everybody who may pay orders")
    ADMINISTRATORS = "administrators", _("Portal administrators")
    PEOPLE = "people", _("These people")


@dataclass(frozen=True)
class Limit:
    """A payment of more than `sum` in this currency needs a second person's approval."""

    currency: str
    sum: Decimal


class Policy(models.Model):
    """One portal's rules. A portal without a row has the defaults, which allow everything that
    Bitrix24 allows."""

    portal = models.OneToOneField(
        "b24app.Portal", on_delete=models.CASCADE, related_name="payment_policy"
    )
    # Ids of the pay systems that may be used; null allows all.
    systems = models.JSONField(null=True, default=None)
    # {"EUR": "10000"}: in the row itself, so that one SELECT reads all rules.
    limits = models.JSONField(default=dict)
    undo_hours = models.PositiveSmallIntegerField(default=DEFAULT_UNDO_HOURS)  # 0 forbids undoing
    undo_by = models.CharField(max_length=20, choices=Who.choices, default=Who.EVERYBODY)
    undo_people = models.JSONField(default=list)
    bulk_by = models.CharField(max_length=20, choices=Who.choices, default=Who.EVERYBODY)
    bulk_people = models.JSONField(default=list)
    timeline_comment = models.BooleanField(default=True)
    # Raised by each change. A form sends the version that it showed, so that two people do not
    # overwrite each other's changes.
    version = models.PositiveIntegerField(default=0)
    changed_by = models.PositiveBigIntegerField(null=True)
    changed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(undo_hours__lte=MAX_UNDO_HOURS), name="undo_hours_are_bounded"
            )
        ]

    def __str__(self) -> str:
        return f"rules of portal {self.portal_id}, version {self.version}"

    def allows_system(self, pay_system_id: int) -> bool:
        return self.systems is None or pay_system_id in self.systems

    def limit_rows(self) -> list[Limit]:
        return [Limit(currency, Decimal(text)) for currency, text in sorted(self.limits.items())]

    def needs_approval(self, sum: Decimal, currency: str) -> bool:
        """Returns whether the sum is above its currency's limit; a currency may have no limit."""
        limit = self.limits.get(currency)
        return limit is not None and sum > Decimal(limit)

    def may_undo(self, person_id: int, *, is_admin: bool) -> bool:
        """Returns whether the rules let this person undo; `undo_hours` limits for how long."""
        return self.undo_hours > 0 and _is_among(
            self.undo_by, self.undo_people, person_id, is_admin=is_admin
        )

    def may_bulk(self, person_id: int, *, is_admin: bool) -> bool:
        return _is_among(self.bulk_by, self.bulk_people, person_id, is_admin=is_admin)

    def as_facts(self) -> dict[str, Any]:
        """Returns the rules as the ledger records them."""
        return {
            "systems": self.systems,
            "limits": self.limits,
            "undo_hours": self.undo_hours,
            "undo_by": self.undo_by,
            "undo_people": self.undo_people,
            "bulk_by": self.bulk_by,
            "bulk_people": self.bulk_people,
            "timeline_comment": self.timeline_comment,
        }


def _is_among(who: str, people: Collection[int], person_id: int, *, is_admin: bool) -> bool:
    match who:
        case Who.EVERYBODY:
            return True
        case Who.ADMINISTRATORS:
            return is_admin
        case _:
            return person_id in people
