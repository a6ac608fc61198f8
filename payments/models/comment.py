"""The table of comments to be written to the timeline of a deal or invoice."""

from __future__ import annotations

from django.db import models


class Comment(models.Model):
    """A comment on one paid attempt; the first worker that finds none creates it."""

    attempt = models.OneToOneField(
        "payments.Attempt", on_delete=models.CASCADE, related_name="comment"
    )
    # The earliest time of the next try; null once the comment is written or given up.
    due_at = models.DateTimeField(null=True)
    tries = models.PositiveSmallIntegerField(default=0)
    # When it was last sent without a clear answer: the timeline is read before it is sent again.
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
