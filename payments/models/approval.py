"""A second person's word on one payment: asked for, given or refused, and used up by paying."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import IntegrityError, models, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from payments.models.attempt import Kind

NOTE_LENGTH = 255

# A request waits so long for an answer, and an approval so long for its payment: over a weekend.
# After that, whoever approved no longer knows what the deal looks like now.
APPROVAL_LASTS = timedelta(hours=72)


class ApprovalState(models.TextChoices):
    WAITING = "waiting", _("Waiting")
    APPROVED = "approved", _("Approved")
    DECLINED = "declined", _("Declined")
    USED = "used", _("Used")
    EXPIRED = "expired", _("Expired")
    WITHDRAWN = "withdrawn", _("Withdrawn")


LIVE_STATES = (ApprovalState.WAITING, ApprovalState.APPROVED)


class ApprovalQuerySet(models.QuerySet["Approval"]):
    def live(self, now: datetime) -> ApprovalQuerySet:
        """Asked for or given, and not too old."""
        return self.filter(state__in=LIVE_STATES, expires_at__gt=now)

    def waiting_for(self, user_id: int, *, portal_id: int, now: datetime) -> ApprovalQuerySet:
        """Other people's requests; whether this person may see the payments is not known here."""
        return self.filter(
            portal_id=portal_id, state=ApprovalState.WAITING, expires_at__gt=now
        ).exclude(requested_by=user_id)

    def of_requester(
        self, user_id: int, *, portal_id: int, payment_ids: Collection[int], now: datetime
    ) -> ApprovalQuerySet:
        return self.live(now).filter(
            portal_id=portal_id, requested_by=user_id, payment_id__in=payment_ids
        )

    def expire(self, now: datetime) -> int:
        return self.filter(state__in=LIVE_STATES, expires_at__lte=now).update(
            state=ApprovalState.EXPIRED
        )

    def use(self, approval_id: int, *, now: datetime) -> bool:
        """Use it up, before the payment is sent. False: it is no longer good, so nothing may be.

        One statement, so that of two at the same time one is told False.
        """
        good = self.filter(pk=approval_id, state=ApprovalState.APPROVED, expires_at__gt=now)
        return bool(good.update(state=ApprovalState.USED))

    def give_back(self, approval_id: int) -> None:
        """It was used for a payment that never left us. Where the requester has asked for another
        one meanwhile, that one counts."""
        with suppress(IntegrityError), transaction.atomic():
            self.filter(pk=approval_id, state=ApprovalState.USED).update(
                state=ApprovalState.APPROVED
            )


class Approval(models.Model):
    """One person's request to pay one payment above the limit, and what another made of it.

    It is bound to all that the person who decided was shown, and is good for one payment.
    """

    portal = models.ForeignKey("b24app.Portal", on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.PAY)
    payment_id = models.PositiveBigIntegerField()
    account_number = models.CharField(max_length=100)
    order_id = models.PositiveBigIntegerField(null=True)
    owner_type = models.PositiveIntegerField(null=True)
    owner_id = models.PositiveBigIntegerField(null=True)
    sum = models.DecimalField(max_digits=20, decimal_places=4)
    currency = models.CharField(max_length=10)
    pay_system_id = models.PositiveBigIntegerField()
    pay_system_name = models.CharField(max_length=255, blank=True)
    # What the payment itself was set to when it was asked for.
    bound_pay_system_id = models.PositiveBigIntegerField()
    requested_by = models.PositiveBigIntegerField()
    requested_at = models.DateTimeField(default=timezone.now)
    state = models.CharField(
        max_length=10, choices=ApprovalState.choices, default=ApprovalState.WAITING
    )
    decided_by = models.PositiveBigIntegerField(null=True)
    decided_at = models.DateTimeField(null=True)
    note = models.CharField(max_length=NOTE_LENGTH, blank=True)  # why it was declined
    expires_at = models.DateTimeField()

    # Of this request alone, not of the row: as the person who decides may read it.
    owner_title: str = ""

    objects = ApprovalQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["portal", "payment_id", "requested_by"],
                condition=models.Q(state__in=["waiting", "approved"]),
                name="one_live_approval_a_requester",
            ),
            models.CheckConstraint(
                condition=models.Q(decided_by__isnull=True)
                | ~models.Q(decided_by=models.F("requested_by")),
                name="nobody_approves_their_own",
            ),
            # An approval that pays names who gave it.
            models.CheckConstraint(
                condition=~models.Q(state__in=["approved", "declined", "used"])
                | models.Q(decided_by__isnull=False, decided_at__isnull=False),
                name="a_decision_names_who_decided",
            ),
        ]
        indexes = [
            models.Index(
                fields=["portal", "expires_at"],
                condition=models.Q(state="waiting"),
                name="approvals_waiting",
            ),
            models.Index(fields=["portal", "requested_by"], name="approvals_of_a_requester"),
        ]

    def __str__(self) -> str:
        return f"approval {self.pk} of payment {self.payment_id}: {self.state}"

    @property
    def is_waiting(self) -> bool:
        return self.state == ApprovalState.WAITING

    @property
    def is_approved(self) -> bool:
        return self.state == ApprovalState.APPROVED

    def is_live(self, now: datetime) -> bool:
        return self.state in LIVE_STATES and self.expires_at > now

    def is_over(self, now: datetime) -> bool:
        """Too old, whether or not that has been written down yet."""
        return self.state in LIVE_STATES and self.expires_at <= now

    def binds(self, *, sum: Decimal, currency: str, pay_system_id: int, kind: str) -> bool:
        """Is this what was approved?"""
        return (self.sum, self.currency, self.pay_system_id, self.kind) == (
            sum,
            currency,
            pay_system_id,
            kind,
        )
