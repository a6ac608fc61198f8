"""`manage.py init`: writes the settings of a new installation to .env, with new keys."""

from __future__ import annotations

import base64
import os
import re
import secrets
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

# The file says what each setting is for; the new one says so too.
EXAMPLE = ".env.example"
_KEY_BYTES = 32
# Only the owner reads and writes the file: it holds keys.
_MODE = 0o600


class Command(BaseCommand):
    help = (
        "Write .env with new keys, from .env.example. Asks for no secret: the client secret and "
        "the database's password are typed into the file. Never replaces a file."
    )
    # The checks would fail for the settings that this command is about to write.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("app_url", help="the address of the app: https://pay.example.com")
        parser.add_argument("--client-id", default="", help="the application's id at Bitrix24")
        parser.add_argument("--file", default=".env", help="where to write (default .env)")

    def handle(self, *args: Any, app_url: str, client_id: str, file: str, **options: Any) -> None:
        if not re.fullmatch(r"https://[^\s/]+/?", app_url):
            raise CommandError("the address is https://host, without a path")
        if not re.fullmatch(r"[\w.-]*", client_id):
            raise CommandError("the client id has letters, digits, dots, _ and - only")
        values = {
            "APP_URL": app_url.rstrip("/"),
            "SECRET_KEY": secrets.token_urlsafe(50),
            "B24_CLIENT_ID": client_id,
            "B24_TOKEN_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(_KEY_BYTES)).decode(),
            "B24_METRICS_TOKEN": secrets.token_urlsafe(_KEY_BYTES),
        }
        text = (Path(settings.BASE_DIR) / EXAMPLE).read_text(encoding="utf-8")
        for name, value in values.items():
            # Some are comments in the example, because they have a default.
            line = f"{name}={value}".replace("\\", r"\\")
            text, count = re.subn(rf"^(# )?{name}=.*$", line, text, count=1, flags=re.MULTILINE)
            if not count:
                raise CommandError(f"{EXAMPLE} has no line for {name}")
        path = Path(file)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
        except FileExistsError:
            raise CommandError(f"{path} is there already; it holds keys and stays") from None
        except OSError as error:
            raise CommandError(f"{path} cannot be written: {error.strerror}") from error
        with os.fdopen(descriptor, "w", encoding="utf-8") as target:
            target.write(text)
        self.stdout.write(
            f"{path} is written. Fill in B24_CLIENT_SECRET, DATABASE_URL and PUBLISHER_*"
            f"{'' if client_id else ', B24_CLIENT_ID'}; then run manage.py migrate."
        )
