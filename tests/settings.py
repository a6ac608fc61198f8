"""The app's own settings with made-up credentials and their own files.

DATABASE_URL names the database, SQLite without it; see `tests/postgresql.py`.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from sandbox.world import seed

os.environ["SECRET_KEY"] = "tests-" * 10
os.environ["APP_URL"] = "https://pay.example.com"
os.environ["ALLOWED_HOSTS"] = "pay.example.com,localhost,127.0.0.1,testserver"
os.environ["B24_CLIENT_ID"] = seed.OUR_CLIENT_ID
os.environ["B24_CLIENT_SECRET"] = seed.OUR_SECRET
os.environ["B24_TOKEN_KEYS"] = "dGVzdHMtdGVzdHMtdGVzdHMtdGVzdHMtdGVzdHMtMDE="
os.environ["PUBLISHER_NAME"] = "Publisher of the tests"
os.environ["PUBLISHER_ADDRESS"] = "2 Test Street, Test Town"
os.environ["PUBLISHER_EMAIL"] = "publisher@example.com"
os.environ["B24_ALLOW_HTTP"] = "True"
# Its writer is a thread beside the test, whose transaction it neither sees nor waits for.
os.environ["B24_REST_LOG_DAYS"] = "0"
os.environ.pop("B24_OAUTH_URL", None)
os.environ.pop("B24_JS_URL", None)

from b24app.settings import *  # noqa: F403
from b24app.settings import DATABASES

# This process's own, so that two runs, or the files of a killed one, do not meet.
_directory = tempfile.mkdtemp(prefix="pay-tests-")
atexit.register(shutil.rmtree, _directory, ignore_errors=True)

if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # A file, because an in-memory database is one connection, which hides every race.
    DATABASES["default"]["TEST"] = {"NAME": str(Path(_directory) / "test.sqlite3")}
else:
    # Each thread of a test takes what it needs and gives it back at once.
    DATABASES["default"]["OPTIONS"]["pool"] = False

# Empty, because each test client reads all files in it; tests run no collectstatic.
STATIC_ROOT = Path(_directory) / "static"
STATIC_ROOT.mkdir()
STORAGES = {
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

# The publisher signs in often here; a slow hash would only cost time.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
