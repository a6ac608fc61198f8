"""What people of a portal are called: asked when it is shown, never kept."""

from __future__ import annotations

from collections.abc import Collection

from django.utils.translation import gettext as _

from b24app.client import Client
from b24app.models import Portal


def names(client: Client, portal: Portal, ids: Collection[int]) -> dict[int, str]:
    """A name for each id."""
    return {user_id: _("User %(id)s") % {"id": user_id} for user_id in ids}
