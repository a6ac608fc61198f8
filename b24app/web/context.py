"""What every template may need of the frame around it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from b24app.identity import session


def frame(request: HttpRequest) -> dict[str, Any]:
    """`frame_session` for the page's body, `portal`, `bx24_script_url`, and whether the
    page `looks_after_bindings`.

    The first is empty and the second None until a person is known.
    """
    person: session.Person | None = getattr(request, "person", None)
    return {
        "frame_session": session.issue(person) if person else "",
        "portal": person.portal if person else None,
        "bx24_script_url": settings.B24_JS_URL,
        "looks_after_bindings": getattr(request, "looks_after_bindings", False),
    }
