"""The address to which portals post events."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from b24app.events import receive as events


@csrf_exempt  # The application_token is the proof.
@require_POST
def receive(request: HttpRequest) -> HttpResponse:
    """Responds 2xx if the event was accepted, now or before; 4xx if it is refused.

    https://apidocs.bitrix24.com/api-reference/events/safe-event-handlers.html
    """
    events.receive(request)
    return JsonResponse({"ok": True})
