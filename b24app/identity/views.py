"""Renews an expired session in place, so that the page keeps what the person has chosen."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from b24app.identity import session
from b24app.identity.opening import read_opening
from b24app.rest.client import Batch


@csrf_exempt  # The posted token is the proof; another site does not have it.
@require_POST
def reopen(request: HttpRequest) -> HttpResponse:
    """Proves AUTH_ID, REFRESH_ID, AUTH_EXPIRES and member_id as an opening; sends {"session"}."""
    opening = read_opening(request)
    _reading, person = opening.enter(lambda: _ProofOnly(opening.client.batch()))
    return JsonResponse({"session": session.issue(person)})


class _ProofOnly:
    """A reading with no queries but the proof."""

    def __init__(self, batch: Batch) -> None:
        self.user_batch = batch
        self.batches = [batch]
