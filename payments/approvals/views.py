"""Views to ask for an approval, and to approve, decline or withdraw. Nothing here pays."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from b24app.identity.session import Person, PortalRequest, portal_required
from payments.approvals import lines, requests
from payments.approvals.forms import read_decision, read_kind
from payments.approvals.inbox import count_waiting, read_inbox
from payments.approvals.lines import Decision
from payments.forms import read_choice, read_note
from payments.gateway import Owner
from payments.listing import status
from payments.listing.confirm import ask as ask_question
from payments.lookups import users
from payments.models import NOTE_LENGTH, Approval
from payments.offer import open_offer


@require_GET
@portal_required
def approvals(request: PortalRequest) -> HttpResponse:
    inbox = read_inbox(request.person)
    context = {
        "inbox": inbox,
        "waiting": lines.waiting_lines(inbox, request.person.portal),
        "own": lines.own_lines(inbox, request.person.portal),
    }
    return render(request, "payments/approvals/approvals.html", context)


@require_GET
@portal_required
def waiting(request: PortalRequest) -> HttpResponse:
    """Returns the number for the badge; empty if it is 0."""
    return HttpResponse(str(count_waiting(request.person) or ""))


@require_POST
@portal_required
def question(request: PortalRequest) -> HttpResponse:
    choice, kind = read_choice(request), read_kind(request)
    asked = ask_question(request.person, sealed=choice.offer, pay_system_id=choice.pay_system_id)
    context = {"question": asked, "kind": kind.value}
    return render(request, "payments/approvals/request_question.html", context)


@require_POST
@portal_required
def ask(request: PortalRequest) -> HttpResponse:
    choice, kind = read_choice(request), read_kind(request)
    offer = open_offer(choice.offer, request.person)
    asked = ask_question(request.person, sealed=choice.offer, pay_system_id=choice.pay_system_id)
    requests.ask(
        request.person,
        offer,
        pay_system_id=asked.pay_system_id,
        pay_system_name=asked.pay_system_name,
        kind=kind,
    )
    context = {"status": status.status_asked(offer), "keeps_choice": False}
    return _with_badges(render(request, "payments/shared/outcome.html", context))


@require_POST
@portal_required
def decision(request: PortalRequest) -> HttpResponse:
    """Reads the payment again and renders the question before a decision."""
    approval_id, decided = read_decision(request)
    person = request.person
    if decided == Decision.WITHDRAW:
        approval = requests.withdrawable(person, approval_id)
    elif decided == Decision.APPROVE:
        approval = requests.approvable(person, approval_id)
    else:
        approval = requests.declinable(person, approval_id)
    context = {
        "subject": f"approval-{approval.pk}",
        "approval": approval,
        "owner": Owner.of(approval.owner_type, approval.owner_id, approval.owner_title),
        "decision": decided.value,
        "requester": _requester(person, approval)[approval.requested_by],
        "note_length": NOTE_LENGTH,
    }
    return render(request, "payments/approvals/decision_question.html", context)


@require_POST
@portal_required
def decide(request: PortalRequest) -> HttpResponse:
    approval_id, decided = read_decision(request)
    person = request.person
    if decided == Decision.APPROVE:
        approval = requests.approve(person, approval_id)
        line = lines.decided_line(approval, names=_requester(person, approval))
    elif decided == Decision.DECLINE:
        approval = requests.decline(person, approval_id, note=read_note(request))
        line = lines.decided_line(approval, names={})
    else:
        line = lines.own_line(requests.withdraw(person, approval_id), names={})
    template = "payments/approvals/settle.html"
    return _with_badges(render(request, template, {"line": line}))


def _with_badges(response: HttpResponse) -> HttpResponse:
    """Makes the page reload its badges."""
    response["HX-Trigger"] = "badges"
    return response


def _requester(person: Person, approval: Approval) -> dict[int, str]:
    return users.names(person, [approval.requested_by])
