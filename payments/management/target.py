"""Reads from a command line which portal a command calls, and as which person."""

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

# Not a setting: a webhook is one person's key, and the app itself does not use it.
WEBHOOK_VARIABLE = "B24_WEBHOOK"
NOTHING_SENT = 3


class NoTarget(BadInput):
    sentence_by_default = _(
        "Choose an identity: --portal, --webhook, or B24_WEBHOOK in the environment. "
        "Nothing was done."
    )


class CallingCommand(BaseCommand):
    """A command whose exit code is the outcome of a call: a wrong command line exits with
    NOTHING_SENT."""

    def run_from_argv(self, argv: list[str]) -> None:
        # argparse exits with 2, which means "not confirmed" here. It also prints the argument that
        # it does not accept, which may be a webhook in the wrong place: so its output is masked.
        self._called_from_command_line = True
        printed = io.StringIO()
        try:
            with redirect_stderr(printed):
                self.create_parser(argv[0], argv[1]).parse_args(argv[2:])
        except SystemExit as stop:
            self.stderr.write(webhook.shown(printed.getvalue()), ending="")
            sys.exit(NOTHING_SENT if stop.code else 0)
        super().run_from_argv(argv)


def add_arguments(parser: CommandParser) -> None:
    whose = parser.add_mutually_exclusive_group()
    whose.add_argument("--portal", help="host or member_id of a portal that has the app")
    whose.add_argument(
        "--webhook",
        help="an incoming webhook, https://host/rest/<user>/<code>/. Other users of this machine "
        f"can read it in the list of processes, so better put it into {WEBHOOK_VARIABLE} in the "
        "environment, which is read if neither this nor --portal is given",
    )
    parser.add_argument(
        "--user",
        type=positive,
        help="with --portal: the id of the person to act as, who must have opened the app. "
        "Without it, the administrator whose token serves the portal",
    )


def positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 2**63):
        raise ArgumentTypeError("a positive number is needed")
    return int(text)


def caller_from(options: dict[str, Any]) -> Caller:
    """Returns the person that the arguments choose; asks a webhook's portal for its person.

    Raises NoTarget, NoSuchPortal, ChainBroken, or the B24Error of the webhook's portal.
    """
    if options["portal"]:
        return person_of(options["portal"], options["user"])
    address = options["webhook"] or os.environ.get(WEBHOOK_VARIABLE, "")
    if not address:
        raise NoTarget("neither a portal nor a webhook")
    return webhook.identify(webhook.parse(address))


def person_of(name: str, user_id: int | None) -> Person:
    """Returns the person with this id, or the administrator whose token serves the portal.

    Raises NoSuchPortal, or ChainBroken if no token serves it.
    """
    portal = find_portal(name)
    if portal.installed_at is None or portal.uninstalled_at is not None:
        raise NoSuchPortal(name)
    if user_id is None:
        serving = portal.tokens.filter(serves_portal=True).first()
        if serving is None:
            raise ChainBroken("NOT_INSTALLED", "no token serves the portal")
        user_id = serving.user_id
    return Person(portal, user_id, proved_at=timezone.now())
