"""A page past its hour gets a new session in place, so that nothing chosen in it is lost."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from b24app import session
from b24app.opening import read_opening


@csrf_exempt  # Its proof is the posted token, which no other site has.
@require_POST
def reopen(request: HttpRequest) -> HttpResponse:
    """Prove AUTH_ID, REFRESH_ID, AUTH_EXPIRES and member_id as an opening; answers {"session"}."""
    opening = read_opening(request)
    batch = opening.client.batch()
    opening.add_proof(batch)
    batch.run()
    return JsonResponse({"session": session.issue(opening.prove())})
