"""What a WSGI server runs; it does not start with settings that cannot work."""

from __future__ import annotations

import os

from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.wsgi import WSGIHandler
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "b24app.settings")


def checked_application() -> WSGIHandler:
    """Raises ImproperlyConfigured with every serious finding of the system checks.

    `manage.py` runs the checks by itself; a WSGI server would serve with whatever it finds.
    """
    application = get_wsgi_application()
    findings = [str(found) for found in run_checks() if found.is_serious()]
    if findings:
        raise ImproperlyConfigured("These settings cannot work:\n" + "\n".join(findings))
    return application


application = checked_application()
