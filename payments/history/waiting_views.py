"""Views for the portal's administrator to check waiting attempts again, or to close them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from b24app.identity.session import PortalRequest, portal_required
from b24app.install.repairs import require_administrator
from payments.attempts import pay, reconcile
from payments.forms import read_note
from payments.history.forms import read_attempt_id
from payments.history.lines import lines_of, people_in
from payments.history.scope import Scope, scope_of
from payments.history.waiting import MOST_SHOWN, find_waiting, offer_for, waiting_in
from payments.models import NOTE_LENGTH, Attempt

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

# The badge has room for two digits.
MOST_COUNTED = 99


@require_GET
@portal_required
def waiting(request: PortalRequest) -> HttpResponse:
    """Returns the number beside the link to the history; empty if it is 0 or for non-admins."""
    portal = request.person.portal
    count = waiting_in(portal)[: MOST_COUNTED + 1].count()
    if not count or not scope_of(request.person).is_admin:
        return HttpResponse("")
    return HttpResponse(str(count) if count <= MOST_COUNTED else f"{MOST_COUNTED}+")


@require_POST
@portal_required
def check(request: PortalRequest) -> HttpResponse:
    """Reads the payment again and renders what waits now."""
    attempt = _chosen(request)
    person = request.person
    found = pay.check(person, offer_for(person, attempt)) or attempt
    if found.is_open:
        said = _("Payment %(number)s was checked: it is still not certain what happened to it.")
        return _waiting(request, said % {"number": attempt.account_number})
    return _waiting(request, _settled(found))


@require_POST
@portal_required
def close(request: PortalRequest) -> HttpResponse:
    """Closes an attempt whose outcome stays unknown, with the reason in `note`."""
    note = read_note(request)
    attempt = _chosen(request)
    return _waiting(
        request, _settled(reconcile.close_by_hand(attempt, by=request.person, note=note))
    )


def _chosen(request: PortalRequest) -> Attempt:
    attempt_id = read_attempt_id(request)
    require_administrator(request.person)
    return find_waiting(request.person.portal, attempt_id)


def _settled(attempt: Attempt) -> str:
    words = {"number": attempt.account_number, "state": attempt.get_state_display()}
    return _("Payment %(number)s is settled: %(state)s.") % words


def _waiting(request: PortalRequest, said: StrOrPromise) -> HttpResponse:
    """Renders the list as it is now, and makes the page reload the badge and the rows below."""
    scope = Scope(request.person, is_admin=True)
    context = {**waiting_context(scope), "said": said}
    answer = render(request, "payments/history/waiting.html", context)
    answer["HX-Trigger"] = "badges, attempts"
    return answer


def waiting_context(scope: Scope) -> dict[str, Any]:
    """Returns the context of payments/history/waiting.html: the newest attempts that wait."""
    attempts = list(waiting_in(scope.person.portal)[: MOST_SHOWN + 1])
    shown = attempts[:MOST_SHOWN]
    names = scope.name(people_in(shown))
    return {
        "waiting": lines_of(shown, scope.person.portal, names=names),
        "more_wait": len(attempts) > MOST_SHOWN,
        "longest_note": NOTE_LENGTH,
    }
