"""The address that portals post events to."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from b24app.events import receive as events


@csrf_exempt  # Its proof is the application_token.
@require_POST
def receive(request: HttpRequest) -> HttpResponse:
    """2xx: done, now or before. 4xx: not from a portal of ours. 5xx: our own fault."""
    events.receive(request)
    return JsonResponse({"ok": True})
