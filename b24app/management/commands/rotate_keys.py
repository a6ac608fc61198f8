"""`manage.py rotate_keys`: re-encrypts all secrets with the first key of B24_TOKEN_KEYS."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from b24app.tokens import key_rotation


class Command(BaseCommand):
    help = (
        "Re-encrypts every stored token with the first key in B24_TOKEN_KEYS. First put the new "
        "key in front and restart the app, then run this; it can be stopped and run again. "
        "Afterwards the older keys can be removed."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        lost = 0
        for done in key_rotation.rotate():
            name = done.model._meta.label
            self.stdout.write(
                f"{name}: {done.rotated} encrypted again, {done.current} were already."
            )
            for pk in done.lost:
                self.stderr.write(f"{name} {pk}: no key in B24_TOKEN_KEYS decrypts it.")
            lost += len(done.lost)
        if lost:
            raise CommandError(
                f"{lost} rows were not changed. Put the key that encrypted them back into "
                "B24_TOKEN_KEYS, behind the first, and run this again."
            )
        self.stdout.write("Only the first key is needed from now on.")
