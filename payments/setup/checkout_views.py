"""For Bitrix24's server and for a buyer, neither of whom has a session: the checkout of Manual
settlement, and the page that says how to pay."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from b24app.identity.forms import check_body_size
from b24app.rest.php_form import nested
from payments.setup import checkout as settlement
from payments.setup.checkout import CheckoutRefused


@csrf_exempt  # Its proof is the key in the portal's settings.
@require_POST
def checkout(request: HttpRequest) -> HttpResponse:
    """Answers {"PAYMENT_URL", "PAYMENT_ID"}, or {"PAYMENT_ERRORS": [sentence]}."""
    check_body_size(request)
    asked = settlement.read_request(
        nested((name, str(value)) for name, value in request.POST.items())
    )
    try:
        payment, sealed = settlement.check(asked)
    except CheckoutRefused as error:
        return JsonResponse({"PAYMENT_ERRORS": [str(error.sentence)]})
    page = f"{settings.APP_URL}{reverse('bill', args=[sealed])}"
    return JsonResponse({"PAYMENT_URL": page, "PAYMENT_ID": f"manual-{payment.id}"})


@require_GET
def bill(request: HttpRequest, sealed: str) -> HttpResponse:
    """Shows what the seller wrote; asks nobody and changes nothing."""
    return render(request, "payments/setup/bill.html", {"bill": settlement.open_bill(sealed)})
