"""Checks every line of the checklist that needs a running app.

Starts the portals and the app, or uses those of `make demo`. Exits with 1 if a line fails.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

import requests

from sandbox.tools.app_process import VAR, AppFailed, environment_of
from sandbox.tools.demo import on_stage
from sandbox.tools.moderation import behaviour, life, pages, security
from sandbox.tools.moderation.lines import Line, Verdict
from sandbox.tools.moderation.target import Target
from sandbox.tools.visitor import Unexpected

# First the lines for a new portal, then those with one payment, last those about the whole run and
# those that move the sandbox's clock.
ORDER = (
    "D1.1", "D2.1", "D1.2", "D1.3", "D2.2", "D2.4", "D2.5", "D2.6", "D5.1", "D5.2", "D5.4",
    "D6.1", "D6.2", "D3.2", "D4.1", "D4.2", "D4.3", "D5.6", "D2.3", "D4.4", "D5.5", "D5.7",
    "D5.8", "D3.1", "D4.5", "D2.8", "D5.3",
)  # fmt: skip
_BY_NAME = {line.name: line for part in (life, behaviour, security, pages) for line in part.LINES}
LINES = tuple(_BY_NAME[name] for name in ORDER)
_ANY_PORT = 0
# Many people come from one address within seconds, too many for a portal's real bucket.
_BUCKET = 100_000
# The checklist's settings of a published app; they replace those of the caller's environment.
_AS_PUBLISHED = {"B24_REST_LOG_DAYS": "3"}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m sandbox.tools.moderation", description=__doc__)
    parser.add_argument(
        "--app", help="address of the app of a running `make demo`: http://localhost:8000"
    )
    parser.add_argument("--portals", help="its two portals, separated by a comma")
    parser.add_argument("--oauth", help="its OAuth server")
    parser.add_argument("--only", help="check this line only, after D2.1 has installed the app")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    chosen = [line for line in LINES if arguments.only in (None, line.name) or line.name == "D2.1"]
    os.environ.update(_AS_PUBLISHED)
    try:
        with _target(arguments) as target:
            target.control("POST", "bucket", data={"size": _BUCKET})
            verdicts = [_check(line, target) for line in chosen]
    except AppFailed as error:
        sys.stderr.write(f"{error}\n")
        return 2
    _print(sorted(verdicts, key=lambda verdict: verdict.line), as_json=arguments.json)
    return int(not all(verdict.passed for verdict in verdicts))


@contextmanager
def _target(arguments: argparse.Namespace) -> Iterator[Target]:
    if arguments.app:
        first, second = arguments.portals.split(",")
        folder = VAR / f"app-{urlsplit(arguments.app).port}"
        environment = environment_of(arguments.app, arguments.oauth, folder)
        yield Target(arguments.app, (first, second), arguments.oauth, folder, environment)
        return
    ports = (_ANY_PORT, _ANY_PORT)
    with on_stage(port=0, portal_ports=ports, app_port=0, say=lambda _: None) as stage:
        if stage.app is None:
            raise AppFailed("the app was not started")
        app, folder = stage.app, Path(stage.app.log).parent
        yield Target(app.url, stage.portal_urls, stage.oauth_url, folder, app.environment)


def _check(line: Line, target: Target) -> Verdict:
    try:
        return Verdict(line.name, line.title, True, line.check(target))
    except Unexpected as error:
        return Verdict(line.name, line.title, False, str(error))
    except (requests.RequestException, LookupError, ValueError, TypeError) as error:
        # A response of an unexpected shape.
        return Verdict(line.name, line.title, False, f"{type(error).__name__}: {error}")


def _print(verdicts: list[Verdict], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps([asdict(verdict) for verdict in verdicts]))
        return
    for verdict in verdicts:
        word = "pass" if verdict.passed else "FAIL"
        sys.stdout.write(f"{word}  {verdict.line:5} {verdict.title}\n      {verdict.why}\n")


if __name__ == "__main__":
    sys.exit(main())
