"""The public pages of the licence agreement and the privacy policy."""

from __future__ import annotations

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

from b24app.web import legal
from b24app.web.middleware import framed_by


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
