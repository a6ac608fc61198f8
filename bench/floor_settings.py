"""The app's own settings with nothing around the view."""

from __future__ import annotations

from b24app.settings import *  # noqa: F403

MIDDLEWARE: list[str] = []
ROOT_URLCONF = "bench.floor"
WSGI_APPLICATION = "bench.floor_wsgi.application"
