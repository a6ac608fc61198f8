"""What the forms of pay systems need of a mapping."""

from __future__ import annotations

from collections.abc import Mapping

from django import template

register = template.Library()


@register.filter
def said_by(now: Mapping[str, object], name: str) -> object:
    """What the field of this name says now; nothing where it says what was typed."""
    return now.get(name, "")
