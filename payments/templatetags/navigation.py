"""The links between the screens of the main page."""

from __future__ import annotations

from functools import cache

from django import template
from django.template import Context
from django.urls import reverse

from payments import navigation
from payments.gateway import Owner
from payments.screens import owner_title

register = template.Library()


@register.simple_tag(takes_context=True)
def screens_for(context: Context) -> list[navigation.Screen]:
    """Those that this person has links to, by what the opening found out of them."""
    return navigation.screens_for(
        is_admin=bool(context.get("is_admin")), may_set_up=bool(context.get("may_set_up"))
    )


@register.filter
def item_title(owner: Owner) -> str:
    """What a deal, an invoice or another item of the CRM is called."""
    return str(owner_title(owner))


@register.simple_tag
@cache
def address(name: str) -> str:
    """Of a view without parameters: one for as long as the process lives."""
    return reverse(f"payments:{name}")
