"""Renders HTML templates with $names in them, and escapes the values."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from string import Template

from sandbox.wire.http import Response

_TEMPLATES = Path(__file__).parent / "templates"
_STATIC = Path(__file__).parent / "static"
_CONTENT_TYPES = {".css": "text/css", ".js": "text/javascript"}


class Html(str):
    """Text that is already HTML, so `render` does not escape it."""

    __slots__ = ()


def render(name: str, /, **values: object) -> Html:
    """Fills in the template of that name. Raises KeyError for a $name without a value."""
    return Html(_template(name).substitute({key: _escaped(given) for key, given in values.items()}))


def join(parts: Iterable[Html]) -> Html:
    return Html("\n".join(parts))


def embedded(data: object) -> Html:
    """Encodes JSON for a script element; nothing in it can close the element."""
    return Html(json.dumps(data).replace("<", "\\u003c"))


def static_file(name: str) -> Response | None:
    path = _STATIC / name
    if path.parent != _STATIC or path.suffix not in _CONTENT_TYPES or not path.is_file():
        return None
    content_type = f"{_CONTENT_TYPES[path.suffix]}; charset=utf-8"
    return Response(200, path.read_bytes(), {"Content-Type": content_type})


@cache
def _template(name: str) -> Template:
    return Template((_TEMPLATES / f"{name}.html").read_text(encoding="utf-8").strip())


def _escaped(given: object) -> str:
    return given if isinstance(given, Html) else html.escape(str(given))
