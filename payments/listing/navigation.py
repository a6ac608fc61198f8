"""The screens of the main page, in the order in which their links stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


@dataclass(frozen=True)
class Screen:
    """`name` is its address's name within `payments:`, and the `data-screen` of its <main>. `badge`
    names an address that answers with a number to show beside the link, or with nothing. Whom a
    link is not shown, the screen itself refuses."""

    name: str
    label: StrOrPromise
    admins_only: bool = False
    needs_set_up: bool = False  # the right to change the CRM's settings
    badge: str = ""


SCREENS = (
    Screen("unpaid", _("Unpaid payments")),
    Screen("bulk", _("Several at once")),
    Screen("approvals", _("Approvals"), badge="approvals-waiting"),
    Screen("history", _("History"), badge="waiting"),
    Screen("systems", _("Payment systems"), needs_set_up=True),
    Screen("policy", _("Rules"), admins_only=True),
)


def screens_for(*, is_admin: bool, may_set_up: bool) -> list[Screen]:
    return [
        screen
        for screen in SCREENS
        if (is_admin or not screen.admins_only) and (may_set_up or not screen.needs_set_up)
    ]
