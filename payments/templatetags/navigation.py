"""The links between the screens of the main page."""

from __future__ import annotations

from django import template
from django.urls import reverse

from payments import navigation

register = template.Library()


@register.simple_tag
def screens_for(is_admin: bool) -> list[navigation.Screen]:
    return navigation.screens_for(is_admin=is_admin)


@register.simple_tag
def address(name: str) -> str:
    return reverse(f"payments:{name}")
