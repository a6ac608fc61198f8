"""Views of runs: the dry run, and a run whose steps the person's open page requests."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from b24app.identity.session import PortalRequest, portal_required
from b24app.web.unreadable import explains_sizes
from payments.bulk import dry_run as drafting
from payments.bulk import lines, progress, runs
from payments.bulk import step as stepping
from payments.bulk.forms import asks_to_stop, read_confirmed, read_selection
from payments.bulk.permission import may_bulk, require_may_bulk
from payments.models import Run, RunRow


@require_GET
@portal_required
def bulk(request: PortalRequest) -> HttpResponse:
    """Renders the unfinished run and the earlier ones."""
    return _screen(request, runs.current_run(request.person))


@require_GET
@portal_required
def shown(request: PortalRequest, run_id: int) -> HttpResponse:
    return _screen(request, runs.run_of(request.person, run_id))


@explains_sizes
@require_POST
@portal_required
def dry_run(request: PortalRequest) -> HttpResponse:
    """Renders what a run would do with the ticked payments, or with all that the search finds."""
    selection = read_selection(request)
    if selection.payment_ids is None:
        run = drafting.draft_all(request.person, selection.number)
    else:
        run = drafting.draft_ticked(request.person, selection.payment_ids)
    return _screen(request, run)


@require_POST
@portal_required
def start(request: PortalRequest, run_id: int) -> HttpResponse:
    """Starts the run with the kinds of rows that the person confirmed."""
    kinds = read_confirmed(request)
    require_may_bulk(request.person)
    run = runs.run_of(request.person, run_id)
    runs.start(run, kinds)
    return _screen(request, run, takes_steps=True)


@require_POST
@portal_required
def step(request: PortalRequest, run_id: int) -> HttpResponse:
    """Takes one step. The rendered page requests the next one when it is due."""
    run = runs.run_of(request.person, run_id)
    row = stepping.step(request.person, run)
    return _progress(request, run, takes_steps=True, row=row)


@require_POST
@portal_required
def pause(request: PortalRequest, run_id: int) -> HttpResponse:
    """Pauses the run, also before Stop: nothing more is paid until the person has confirmed."""
    run = runs.run_of(request.person, run_id)
    runs.pause(run)
    return _progress(request, run, asks_to_stop=asks_to_stop(request))


@require_POST
@portal_required
def resume(request: PortalRequest, run_id: int) -> HttpResponse:
    require_may_bulk(request.person)
    run = runs.run_of(request.person, run_id)
    runs.resume(run)
    return _progress(request, run, takes_steps=True)


@require_POST
@portal_required
def stop(request: PortalRequest, run_id: int) -> HttpResponse:
    run = runs.run_of(request.person, run_id)
    runs.stop(run)
    return _screen(request, run)


def _screen(request: PortalRequest, run: Run | None, *, takes_steps: bool = False) -> HttpResponse:
    person = request.person
    context: dict[str, Any] = {
        "may_bulk": may_bulk(person),
        "finished_runs": progress.finished_runs(person.portal, person.user_id),
        "takes_steps": takes_steps,
    }
    if run is not None:
        context["progress"] = progress.progress_of(run)
        context["groups"] = lines.groups_of(run, person.portal)
    return render(request, "payments/bulk/bulk.html", context)


def _progress(
    request: PortalRequest,
    run: Run,
    *,
    takes_steps: bool = False,
    asks_to_stop: bool = False,
    row: RunRow | None = None,
) -> HttpResponse:
    """Renders the progress, and `row`, which changed.

    `takes_steps` says that this page requests the steps. At the end of the run all rows are
    rendered, because another tab may have taken steps too.
    """
    person = request.person
    changed = None if run.is_over else [row] if row else []
    context: dict[str, Any] = {
        "progress": progress.progress_of(run),
        "takes_steps": takes_steps,
        "asks_to_stop": asks_to_stop,
        "changed": lines.rows_shown(run, person.portal, changed),
    }
    return render(request, "payments/bulk/step.html", context)
