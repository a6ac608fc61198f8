"""What a WSGI server runs; it does not start with settings that cannot work."""

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
    """Raises ImproperlyConfigured with every serious finding of the system checks.

    `manage.py` runs most of the checks by itself; a WSGI server would serve with whatever it finds.
    """
    application = get_wsgi_application()
    try:
        messages = run_checks(databases=list(connections))
    finally:
        # A server that loads the app before it forks must not share a connection between workers.
        connections.close_all()
        for connection in connections.all():
            if hasattr(connection, "close_pool"):
                connection.close_pool()
    findings = [str(found) for found in messages if found.is_serious()]
    if findings:
        raise ImproperlyConfigured("These settings cannot work:\n" + "\n".join(findings))
    return application


# A page makes thousands of objects and lets go of nearly all by itself: the collector, which runs
# after 700 by default, finds nothing and walks over them all the same.
COLLECT_AFTER, RARER, RAREST = 10_000, 20, 20


def collect_rarely() -> None:
    """What is loaded by now stays, and is not walked over again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, RARER, RAREST)


application = checked_application()
collect_rarely()
