"""`times` in templates: the filters and the tag by which all of them write moments and days."""

from __future__ import annotations

from datetime import date, datetime

from django import template

from b24app.localization import times

register = template.Library()


@register.filter
def day(when: date | datetime | None) -> str:
    """Nothing for what is not known."""
    return times.day(when) if when else ""


@register.filter
def clock(when: datetime) -> str:
    return times.clock(when)


@register.filter
def moment(when: datetime | None) -> str:
    return times.moment(when) if when else ""


@register.filter
def written_day(when: datetime | None) -> str:
    return times.written_day(when) if when else ""


@register.simple_tag
def zone() -> str:
    """The time zone that all times on the page are in."""
    return times.zone_words()
