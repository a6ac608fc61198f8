"""`manage.py messages`: bring the catalogues in `locale/` in step with the sources.

Takes every sentence out of code and templates, keeps what is translated, and compiles. Changes
nothing where nothing has changed. `--check LANGUAGE` says what is wrong with one catalogue.
"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from b24app import catalogues
from b24app.translating import faults_of


class Command(BaseCommand):
    help = "Extract what is said into the catalogues, and compile them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--check",
            choices=catalogues.languages(),
            metavar="LANGUAGE",
            help="change nothing, and say what one language's catalogue lacks",
        )

    def handle(self, *, check: str | None, **options: Any) -> None:
        sources = catalogues.words_of_sources()
        if check is not None:
            self._check(check)
            return
        for language in catalogues.languages():
            built = catalogues.build(language, sources)
            catalogues.write(built)
            self.stdout.write(f"{language}: {len(sources)} messages")

    def _check(self, language: str) -> None:
        faults = faults_of(language)
        for fault in faults:
            self.stdout.write(fault)
        if faults:
            raise CommandError(f"{language}: {len(faults)} faults")
        self.stdout.write(f"{language}: everything is translated")
