"""`manage.py moderation_check`: what Bitrix24's moderators test, tried before they do."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from b24app.moderation import Verdict, verdicts

# The other half: it starts a portal and an app beside it, and imports nothing of ours.
OUTSIDE = "sandbox.moderation"
_STAGE_FAILED = 2


class Command(BaseCommand):
    help = (
        "Tries every line of docs/moderation.md that a machine can try, against an app that runs "
        "as in production, and ends with 1 where one fails. Starts that app itself, or takes the "
        "one of `make demo` by --app, --portals and --oauth, whose payments it then makes."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--app", default="", help="http://localhost:8000")
        parser.add_argument("--portals", default="", help="its two portals, comma between them")
        parser.add_argument("--oauth", default="", help="its OAuth server")
        parser.add_argument("--no-tests", action="store_true", help="leave out the tests beside it")

    def handle(self, *args: Any, **options: Any) -> None:
        together = _joined(verdicts(), self._outside(options))
        for verdict in together:
            word = self.style.SUCCESS("pass") if verdict.passed else self.style.ERROR("FAIL")
            self.stdout.write(f"{word}  {verdict.line:5} {verdict.title}\n      {verdict.why}")
        failed = [verdict.line for verdict in together if not verdict.passed]
        if failed:
            raise CommandError(f"{len(failed)} of {len(together)} lines fail: {', '.join(failed)}")
        self.stdout.write(f"All {len(together)} lines that a machine can try pass.")

    def _outside(self, options: dict[str, Any]) -> list[Verdict]:
        named = [options["app"], options["portals"], options["oauth"]]
        if any(named) and not all(named):
            raise CommandError("--app, --portals and --oauth go together.")
        if not (settings.BASE_DIR / "sandbox" / "moderation").is_dir():
            raise CommandError("The sandbox is not here: run this from the repository.")
        arguments = [
            f"--{name}={options[name]}" for name in ("app", "portals", "oauth") if any(named)
        ]
        if options["no_tests"]:
            arguments.append("--no-tests")
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", OUTSIDE, "--json", *arguments],
            cwd=settings.BASE_DIR,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode >= _STAGE_FAILED or not done.stdout:
            raise CommandError(f"The lines could not be tried: {done.stderr[-2000:]}")
        return [Verdict(**each) for each in json.loads(done.stdout)]


def _joined(inside: list[Verdict], outside: list[Verdict]) -> list[Verdict]:
    """One a line: it passes where both halves of it do."""
    ours = {verdict.line: verdict for verdict in inside}
    together = []
    for verdict in outside:
        own = ours.pop(verdict.line, None)
        if own is None:
            together.append(verdict)
            continue
        halves = (verdict, own)
        failed = [half.why for half in halves if not half.passed]
        why = "; ".join(failed or [half.why for half in halves])
        together.append(Verdict(verdict.line, verdict.title, not failed, why))
    return sorted([*together, *ours.values()], key=lambda verdict: verdict.line)
