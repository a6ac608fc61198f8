"""Starts, pauses, resumes and ends a run, each by one conditional statement."""

from __future__ import annotations

from collections.abc import Collection

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from b24app.errors import FrameError, Missing
from b24app.identity.session import Person
from payments.bulk import messages
from payments.bulk.forms import NothingConfirmed
from payments.models import ACTIVE_STATES, Kind, RowState, Run, RunState
from payments.models.reread import reread


class RunUnfinished(FrameError):
    status = 409
    sentence_by_default = _(
        "You have an unfinished run. Open Several at once and resume or stop it first. "
        "Nothing else was started."
    )


class NoSuchRun(Missing):
    sentence_by_default = _(
        "This run of yours no longer exists. Nothing was done. Open Several at once again."
    )


class RunErased(Missing):
    sentence_by_default = _(
        "This run was deleted meanwhile. The history shows what was paid by it. "
        "Open Several at once again."
    )


def run_of(person: Person, run_id: int) -> Run:
    """Returns this person's own run; raises NoSuchRun for every other."""
    run = Run.objects.filter(pk=run_id, portal=person.portal, user_id=person.user_id).first()
    if run is None:
        raise NoSuchRun(f"run {run_id}")
    run.portal = person.portal
    return run


def read_again(run: Run) -> None:
    """Reads the run's row again; raises RunErased if it was deleted meanwhile."""
    if not reread(run):
        raise RunErased(f"run {run.pk}")


def current_run(person: Person) -> Run | None:
    """Returns the person's active run, else their latest dry run, else None."""
    own = Run.objects.filter(portal=person.portal, user_id=person.user_id)
    return (
        own.filter(state__in=ACTIVE_STATES).first()
        or own.filter(state=RunState.READY).order_by("-pk").first()
    )


def require_none_active(person: Person) -> None:
    """Raises RunUnfinished."""
    own = Run.objects.filter(portal=person.portal, user_id=person.user_id)
    if own.filter(state__in=ACTIVE_STATES).exists():
        raise RunUnfinished("one run at a time")


def start(run: Run, kinds: Collection[Kind]) -> None:
    """Starts a dry run with its rows of these kinds; the person did not confirm the other rows.

    Changes nothing if the run has started already. Raises NothingConfirmed if it has no rows of
    these kinds, RunUnfinished if the person has another active run.
    """
    now = timezone.now()
    waiting = run.rows.filter(state=RowState.WAITING)
    try:
        with transaction.atomic():
            started = Run.objects.filter(pk=run.pk, state=RunState.READY).update(
                state=RunState.RUNNING, started_at=now, next_step_at=now
            )
            if started:
                for kind, reason in messages.UNCONFIRMED_KINDS.items():
                    if kind not in kinds:
                        waiting.filter(kind=kind).update(state=RowState.SKIPPED, reason=reason)
                if not waiting.exists():
                    raise NothingConfirmed("no row of the kinds that were confirmed")
    except IntegrityError as error:
        raise RunUnfinished("one run at a time") from error
    read_again(run)


def pause(run: Run, reason: str = messages.BY_PERSON) -> None:
    """Pauses a running run. `reason` is a key of messages.PAUSE_SENTENCES."""
    Run.objects.filter(pk=run.pk, state=RunState.RUNNING).update(
        state=RunState.PAUSED, reason=reason
    )
    read_again(run)


def resume(run: Run) -> None:
    """Resumes a paused run."""
    now = timezone.now()
    # Pausing and resuming must not make the next step due earlier than the pace allows.
    due = max(run.next_step_at or now, now)
    Run.objects.filter(pk=run.pk, state=RunState.PAUSED).update(
        state=RunState.RUNNING, reason="", unconfirmed_in_a_row=0, next_step_at=due
    )
    read_again(run)


def stop(run: Run) -> None:
    """Ends the run for good: rows that wait stay as they are. A row under way is finished."""
    _end(run, RunState.STOPPED)


def finish(run: Run) -> None:
    """Ends a run that has no rows left."""
    _end(run, RunState.FINISHED)


def _end(run: Run, state: RunState) -> None:
    Run.objects.filter(pk=run.pk, state__in=ACTIVE_STATES).update(
        state=state, reason="", finished_at=timezone.now()
    )
    read_again(run)
