"""As whom a command calls a portal: named on its command line, the same way for all of them."""

from __future__ import annotations

import io
import os
import sys
from argparse import ArgumentTypeError
from contextlib import redirect_stderr
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from b24app.errors import BadInput, ChainBroken
from b24app.identity import webhook
from b24app.identity.session import Caller, Person
from b24app.management.portals import NoSuchPortal, find_portal

# Not a setting: a webhook is somebody's own key, and the app itself has no use for it.
WEBHOOK_VARIABLE = "B24_WEBHOOK"
NOTHING_SENT = 3


class NoTarget(BadInput):
    sentence_by_default = _(
        "Say as whom: --portal, --webhook, or B24_WEBHOOK in the environment. Nothing was done."
    )


class CallingCommand(BaseCommand):
    """A command whose exit code says what has become of a call; NOTHING_SENT is that of a command
    line that was not understood."""

    def run_from_argv(self, argv: list[str]) -> None:
        # argparse leaves with 2, which says here that it is not known what happened; and it repeats
        # what it does not understand, which may be a webhook in the wrong place.
        self._called_from_command_line = True
        said = io.StringIO()
        try:
            with redirect_stderr(said):
                self.create_parser(argv[0], argv[1]).parse_args(argv[2:])
        except SystemExit as stop:
            self.stderr.write(webhook.shown(said.getvalue()), ending="")
            sys.exit(NOTHING_SENT if stop.code else 0)
        super().run_from_argv(argv)


def add_arguments(parser: CommandParser) -> None:
    whose = parser.add_mutually_exclusive_group()
    whose.add_argument("--portal", help="host or member_id of a portal that has the app")
    whose.add_argument(
        "--webhook",
        help="an incoming webhook, https://host/rest/<user>/<code>/. Other people of this "
        f"machine can read it in the list of processes: better put it into {WEBHOOK_VARIABLE} "
        "in the environment, which is read where neither this nor --portal is given",
    )
    parser.add_argument(
        "--user",
        type=positive,
        help="with --portal: as whom, by their id; they must have opened the app. "
        "Without it, as the administrator who serves the portal",
    )


def positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 2**63):
        raise ArgumentTypeError("a positive number is needed")
    return int(text)


def named(options: dict[str, Any]) -> Caller:
    """The person that the arguments name; asks the portal of a webhook who that is.

    Raises NoTarget, NoSuchPortal, ChainBroken, or what a webhook's portal answers.
    """
    if options["portal"]:
        return _person(options["portal"], options["user"])
    address = options["webhook"] or os.environ.get(WEBHOOK_VARIABLE, "")
    if not address:
        raise NoTarget("neither a portal nor a webhook")
    return webhook.identify(webhook.parse(address))


def _person(name: str, user_id: int | None) -> Person:
    portal = find_portal(name)
    if portal.installed_at is None or portal.uninstalled_at is not None:
        raise NoSuchPortal(name)
    if user_id is None:
        serving = portal.tokens.filter(serves_portal=True).first()
        if serving is None:
            raise ChainBroken("NOT_INSTALLED", "nobody serves the portal")
        user_id = serving.user_id
    return Person(portal, user_id, proved_at=timezone.now())
