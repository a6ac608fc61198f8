"""The public pages of the licence agreement and the privacy policy, and security.txt."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone, translation
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

from b24app.web import legal
from b24app.web.middleware import framed_by

# Each answer has a new date, so it never expires; RFC 9116 asks for less than a year.
_SECURITY_EXPIRES = timedelta(days=180)


@require_safe
def security_txt(request: HttpRequest) -> HttpResponse:
    """Says to whom a weakness is reported. Without SECURITY_CONTACT the page does not exist.

    https://www.rfc-editor.org/rfc/rfc9116
    """
    if not settings.SECURITY_CONTACT:
        raise Http404
    # Whole days, so that a cache and a test see one answer a day.
    expires = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0) + _SECURITY_EXPIRES
    lines = [
        f"Contact: {settings.SECURITY_CONTACT}",
        f"Expires: {expires.isoformat()}",
        f"Preferred-Languages: {', '.join(code for code, _name in settings.LANGUAGES)}",
        f"Canonical: {settings.APP_URL}/.well-known/security.txt",
    ]
    return HttpResponse("\n".join(lines) + "\n", content_type="text/plain; charset=utf-8")


@require_safe
def page(request: HttpRequest, kind: str) -> HttpResponse:
    """Renders b24app/web/legal/<kind>/<language>.html.

    Its context is `kind`, `language`, `title`, `publisher`, `others` (the other languages),
    `beside` and `beside_title` (the other text), and the days for which data are kept:
    `history_days`, `ledger_days`, `grace_days`, `call_days`.
    """
    if kind not in legal.TITLES:
        raise Http404(kind)
    language = legal.language_for(
        asked=request.GET.get("lang", ""), accepted=request.headers.get("Accept-Language", "")
    )
    beside = legal.PRIVACY if kind == legal.LICENSE else legal.LICENSE
    context = {
        "kind": kind,
        "language": language,
        "title": legal.TITLES[kind],
        "others": [each for each in settings.LANGUAGES if each[0] != language],
        "beside": beside,
        "beside_title": legal.TITLES[beside],
        "publisher": legal.publisher(),
        "history_days": settings.B24_HISTORY_DAYS,
        "grace_days": settings.B24_REMOVAL_GRACE_DAYS,
        "ledger_days": settings.B24_LEDGER_RETENTION_DAYS,
        "call_days": settings.B24_REST_LOG_DAYS,
    }
    with translation.override(language):
        response = render(request, f"b24app/web/legal/{kind}/{language}.html", context)
    # A portal may show this page beside the app; it has no action and no personal data.
    framed_by(response, request, "*")
    response["Content-Language"] = language
    patch_vary_headers(response, ["Accept-Language"])
    return response
