"""The app's own settings, with what a test needs to differ: made-up credentials and its own files.

The database is whatever DATABASE_URL says, SQLite without it; see `tests/postgresql.py`.
"""

from __future__ import annotations

import os

from sandbox import seed

os.environ["SECRET_KEY"] = "tests-" * 10
os.environ["APP_URL"] = "https://pay.example.com"
os.environ["ALLOWED_HOSTS"] = "pay.example.com,localhost,127.0.0.1,testserver"
os.environ["B24_CLIENT_ID"] = seed.OUR_CLIENT_ID
os.environ["B24_CLIENT_SECRET"] = seed.OUR_SECRET
os.environ["B24_TOKEN_KEYS"] = "dGVzdHMtdGVzdHMtdGVzdHMtdGVzdHMtdGVzdHMtMDE="
os.environ["B24_ALLOW_HTTP"] = "True"
os.environ.pop("B24_OAUTH_URL", None)
os.environ.pop("B24_JS_URL", None)

from b24app.settings import *  # noqa: F403
from b24app.settings import BASE_DIR, DATABASES

if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # A file: the in-memory kind is one connection, which hides every race.
    DATABASES["default"]["TEST"] = {"NAME": str(BASE_DIR / "var" / "test.sqlite3")}
else:
    # Each thread of a test takes what it needs and gives it back at once.
    DATABASES["default"]["OPTIONS"]["pool"] = False

# The manifest is made by collectstatic, which tests do not run.
STORAGES = {
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
