"""Settles what is not confirmed and posts due comments, as a job of `manage.py work`."""

from __future__ import annotations

from datetime import timedelta

from b24app.work.jobs import Job, Stop, add_job
from payments import timeline
from payments.attempts.reconcile import reconcile

NAME = "reconcile"


def _settle(stop: Stop) -> int:
    looked_at = reconcile(stop=stop).looked_at
    return looked_at + timeline.post_due(stop=stop)


add_job(
    Job(
        NAME,
        _settle,
        # A payment is due two minutes after its call, and a person waits for it.
        period=timedelta(seconds=10),
        missed_after=timedelta(minutes=15),
        is_shared=True,
    )
)
