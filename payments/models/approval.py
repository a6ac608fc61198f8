"""The table of approvals: a second person allows or declines one payment above the limit."""

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

# A request expires this long after it was made, and an approval this long after it was given. That
# spans a weekend; after it, the person who approved no longer knows the deal as it is now.
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
        """Returns requests and approvals that have not expired."""
        return self.filter(state__in=LIVE_STATES, expires_at__gt=now)

    def waiting_for(self, user_id: int, *, portal_id: int, now: datetime) -> ApprovalQuerySet:
        """Returns other people's open requests. The caller checks which payments this person may
        see."""
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
        """Marks the approval as used, before the payment is sent.

        Returns False if it is no longer valid; nothing may be sent then. One UPDATE decides, so of
        two concurrent calls one gets False.
        """
        valid = self.filter(pk=approval_id, state=ApprovalState.APPROVED, expires_at__gt=now)
        return bool(valid.update(state=ApprovalState.USED))

    def give_back(self, approval_id: int) -> None:
        """Makes an approval valid again after its payment was not sent.

        Does nothing if the requester has a newer request: the database allows one live row.
        """
        with suppress(IntegrityError), transaction.atomic():
            self.filter(pk=approval_id, state=ApprovalState.USED).update(
                state=ApprovalState.APPROVED
            )


class Approval(models.Model):
    """One person's request to pay one payment above the limit, and another person's decision.

    It keeps everything that the deciding person was shown, and allows one payment.
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
    # The pay system that the payment itself had when the request was made.
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

    # Not a column: the title as the deciding person may read it, filled in for one page.
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
                name="requester_does_not_decide",
            ),
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
        """Returns whether it has expired, also where `expire` has not run yet."""
        return self.state in LIVE_STATES and self.expires_at <= now

    def matches(self, *, sum: Decimal, currency: str, pay_system_id: int, kind: str) -> bool:
        """Returns whether these values are the ones that were approved."""
        return (self.sum, self.currency, self.pay_system_id, self.kind) == (
            sum,
            currency,
            pay_system_id,
            kind,
        )
