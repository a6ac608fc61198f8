"""Read a row again that another process may have deleted meanwhile."""

from __future__ import annotations

from django.db.models import Model


def reread(row: Model) -> bool:
    """Load the row's columns again. False, and nothing is loaded, where the row is deleted."""
    try:
        row.refresh_from_db()
    except type(row).DoesNotExist:  # type: ignore[attr-defined]
        return False
    return True
