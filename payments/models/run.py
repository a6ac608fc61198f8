"""The tables of bulk runs: a run pays or marks several payments, one row a payment."""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from payments.models.attempt import Attempt, Kind

# Payments in one run. They take more than twenty minutes at the portal's pace; a person does not
# watch longer.
MOST_PAYMENTS = 500


class RunState(models.TextChoices):
    """The state of a run. STOPPED and FINISHED are final."""

    READY = "ready", _("Not started")  # shown to the person, not started
    RUNNING = "running", _("Running")
    PAUSED = "paused", _("Paused")
    STOPPED = "stopped", _("Stopped")
    FINISHED = "finished", _("Finished")


ACTIVE_STATES = (RunState.RUNNING, RunState.PAUSED)
OVER_STATES = (RunState.STOPPED, RunState.FINISHED)


class RowState(models.TextChoices):
    """The state of a row."""

    WAITING = "waiting", _("Waiting")
    # Committed before the first call for the row. A process that dies leaves the row in this state;
    # its attempt is checked then, and the row is not simply tried again.
    TRYING = "trying", _("Being paid")
    TRIED = "tried", _("Tried")  # the row's attempt has the outcome
    SKIPPED = "skipped", _("Left out")


class Run(models.Model):
    """The payments that one person selected. Only that person's open page takes its steps."""

    portal = models.ForeignKey("b24app.Portal", on_delete=models.CASCADE, related_name="+")
    user_id = models.PositiveBigIntegerField()
    state = models.CharField(max_length=10, choices=RunState.choices, default=RunState.READY)
    reason = models.CharField(max_length=40, blank=True)  # why it paused: a code of bulk.messages
    # How many selected payments do not exist for this person.
    missing = models.PositiveIntegerField(default=0)
    # True if the selection had more payments than a run may have, or than were read.
    is_cut = models.BooleanField(default=False)
    # Payments left out because they cannot be read: [{"id": 7, "number": "163/1"}], with null or ""
    # for an unknown value.
    unreadable = models.JSONField(default=list)
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    # The end of the lease of the process that takes a step; after it, another process may.
    stepping_until = models.DateTimeField(null=True)
    next_step_at = models.DateTimeField(null=True)
    unconfirmed_in_a_row = models.PositiveSmallIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["portal", "user_id"],
                condition=models.Q(state__in=["running", "paused"]),
                name="one_active_run_a_person",
            )
        ]
        indexes = [models.Index(fields=["portal", "user_id"], name="runs_of_a_person")]

    def __str__(self) -> str:
        return f"run {self.pk} of user {self.user_id}: {self.state}"

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE_STATES

    @property
    def is_over(self) -> bool:
        return self.state in OVER_STATES

    def is_stepped_elsewhere(self, now: datetime) -> bool:
        return self.stepping_until is not None and self.stepping_until > now


class RunRow(models.Model):
    """One payment of a run."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="rows")
    # PAY or MARK, as the person saw it before the run started; it never changes.
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.PAY)
    position = models.PositiveIntegerField()
    payment_id = models.PositiveBigIntegerField()
    account_number = models.CharField(max_length=100)
    owner_type = models.PositiveIntegerField(null=True)
    owner_id = models.PositiveBigIntegerField(null=True)
    owner_title = models.CharField(max_length=255, blank=True)
    pay_system_id = models.PositiveBigIntegerField()
    pay_system_name = models.CharField(max_length=255, blank=True)
    sum = models.DecimalField(max_digits=20, decimal_places=4)
    currency = models.CharField(max_length=10)
    offer = models.TextField()  # sealed: the payment as it was shown to the person
    state = models.CharField(max_length=10, choices=RowState.choices, default=RowState.WAITING)
    reason = models.CharField(max_length=40, blank=True)  # why it was left out
    # The id of the payment's last attempt, by any person, when the step began: a newer attempt
    # belongs to this row.
    after_attempt = models.PositiveBigIntegerField(default=0)
    attempt = models.ForeignKey(Attempt, on_delete=models.SET_NULL, null=True, related_name="+")

    # With a session, a signed offer pays.
    not_exported = ("offer",)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "position"], name="one_row_a_position"),
            models.UniqueConstraint(fields=["run", "payment_id"], name="one_row_a_payment"),
        ]

    def __str__(self) -> str:
        return f"payment {self.payment_id} in run {self.run_id}: {self.state}"
