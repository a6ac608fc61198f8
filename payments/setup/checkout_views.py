"""Views of Manual settlement without a session: the checkout, and the page for the buyer."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from b24app.rest.php_form import nested
from payments.setup import checkout as settlement
from payments.setup.checkout import CheckoutRefused


@csrf_exempt  # Its proof is the key in the portal's settings.
@require_POST
def checkout(request: HttpRequest) -> HttpResponse:
    """Called by Bitrix24. Returns {"PAYMENT_URL", "PAYMENT_ID"} or {"PAYMENT_ERRORS": [text]}."""
    posted = settlement.read_request(
        nested((name, str(value)) for name, value in request.POST.items())
    )
    try:
        payment, sealed = settlement.check(posted)
    except CheckoutRefused as error:
        return JsonResponse({"PAYMENT_ERRORS": [str(error.sentence)]})
    page = f"{settings.APP_URL}{reverse('bill', args=[sealed])}"
    return JsonResponse({"PAYMENT_URL": page, "PAYMENT_ID": f"manual-{payment.id}"})


@require_GET
def bill(request: HttpRequest, sealed: str) -> HttpResponse:
    """Renders what the seller wrote. Makes no request and changes nothing."""
    return render(request, "payments/setup/bill.html", {"bill": settlement.open_bill(sealed)})
