"""Names of the pay systems that the history keeps."""

from __future__ import annotations

from django.utils.translation import gettext as _


def system_name(pay_system_id: int, name: str) -> str:
    """As it was called then; of a portal that has removed the app meanwhile only the id is kept."""
    return name or _("Payment system %(id)s") % {"id": pay_system_id}
