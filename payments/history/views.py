"""Views of the history: the screen, a search, the next page, a file, a page for printing."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_GET, require_POST

from b24app.identity.session import FIELD, PortalRequest, portal_required
from b24app.rest import shares
from payments.history import csv_export, export_table, xlsx_export
from payments.history.chart import charts
from payments.history.choices import Choices, choices
from payments.history.filters import OUTCOMES, Filter, read_filter
from payments.history.forms import read_before, read_ending
from payments.history.lines import lines_of, people_in
from payments.history.query import PAGE, page
from payments.history.scope import Scope, scope_of
from payments.history.totals import LONGEST_DAYS, totals
from payments.history.waiting_views import waiting_context
from payments.listing.unfinished_run import unfinished_run

# About thirty sheets of paper; a file has more.
PRINTED_ROWS = 1000


@require_GET
@portal_required
def history(request: PortalRequest) -> HttpResponse:
    """Renders the whole screen, with an empty search."""
    scope, wanted = scope_of(request.person), Filter()
    context = _found(scope, wanted)
    offered: Choices = context["choices"]
    names = scope.name(offered.people)
    context["people"] = sorted(
        ((user_id, names[user_id]) for user_id in offered.people),
        key=lambda person: person[1].casefold(),
    )
    context["outcomes"] = OUTCOMES
    context["unfinished"] = unfinished_run(request.person)
    if scope.is_admin:
        context.update(waiting_context(scope))
    return render(request, "payments/history/history.html", context)


@require_GET
@portal_required
def found(request: PortalRequest) -> HttpResponse:
    """Renders the result of a search, with its totals."""
    wanted = read_filter(request.GET)
    context = _found(scope_of(request.person), wanted)
    return render(request, "payments/history/found.html", context)


@require_GET
@portal_required
def more(request: PortalRequest) -> HttpResponse:
    """Renders the page that follows the attempt `before`."""
    wanted = read_filter(request.GET)
    before = read_before(request)
    context = _page(scope_of(request.person), wanted, before=before)
    return render(request, "payments/history/rows.html", context)


@require_POST
@portal_required
def export(request: PortalRequest) -> StreamingHttpResponse:
    """Streams the result of a search as a file: a spreadsheet if `format` is xlsx, else CSV."""
    wanted = read_filter(request.POST)
    scope = scope_of(request.person)
    ending = read_ending(request)
    writer = xlsx_export if ending == "xlsx" else csv_export
    name = export_table.file_name(request.person, wanted, today=timezone.localdate(), ending=ending)
    return StreamingHttpResponse(
        export_table.HoldingSlot(
            export_table.in_current_locale(writer.parts(scope.attempts, wanted, request.person)),
            shares.of_export(request.person.portal.pk),
        ),
        content_type=writer.CONTENT_TYPE,
        headers={"Content-Disposition": content_disposition_header(True, name)},
    )


@require_POST
@portal_required
def printed(request: PortalRequest) -> HttpResponse:
    """Renders the result of a search as a page for printing, without buttons."""
    wanted = read_filter(request.POST)
    scope = scope_of(request.person)
    context = {
        **_found(scope, wanted, size=PRINTED_ROWS),
        "printed_at": timezone.now(),
        "portal": request.person.portal,
        "most": PRINTED_ROWS,
        "who": scope.names[request.person.user_id],
    }
    if scope.is_admin and wanted.user_id is not None:
        context["wanted_person"] = scope.name([wanted.user_id])[wanted.user_id]
    return render(request, "payments/history/print.html", context)


def _found(scope: Scope, wanted: Filter, *, size: int = PAGE) -> dict[str, Any]:
    portal, user_id = scope.person.portal, scope.person.user_id
    offered = choices(portal, user_id, is_admin=scope.is_admin)
    summed_up = totals(scope.attempts, wanted, systems=offered.systems)
    return {
        **_page(scope, wanted, size=size),
        "choices": offered,
        "totals": summed_up,
        "charts": charts(summed_up),
        "longest_days": LONGEST_DAYS,
        "session_field": FIELD,
        "wanted_outcome": dict(OUTCOMES).get(wanted.outcome),
        "wanted_system": offered.systems.get(wanted.pay_system_id or 0),
    }


def _page(
    scope: Scope, wanted: Filter, *, before: int | None = None, size: int = PAGE
) -> dict[str, Any]:
    shown = page(scope.attempts, wanted, before=before, size=size)
    names = scope.name(people_in(shown.attempts))
    return {
        "lines": lines_of(shown.attempts, scope.person.portal, names=names),
        "next_before": shown.next_before,
        "before": before,
        "wanted": wanted,
        "is_admin": scope.is_admin,
    }
