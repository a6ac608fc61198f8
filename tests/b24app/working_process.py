"""A worker in a process of its own: `python -m tests.b24app.working_process DATABASE`."""

from __future__ import annotations

import os
import sys

import django


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    from django.conf import settings

    settings.DATABASES["default"]["NAME"] = sys.argv[1]
    django.setup()
    from django.core.management import call_command

    call_command("work")


if __name__ == "__main__":
    main()
