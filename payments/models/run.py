"""Several payments made or marked one after another: the run, and its rows with their outcomes."""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from payments.models.attempt import Attempt, Kind

# In one run. At the portal's pace these take more than twenty minutes; a person watches no longer.
MOST_PAYMENTS = 500


class RunState(models.TextChoices):
    """READY was shown and not started. STOPPED and FINISHED end a run for good."""

    READY = "ready", _("Not started")
    RUNNING = "running", _("Running")
    PAUSED = "paused", _("Paused")
    STOPPED = "stopped", _("Stopped")
    FINISHED = "finished", _("Finished")


ACTIVE_STATES = (RunState.RUNNING, RunState.PAUSED)
OVER_STATES = (RunState.STOPPED, RunState.FINISHED)


class RowState(models.TextChoices):
    """TRYING is written before anything is asked for the row, so that a process that dies leaves it
    behind: such a row is looked at and never simply tried again. TRIED ended as its attempt did."""

    WAITING = "waiting", _("Waiting")
    TRYING = "trying", _("Being paid")
    TRIED = "tried", _("Tried")
    SKIPPED = "skipped", _("Left out")


class Run(models.Model):
    """The payments that one person selected. Only that person's open page takes its steps."""

    portal = models.ForeignKey("b24app.Portal", on_delete=models.CASCADE, related_name="+")
    user_id = models.PositiveBigIntegerField()
    state = models.CharField(max_length=10, choices=RunState.choices, default=RunState.READY)
    reason = models.CharField(max_length=40, blank=True)  # why it paused: a code of bulk/words.py
    # Payments that were asked for and are not there for this person.
    missing = models.PositiveIntegerField(default=0)
    # There were more than a run may have, or than were looked through.
    is_cut = models.BooleanField(default=False)
    # Payments left out because they cannot be read: [{"id": 7, "number": "163/1"}]; null and "" are
    # what is not known of one.
    unreadable = models.JSONField(default=list)
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    # Until then, one process is taking a step; after it, another one may.
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
    """One payment of a run. `offer` is what the person was shown of it, sealed. `kind` is PAY or
    MARK, as the person saw it before the run started; it never changes."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="rows")
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
    offer = models.TextField()
    state = models.CharField(max_length=10, choices=RowState.choices, default=RowState.WAITING)
    reason = models.CharField(max_length=40, blank=True)  # why it was left out
    # The last attempt on the payment, by any person, when the step began: a newer one is the row's.
    after_attempt = models.PositiveBigIntegerField(default=0)
    attempt = models.ForeignKey(Attempt, on_delete=models.SET_NULL, null=True, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "position"], name="one_row_a_position"),
            models.UniqueConstraint(fields=["run", "payment_id"], name="one_row_a_payment"),
        ]

    def __str__(self) -> str:
        return f"payment {self.payment_id} in run {self.run_id}: {self.state}"
