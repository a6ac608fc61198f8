"""Names of what the history keeps: moments and pay systems as words."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _


def system_name(pay_system_id: int, name: str) -> str:
    """As it was called then; of a portal that has removed the app meanwhile only the id is kept."""
    return name or _("Payment system %(id)s") % {"id": pay_system_id}


def zone() -> str:
    """The time zone in which the history counts its days."""
    return timezone.get_default_timezone_name()


def moment(when: datetime) -> str:
    """To the second, with its zone or, where the portal wrote it, the portal's own offset."""
    return f"{date_format(when, 'DATE_FORMAT')}, {when:%H:%M:%S} {when.tzname()}"


def own_time(when: datetime) -> datetime:
    return timezone.localtime(when, timezone.get_default_timezone())
