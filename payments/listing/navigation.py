"""Lists the screens of the main page, in the order of their links."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


@dataclass(frozen=True)
class Screen:
    """A screen and who has a link to it; its view refuses everyone else."""

    name: str  # Its URL name in `payments:`, and the `data-screen` of its <main>.
    label: StrOrPromise
    admins_only: bool = False
    needs_set_up: bool = False  # The right to change the CRM's settings.
    badge: str = ""  # URL name of a view that returns a number to show beside the link, or nothing.


SCREENS = (
    Screen("unpaid", _("Unpaid payments")),
    Screen("bulk", _("Several at once")),
    Screen("approvals", _("Approvals"), badge="approvals-waiting"),
    Screen("history", _("History"), badge="waiting"),
    Screen("systems", _("Payment systems"), needs_set_up=True),
    Screen("policy", _("Rules"), admins_only=True),
)


def screens_for(*, is_admin: bool, may_set_up: bool) -> list[Screen]:
    """Returns the screens that this person has links to."""
    return [
        screen
        for screen in SCREENS
        if (is_admin or not screen.admins_only)
        and (may_set_up or not screen.needs_set_up)
        and _has_address(screen)
    ]


@cache
def _has_address(screen: Screen) -> bool:
    """Returns False for the screen of a room that was taken out of urls.py."""
    try:
        reverse(f"payments:{screen.name}")
    except NoReverseMatch:
        return False
    return True
