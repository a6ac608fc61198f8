"""The history: found and shown, page by page, as a file and as a page for printing."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_GET, require_POST

from b24app.identity.forms import check_body_size, positive_id
from b24app.identity.session import FIELD, PortalRequest, portal_required
from b24app.rest import shares
from payments import history as past
from payments.history import Choices, Filter, Scope, csv_export, export_table, xlsx_export
from payments.history.chart import charts
from payments.history.waiting_views import waiting_context
from payments.listing.unfinished_run import unfinished_run

# Some thirty sheets of paper; whoever needs more has the file.
PRINTED_ROWS = 1000


@require_GET
@portal_required
def history(request: PortalRequest) -> HttpResponse:
    """The whole screen, with nothing left out."""
    scope, wanted = past.scope_of(request.person), Filter()
    context = _found(scope, wanted)
    choices: Choices = context["choices"]
    names = scope.name(choices.people)
    context["people"] = sorted(
        ((user_id, names[user_id]) for user_id in choices.people),
        key=lambda person: person[1].casefold(),
    )
    context["outcomes"] = past.OUTCOMES
    context["unfinished"] = unfinished_run(request.person)
    if scope.is_admin:
        context.update(waiting_context(scope))
    return render(request, "payments/history/history.html", context)


@require_GET
@portal_required
def found(request: PortalRequest) -> HttpResponse:
    """What is wanted, with its totals."""
    wanted = past.read_filter(request.GET)
    context = _found(past.scope_of(request.person), wanted)
    return render(request, "payments/history/found.html", context)


@require_GET
@portal_required
def more(request: PortalRequest) -> HttpResponse:
    """The page below the attempt `before`."""
    wanted = past.read_filter(request.GET)
    before = positive_id(request.GET.get("before", ""))
    context = _page(past.scope_of(request.person), wanted, before=before)
    return render(request, "payments/history/rows.html", context)


@require_POST
@portal_required
def export(request: PortalRequest) -> StreamingHttpResponse:
    """Sends the chosen history as a file: CSV, or a spreadsheet where `format` is xlsx."""
    check_body_size(request)
    wanted = past.read_filter(request.POST)
    scope = past.scope_of(request.person)
    ending = "xlsx" if request.POST.get("format") == "xlsx" else "csv"
    writer = xlsx_export if ending == "xlsx" else csv_export
    name = export_table.file_name(request.person, wanted, today=timezone.localdate(), ending=ending)
    return StreamingHttpResponse(
        export_table.InPlace(
            export_table.as_now(writer.parts(scope.attempts, wanted, request.person)),
            shares.of_export(request.person.portal.pk),
        ),
        content_type=writer.CONTENT_TYPE,
        headers={"Content-Disposition": content_disposition_header(True, name)},
    )


@require_POST
@portal_required
def printed(request: PortalRequest) -> HttpResponse:
    """What is wanted as a page in a window of its own, without anything to press."""
    check_body_size(request)
    wanted = past.read_filter(request.POST)
    scope = past.scope_of(request.person)
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


def _found(scope: Scope, wanted: Filter, *, size: int = past.PAGE) -> dict[str, Any]:
    portal, user_id = scope.person.portal, scope.person.user_id
    choices = past.choices(portal, user_id, is_admin=scope.is_admin)
    totals = past.totals(scope.attempts, wanted, systems=choices.systems)
    return {
        **_page(scope, wanted, size=size),
        "choices": choices,
        "totals": totals,
        "charts": charts(totals),
        "longest_days": past.LONGEST_DAYS,
        "session_field": FIELD,
        "wanted_outcome": dict(past.OUTCOMES).get(wanted.outcome),
        "wanted_system": choices.systems.get(wanted.pay_system_id or 0),
    }


def _page(
    scope: Scope, wanted: Filter, *, before: int | None = None, size: int = past.PAGE
) -> dict[str, Any]:
    page = past.page(scope.attempts, wanted, before=before, size=size)
    names = scope.name(past.people_in(page.attempts))
    return {
        "lines": past.lines_of(page.attempts, scope.person.portal, names=names),
        "next_before": page.next_before,
        "before": before,
        "wanted": wanted,
        "is_admin": scope.is_admin,
    }
