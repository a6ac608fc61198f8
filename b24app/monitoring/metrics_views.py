"""Figures for whoever runs the app; for nobody else, and in no frame."""

from __future__ import annotations

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from b24app.monitoring import metrics


@require_safe
def figures(request: HttpRequest) -> HttpResponse:
    """For requests with the token of B24_METRICS_TOKEN; without that setting there is no page.

    In a header, which no frame, link or form can send.
    """
    if not settings.B24_METRICS_TOKEN:
        raise Http404
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not constant_time_compare(token, settings.B24_METRICS_TOKEN):
        return HttpResponse(status=401, headers={"WWW-Authenticate": "Bearer"})
    return HttpResponse(metrics.exposition(), content_type=CONTENT_TYPE_LATEST)
