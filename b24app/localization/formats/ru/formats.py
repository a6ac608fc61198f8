"""Django ends a Russian date with «г.», which at the end of a sentence makes two points."""

from __future__ import annotations

DATE_FORMAT = "j E Y"
DATETIME_FORMAT = "j E Y, H:i"
