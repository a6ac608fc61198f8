"""The template library `times`: filters and a tag that write moments, days and the zone."""

from __future__ import annotations

from datetime import date, datetime

from django import template

from b24app.localization import times

register = template.Library()


@register.filter
def day(when: date | datetime | None) -> str:
    """Returns "" for None."""
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
    """Returns the time zone of all times on the page."""
    return times.zone_words()
