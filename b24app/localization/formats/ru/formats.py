"""Russian date formats without Django's final «г.», which doubles the full stop of a sentence."""

from __future__ import annotations

DATE_FORMAT = "j E Y"
DATETIME_FORMAT = "j E Y, H:i"
