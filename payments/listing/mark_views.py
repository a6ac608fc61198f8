"""Views that mark as paid by hand and undo: the question, then the action and its outcome."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST

from b24app.identity.session import PortalRequest, portal_required
from payments.attempts import mark_paid as marking
from payments.attempts import undo as undoing
from payments.forms import read_note, read_offer
from payments.listing.confirm_by_hand import ask_mark, ask_undo, find_undo
from payments.listing.pay_views import outcome
from payments.models import NOTE_LENGTH
from payments.offer import open_offer


@require_POST
@portal_required
def mark_question(request: PortalRequest) -> HttpResponse:
    asked = ask_mark(request.person, sealed=read_offer(request))
    return render(request, "payments/listing/mark_question.html", {"question": asked})


@require_POST
@portal_required
def mark(request: PortalRequest) -> HttpResponse:
    offer = open_offer(read_offer(request), request.person)
    return outcome(request, offer, marking.mark(request.person, offer))


@require_POST
@portal_required
def undo_question(request: PortalRequest) -> HttpResponse:
    asked = ask_undo(request.person, sealed=read_offer(request))
    context = {"question": asked, "note_length": NOTE_LENGTH}
    return render(request, "payments/listing/undo_question.html", context)


@require_POST
@portal_required
def undo(request: PortalRequest) -> HttpResponse:
    # The rules are checked here as before the question: a request can be sent without one.
    asked = find_undo(request.person, sealed=read_offer(request))
    attempt = undoing.undo(request.person, asked.offer, note=read_note(request))
    return outcome(request, asked.offer, attempt)
