"""A comment owed to the timeline of a deal or invoice, until it stands there."""

from __future__ import annotations

from django.db import models


class Comment(models.Model):
    """Made by the first worker that finds the paid attempt without one."""

    attempt = models.OneToOneField(
        "payments.Attempt", on_delete=models.CASCADE, related_name="comment"
    )
    # Nobody takes it up before; empty once there is nothing left to do.
    due_at = models.DateTimeField(null=True)
    tries = models.PositiveSmallIntegerField(default=0)
    # When it last left us without a clear answer: it is looked for before it is sent again.
    sent_at = models.DateTimeField(null=True)
    done_at = models.DateTimeField(null=True)
    given_up = models.BooleanField(default=False)

    class Meta:
        indexes = [
            models.Index(
                fields=["due_at"],
                condition=models.Q(due_at__isnull=False),
                name="comments_owed",
            )
        ]

    def __str__(self) -> str:
        return f"comment on attempt {self.attempt_id}"
