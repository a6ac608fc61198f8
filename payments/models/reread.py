"""Reads a row again that another process may have deleted."""

from __future__ import annotations

from django.db.models import Model


def reread(row: Model) -> bool:
    """Loads the row's columns again. Returns False, and loads nothing, if the row is deleted."""
    try:
        row.refresh_from_db()
    except type(row).DoesNotExist:  # type: ignore[attr-defined]
        return False
    return True
