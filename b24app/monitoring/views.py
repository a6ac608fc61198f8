"""Health checks for the machines that run the app. They call no portal."""

from __future__ import annotations

from django.db import Error, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from b24app.models import JobRun


@require_safe
def alive(request: HttpRequest) -> HttpResponse:
    """Returns 200 while this process runs; a database that is down is no reason to restart it."""
    return JsonResponse({"status": "ok"})


@require_safe
def ready(request: HttpRequest) -> HttpResponse:
    """Returns 200 if this process can serve requests, 503 while the database does not answer.

    `jobs` has the seconds since each background job was last done. A missing worker is no reason to
    send people elsewhere, so it does not change the status.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        now, done = timezone.now(), JobRun.objects.values_list("name", "finished_at")
        jobs = {name: round((now - at).total_seconds()) for name, at in done if at is not None}
    except Error:
        return JsonResponse({"status": "no database"}, status=503)
    return JsonResponse({"status": "ok", "jobs": jobs})
