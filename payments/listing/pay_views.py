"""Views that pay (the question, then the payment) and that check a payment again."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST

from b24app.identity.session import PortalRequest, portal_required
from payments.attempts import pay as paying
from payments.forms import read_choice, read_offer
from payments.listing.confirm import ask
from payments.listing.outcome import outcome_of
from payments.models import Attempt
from payments.offer import Offer, open_offer


@require_POST
@portal_required
def question(request: PortalRequest) -> HttpResponse:
    choice = read_choice(request)
    asked = ask(request.person, sealed=choice.offer, pay_system_id=choice.pay_system_id)
    return render(request, "payments/listing/pay_question.html", {"question": asked})


@require_POST
@portal_required
def pay(request: PortalRequest) -> HttpResponse:
    choice = read_choice(request)
    offer = open_offer(choice.offer, request.person)
    attempt = paying.pay(request.person, offer, pay_system_id=choice.pay_system_id)
    return outcome(request, offer, attempt, keeps_choice=True)


@require_POST
@portal_required
def check(request: PortalRequest) -> HttpResponse:
    offer = open_offer(read_offer(request), request.person)
    return outcome(request, offer, paying.check(request.person, offer))


def outcome(
    request: PortalRequest, offer: Offer, attempt: Attempt | None, *, keeps_choice: bool = False
) -> HttpResponse:
    """Renders payments/shared/outcome.html with `status`, `choice` and `keeps_choice`.

    `keeps_choice` says that the row shows a list of pay systems, which it needs again after a
    refusal, unless the payment has another pay system by now.
    """
    shown = outcome_of(request.person, offer, attempt)
    keeps_choice = keeps_choice and shown.status.pay_system_id == offer.pay_system_id
    context = {"status": shown.status, "choice": shown.choice, "keeps_choice": keeps_choice}
    return render(request, "payments/shared/outcome.html", context)
