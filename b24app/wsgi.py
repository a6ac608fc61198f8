"""The WSGI application. Importing it fails if the settings cannot work."""

from __future__ import annotations

import gc
import os

from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.wsgi import WSGIHandler
from django.core.wsgi import get_wsgi_application
from django.db import connections

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "b24app.settings")


def checked_application() -> WSGIHandler:
    """Returns Django's application. Raises ImproperlyConfigured with all serious system checks.

    `manage.py` runs most of the checks by itself; a WSGI server runs none.
    """
    application = get_wsgi_application()
    try:
        messages = run_checks(databases=list(connections))
    finally:
        # If the server loads the app before it forks, its workers must not share a connection.
        connections.close_all()
        for connection in connections.all():
            if hasattr(connection, "close_pool"):
                connection.close_pool()
    findings = [str(found) for found in messages if found.is_serious()]
    if findings:
        raise ImproperlyConfigured("These settings cannot work:\n" + "\n".join(findings))
    return application


# A page makes thousands of objects, and reference counting frees nearly all. By default the
# collector runs after each 700 and finds nothing.
COLLECT_AFTER, RARER, RAREST = 10_000, 20, 20


def collect_rarely() -> None:
    """Excludes all present objects from garbage collection, and collects new ones rarely."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, RARER, RAREST)


application = checked_application()
collect_rarely()
