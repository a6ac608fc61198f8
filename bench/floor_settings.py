"""The app's settings without middleware."""

from __future__ import annotations

from b24app.settings import *  # noqa: F403
from b24app.settings import MIDDLEWARE as _OF_THE_APP

MIDDLEWARE = _OF_THE_APP[:0]
ROOT_URLCONF = "bench.floor"
WSGI_APPLICATION = "bench.floor_wsgi.application"
