"""Template filters and tags for payments."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from django import template
from django.template import Context
from django.urls import reverse
from django.utils.translation import get_language

from b24app.web import legal
from payments.gateway import Owner
from payments.listing import navigation
from payments.listing.status import owner_title
from payments.money import figures, money

register = template.Library()

register.filter(figures)
register.filter(money)


@register.simple_tag(takes_context=True)
def screens_for(context: Context) -> list[navigation.Screen]:
    """Returns the screens that this person has links to."""
    return navigation.screens_for(
        is_admin=bool(context.get("is_admin")), may_set_up=bool(context.get("may_set_up"))
    )


@register.simple_tag
def legal_links() -> list[dict[str, str]]:
    """Returns kind, title and language of the licence agreement and the privacy policy."""
    language = legal.language_for(asked=get_language() or "")
    return [
        {"kind": kind, "language": language, "title": str(title)}
        for kind, title in legal.TITLES.items()
    ]


@register.filter
def item_title(owner: Owner) -> str:
    """Returns the title of a deal, an invoice or another item of the CRM."""
    return str(owner_title(owner))


@register.filter
def value_for(values: Mapping[str, object], name: str) -> object:
    """Returns the value with this name, or an empty string."""
    return values.get(name, "")


@register.simple_tag
@cache
def address(name: str) -> str:
    """Returns the address of a view without parameters, which is the same for all requests."""
    return reverse(f"payments:{name}")
