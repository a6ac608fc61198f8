"""The context processor that gives all templates the session and the portal."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from b24app.identity import session


def frame(request: HttpRequest) -> dict[str, Any]:
    """Returns `frame_session`, `portal`, `bx24_script_url` and `looks_after_bindings`.

    `frame_session` is "" and `portal` None before the person is known. With `looks_after_bindings`
    the page asks the app to check its bindings.
    """
    person: session.Person | None = getattr(request, "person", None)
    return {
        "frame_session": session.issue(person) if person else "",
        "portal": person.portal if person else None,
        "bx24_script_url": settings.B24_JS_URL,
        "looks_after_bindings": getattr(request, "looks_after_bindings", False),
    }
