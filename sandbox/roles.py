"""Who a person is on a portal."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """Who a person is on a portal; the rights follow from it."""

    PORTAL_ADMIN = "portal admin"
    CRM_SETTINGS_ADMIN = "CRM settings admin"  # CONFIG/WRITE, thereby shop admin
    MANAGER = "manager"  # may add and update orders
    READER = "manager without order rights"
    EXTRANET = "extranet"
    DISMISSED = "dismissed"
