"""`manage.py rotate_keys`: everything encrypted comes under the first key of B24_TOKEN_KEYS."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from b24app.tokens import key_rotation


class Command(BaseCommand):
    help = (
        "Encrypts every stored token anew with the first key in B24_TOKEN_KEYS. First put the new "
        "key in front and restart the app, then run this; it can be stopped and run again. "
        "Afterwards the older keys can be removed."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        lost = 0
        for done in key_rotation.rotate():
            name = done.model._meta.label
            self.stdout.write(
                f"{name}: {done.rotated} encrypted anew, {done.current} were already."
            )
            for pk in done.lost:
                self.stderr.write(f"{name} {pk}: no key in B24_TOKEN_KEYS opens it.")
            lost += len(done.lost)
        if lost:
            raise CommandError(
                f"{lost} rows stay as they are. Put the key they were encrypted with back into "
                "B24_TOKEN_KEYS, behind the first, and run this again."
            )
        self.stdout.write("Only the first key is needed from now on.")
