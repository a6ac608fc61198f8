"""Links to the licence agreement and the privacy policy, named in the page's language."""

from __future__ import annotations

from django import template
from django.utils.translation import get_language

from b24app import legal

register = template.Library()


@register.simple_tag
def legal_links() -> list[dict[str, str]]:
    language = legal.language_for(asked=get_language() or "")
    return [
        {"kind": kind, "language": language.code, "title": language.title(kind)}
        for kind in legal.KINDS
    ]
