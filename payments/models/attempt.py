"""The table of attempts: each try to pay, mark or undo, stored before Bitrix24 is called."""

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

# A claim that was never sent is released after this. The reads before a payment take less time even
# with all their retries, so only a process that died leaves such a claim.
STALE_CLAIM = timedelta(minutes=5)

# Bitrix24's cloud cuts a request at 60 seconds; twice that allows for two clocks and a slow commit.
# A payment that is still unpaid this long after it was sent was not carried out.
SETTLE_AFTER = timedelta(seconds=120)


class Kind(models.TextChoices):
    """The kind of an attempt."""

    PAY = "pay", _("Payment")  # pay through the pay system
    MARK = "mark", _("Marked as paid")  # set the paid flag; no money moves
    UNDO = "undo", _("Undone")  # take a payment or a mark back


class State(models.TextChoices):
    """The state of an attempt. PAYING and UNKNOWN are open, the others are final."""

    PAYING = "paying", _("Being paid")
    PAID = "paid", _("Paid")  # a payment or a mark is done
    REFUSED = "refused", _("Refused")
    UNKNOWN = "unknown", _("Not confirmed")
    UNDONE = "undone", _("Undone")  # an undo is done
    # Never confirmed: a person looked at the evidence and closed the attempt.
    CLOSED = "closed", _("Closed by hand")


OPEN_STATES = (State.PAYING, State.UNKNOWN)


def folded(account_number: str) -> str:
    """Returns the number in the form that is compared: `INV-7` and `inv-7` are equal."""
    return account_number.casefold()[:NUMBER_LENGTH]


class FoldedNumberField(models.CharField):  # type: ignore[type-arg]
    """A copy of `account_number` in folded form, written by `save` and by `bulk_create`."""

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
        """Returns the payments that this person made through the app, newest first.

        Without marks, and without payments that were paid elsewhere meanwhile: there the person did
        not choose the pay system.
        """
        return self.filter(
            portal_id=portal_id, user_id=user_id, kind=Kind.PAY, state=State.PAID, reason=""
        ).order_by("-created_at", "-id")


class Attempt(models.Model):
    """One person's try to pay one payment, to mark it as paid, or to undo that.

    The database allows one open attempt a payment. That attempt is the claim: a second click, a
    second person or a second process cannot pay while it is open.
    """

    portal = models.ForeignKey("b24app.Portal", on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.PAY)
    # The paid attempt that this one takes back; null if the payment was paid outside the app.
    # RESTRICT: the paid attempt can be deleted only together with this one.
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
    # The pay system that the payment had on the page where the person pressed the button.
    bound_pay_system_id = models.PositiveBigIntegerField()
    sum = models.DecimalField(max_digits=20, decimal_places=4)
    currency = models.CharField(max_length=10)
    user_id = models.PositiveBigIntegerField()
    # The approval that this attempt used; null if the rules demand no approval.
    approval = models.ForeignKey(
        "payments.Approval", on_delete=models.PROTECT, null=True, related_name="attempts"
    )
    state = models.CharField(max_length=10, choices=State.choices, default=State.PAYING)
    created_at = models.DateTimeField(default=timezone.now)
    # Committed before the call is sent: if it is null, nothing was sent.
    sent_at = models.DateTimeField(null=True)
    settled_at = models.DateTimeField(null=True)
    # While the attempt is open: when `manage.py reconcile` reads the payment next, and how often it
    # has done so.
    due_at = models.DateTimeField(null=True)
    looks = models.PositiveSmallIntegerField(default=0)
    # Since when it waits for a person, because `reconcile` got no answer for too long.
    handed_over_at = models.DateTimeField(null=True)
    # A person's text: why it was undone, or why it was closed by hand.
    note = models.CharField(max_length=255, blank=True)
    reason = models.CharField(max_length=40, blank=True)  # a code of reasons.py
    evidence = models.JSONField(default=dict)  # what the portal returned

    # Not a column: the portal's rules by which this request sent the attempt.
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
            # The history, newest first: of a portal, a person, a pay system, an outcome.
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
            # For a search by the beginning of a number: `varchar_pattern_ops` makes the index work
            # in every collation of the database.
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
        """Returns when the outcome can be read for certain; None if it was never sent."""
        # One second more, because `is_overdue` compares with `<`.
        return self.sent_at and self.sent_at + SETTLE_AFTER + timedelta(seconds=1)

    def is_abandoned(self, now: datetime) -> bool:
        """Returns whether the claim is old and was never sent: its process died before paying."""
        return (
            self.state == State.PAYING
            and self.sent_at is None
            and self.created_at < now - STALE_CLAIM
        )

    def is_overdue(self, now: datetime) -> bool:
        """Returns whether it was sent so long ago that Bitrix24 cannot carry it out any more."""
        return self.is_open and self.sent_at is not None and self.sent_at < now - SETTLE_AFTER

    @property
    def done_at(self) -> datetime | None:
        """Returns when the payment, mark or undo was done; None if it was not.

        For a payment this is the date that Bitrix24 keeps: a list shows that date too, so the
        payment has the same day on every page.
        """
        if self.state == State.UNDONE:
            return self.settled_at
        if self.state == State.PAID:
            return moment_in(self.evidence.get("datePaid")) or self.settled_at
        return None
