"""Names the pay systems of past attempts."""

from __future__ import annotations

from django.utils.translation import gettext as _


def system_name(pay_system_id: int, name: str) -> str:
    """Returns the stored name; after a portal has removed the app only the id is kept."""
    return name or _("Payment system %(id)s") % {"id": pay_system_id}
