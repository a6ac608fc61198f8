"""Every try to change whether a payment is paid, written down before Bitrix24 is asked for it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from b24app.localization.times import moment_in

if TYPE_CHECKING:
    from payments.models.policy import Policy

# ACCOUNT_NUMBER has 100 characters in Bitrix24.
NUMBER_LENGTH = 100

# A claim that was never sent is given up after this: longer than the reads before a payment can
# take with all their retries, so that only a process that died leaves one behind.
STALE_CLAIM = timedelta(minutes=5)

# The cloud cuts a request at 60 seconds; twice that leaves room for two clocks and a slow commit.
# A payment still unpaid this long after it was sent has not been carried out.
SETTLE_AFTER = timedelta(seconds=120)


class Kind(models.TextChoices):
    """What was tried: to pay through the pay system; to mark as paid, with no money moved by it; to
    take either back."""

    PAY = "pay", _("Payment")
    MARK = "mark", _("Marked as paid")
    UNDO = "undo", _("Undone")


class State(models.TextChoices):
    """PAID ends a payment or a mark, UNDONE ends an undoing. CLOSED was never confirmed: a person
    looked at the facts and let the payment go."""

    PAYING = "paying", _("Being paid")
    PAID = "paid", _("Paid")
    REFUSED = "refused", _("Refused")
    UNKNOWN = "unknown", _("Not confirmed")
    UNDONE = "undone", _("Undone")
    CLOSED = "closed", _("Closed by hand")


OPEN_STATES = (State.PAYING, State.UNKNOWN)


def folded(account_number: str) -> str:
    """Returns the number as it is compared: `INV-7` and `inv-7` are one."""
    return account_number.casefold()[:NUMBER_LENGTH]


class FoldedNumberField(models.CharField):  # type: ignore[type-arg]
    """Keeps `account_number` folded beside it, by `save` and by `bulk_create` alike."""

    def pre_save(self, model_instance: models.Model, add: bool) -> str:
        value = folded(str(model_instance.serializable_value("account_number")))
        setattr(model_instance, self.attname, value)
        return value


class AttemptQuerySet(models.QuerySet["Attempt"]):
    def on(self, payment_id: int, *, portal_id: int) -> AttemptQuerySet:
        return self.filter(portal_id=portal_id, payment_id=payment_id)

    def still_open(self) -> AttemptQuerySet:
        return self.filter(state__in=OPEN_STATES)

    def latest_on(self, payment_id: int, *, portal_id: int) -> Attempt | None:
        return self.on(payment_id, portal_id=portal_id).order_by("-pk").first()

    def paid_by_person(self, user_id: int, *, portal_id: int) -> AttemptQuerySet:
        """What they have paid through the app themselves, the last first: what was paid otherwise
        meanwhile, or marked by hand, was no choice of theirs."""
        return self.filter(
            portal_id=portal_id, user_id=user_id, kind=Kind.PAY, state=State.PAID, reason=""
        ).order_by("-created_at", "-id")


class Attempt(models.Model):
    """One try to pay one payment, to mark it as paid or to undo that, by one person.

    The database allows one open attempt a payment: it is the claim that keeps a second click, a
    second person or a second process from paying again.
    """

    portal = models.ForeignKey("b24app.Portal", on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.PAY)
    # The paid attempt that this one takes back; empty where it was paid outside the app.
    # Together with it alone can it be deleted.
    undoes = models.ForeignKey(
        "self", on_delete=models.RESTRICT, null=True, related_name="undoings"
    )
    payment_id = models.PositiveBigIntegerField()
    account_number = models.CharField(max_length=NUMBER_LENGTH)
    number_key = FoldedNumberField(max_length=NUMBER_LENGTH, default="", editable=False)
    order_id = models.PositiveBigIntegerField(null=True)
    owner_type = models.PositiveIntegerField(null=True)
    owner_id = models.PositiveBigIntegerField(null=True)
    pay_system_id = models.PositiveBigIntegerField()
    pay_system_name = models.CharField(max_length=255, blank=True)
    # What the payment was bound to on the page the person looked at.
    bound_pay_system_id = models.PositiveBigIntegerField()
    sum = models.DecimalField(max_digits=20, decimal_places=4)
    currency = models.CharField(max_length=10)
    user_id = models.PositiveBigIntegerField()
    # The second person's word it went by; empty where the rules demand none.
    approval = models.ForeignKey(
        "payments.Approval", on_delete=models.PROTECT, null=True, related_name="attempts"
    )
    state = models.CharField(max_length=10, choices=State.choices, default=State.PAYING)
    created_at = models.DateTimeField(default=timezone.now)
    # Committed before the payment leaves us: without it, nothing was ever sent.
    sent_at = models.DateTimeField(null=True)
    settled_at = models.DateTimeField(null=True)
    # While it is open: when `manage.py reconcile` is to look at it, and how often it has.
    due_at = models.DateTimeField(null=True)
    looks = models.PositiveSmallIntegerField(default=0)
    # Since when it waits for a person, because looking brought no answer for too long.
    handed_over_at = models.DateTimeField(null=True)
    # What a person wrote to it: why it was undone, or why it was closed by hand.
    note = models.CharField(max_length=255, blank=True)
    reason = models.CharField(max_length=40, blank=True)  # a code of reasons.py
    evidence = models.JSONField(default=dict)  # what the portal said

    # Of this request alone, not of the row: the portal's rules by which it was sent.
    rules_read: Policy | None = None

    objects = AttemptQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["portal", "payment_id"],
                condition=models.Q(state__in=["paying", "unknown"]),
                name="one_open_attempt_a_payment",
            )
        ]
        indexes = [
            models.Index(fields=["portal", "payment_id"], name="attempts_of_a_payment"),
            models.Index(
                fields=["due_at"],
                condition=models.Q(due_at__isnull=False),
                name="attempts_to_look_at",
            ),
            models.Index(
                fields=["settled_at"],
                condition=models.Q(state="paid"),
                name="attempts_paid_lately",
            ),
            # The history, newest first: all of a portal, and by whom, through what, how it ended.
            models.Index(fields=["portal", "-created_at", "-id"], name="attempts_in_time"),
            models.Index(
                fields=["portal", "user_id", "-created_at", "-id"], name="history_of_a_person"
            ),
            models.Index(
                fields=["portal", "pay_system_id", "-created_at", "-id"],
                name="history_of_a_pay_system",
            ),
            models.Index(
                fields=["portal", "state", "-created_at", "-id"], name="history_of_an_outcome"
            ),
            # For what a number begins with, in whatever language the database sorts.
            models.Index(
                fields=["portal", "number_key"],
                opclasses=["", "varchar_pattern_ops"],
                name="history_of_a_number",
            ),
            # Which pay systems one person has used.
            models.Index(
                fields=["portal", "user_id", "pay_system_id"], name="pay_systems_of_a_person"
            ),
            models.Index(
                fields=["portal", "-created_at", "-id"],
                condition=models.Q(handed_over_at__isnull=False, state__in=["paying", "unknown"]),
                name="attempts_handed_over",
            ),
        ]

    def __str__(self) -> str:
        return f"attempt {self.pk} on payment {self.payment_id}: {self.state}"

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_STATES

    @property
    def is_refused(self) -> bool:
        return self.state == State.REFUSED

    @property
    def abandoned_at(self) -> datetime:
        return self.created_at + STALE_CLAIM

    @property
    def overdue_at(self) -> datetime | None:
        """When it can be told for certain what has become of it; None where it was never sent."""
        # A second more, because a strict comparison decides.
        return self.sent_at and self.sent_at + SETTLE_AFTER + timedelta(seconds=1)

    def is_abandoned(self, now: datetime) -> bool:
        """Claimed long ago and never sent: whoever claimed it is gone, and nothing was paid."""
        return (
            self.state == State.PAYING
            and self.sent_at is None
            and self.created_at < now - STALE_CLAIM
        )

    def is_overdue(self, now: datetime) -> bool:
        """Sent so long ago that it is either carried out by now or never will be."""
        return self.is_open and self.sent_at is not None and self.sent_at < now - SETTLE_AFTER

    @property
    def done_at(self) -> datetime | None:
        """When what was tried was done; None where it was not.

        Of a payment it is what Bitrix24 says, which a list shows too: a payment must not change its
        day when the page is opened again.
        """
        if self.state == State.UNDONE:
            return self.settled_at
        if self.state == State.PAID:
            return moment_in(self.evidence.get("datePaid")) or self.settled_at
        return None
