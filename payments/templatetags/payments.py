"""The filters and tags of payments in templates."""

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
    """Returns the licence agreement and the privacy policy, named in the page's language."""
    language = legal.language_for(asked=get_language() or "")
    return [
        {"kind": kind, "language": language.code, "title": language.title(kind)}
        for kind in legal.KINDS
    ]


@register.filter
def item_title(owner: Owner) -> str:
    """Returns the title of a deal, an invoice or another item of the CRM."""
    return str(owner_title(owner))


@register.filter
def said_by(now: Mapping[str, object], name: str) -> object:
    """Returns the current value of a form's field, empty where it equals what was typed."""
    return now.get(name, "")


# The address of a view without parameters does not change while the process lives.
@register.simple_tag
@cache
def address(name: str) -> str:
    return reverse(f"payments:{name}")
