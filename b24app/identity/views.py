"""A page past its hour gets a new session in place, so that nothing chosen in it is lost."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from b24app.identity import session
from b24app.identity.opening import read_opening
from b24app.rest.client import Batch


@csrf_exempt  # Its proof is the posted token, which no other site has.
@require_POST
def reopen(request: HttpRequest) -> HttpResponse:
    """Prove AUTH_ID, REFRESH_ID, AUTH_EXPIRES and member_id as an opening; answers {"session"}."""
    opening = read_opening(request)
    _reading, person = opening.enter(lambda: _ProofAlone(opening.client.batch()))
    return JsonResponse({"session": session.issue(person)})


class _ProofAlone:
    """Asks the portal for nothing but the proof."""

    def __init__(self, batch: Batch) -> None:
        self.user_batch = batch
        self.batches = [batch]
