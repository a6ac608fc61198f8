"""The page /metrics, which Prometheus reads with a token."""

from __future__ import annotations

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from b24app.monitoring import metrics


@require_safe
def figures(request: HttpRequest) -> HttpResponse:
    """Returns the metrics if the Authorization header has B24_METRICS_TOKEN, else 401.

    No frame, link or form can send that header. Without the setting the page does not exist.
    """
    if not settings.B24_METRICS_TOKEN:
        raise Http404
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not constant_time_compare(token, settings.B24_METRICS_TOKEN):
        return HttpResponse(status=401, headers={"WWW-Authenticate": "Bearer"})
    return HttpResponse(metrics.exposition(), content_type=CONTENT_TYPE_LATEST)
