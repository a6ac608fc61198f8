"""Learns a portal's time zone from an answer to `profile`.

https://apidocs.bitrix24.com/api-reference/common/users/profile.html
"""

from __future__ import annotations

from datetime import timedelta

from b24app.localization import zones
from b24app.models import Portal
from b24app.tokens.proof import Profile

_MINUTE = timedelta(minutes=1)


def learn(portal: Portal, profile: Profile) -> list[str]:
    """Sets `time_zone_found` and `utc_offset` of the portal from a profile.

    Returns the names of the fields that changed, which the caller saves.
    """
    offset = profile.utc_offset
    if offset is None:
        return []
    persons_zone = profile.time_zone if profile.is_admin else ""
    learned = {
        "time_zone_found": zones.proposed(
            portal.time_zone_found, persons_zone=persons_zone, offset=offset
        ),
        "utc_offset": offset // _MINUTE,
    }
    changed = [name for name, value in learned.items() if getattr(portal, name) != value]
    for name in changed:
        setattr(portal, name, learned[name])
    return changed
