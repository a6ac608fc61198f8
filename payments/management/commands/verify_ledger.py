"""Verifies the ledgers: finds entries that were changed or are missing."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from collections.abc import Iterable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from b24app.management.portals import NoSuchPortal, find_portal
from b24app.models import Portal
from payments.ledger.verify import verify

_HEAD = re.compile(r"(\d{1,18}):([0-9a-f]{64})", re.ASCII)


class Command(BaseCommand):
    help = (
        "Verify that no entry of the ledger was changed, moved or removed, and that the attempts "
        "agree with their entries. Prints a line for each finding, then for each portal the number "
        "and hash of its last entry. Keep these in another place: given with --head, they show "
        "whether the end of a chain was cut off or rewritten. Exit code 1 if anything was found."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--portal", help="host or member_id of one portal; all without it")
        parser.add_argument(
            "--head",
            type=_head,
            metavar="NUMBER:HASH",
            help="with --portal: a last entry that an earlier run printed",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        name, head = options["portal"], options["head"]
        if head is not None and not name:
            raise CommandError("--head needs --portal: each portal has its own chain.")
        findings = 0
        for portal in self._portals(name):
            report = verify(portal, known_head=head, tell=lambda line: self.stdout.write(line))
            findings += report.findings
            number, hash_ = report.head
            self.stdout.write(
                f"{portal.member_id} ({portal.domain}): {report.count} entries, "
                f"{report.findings} findings, head {number}:{hash_}"
            )
        if findings:
            raise CommandError(f"{findings} findings: the ledger is not as it was written.")

    def _portals(self, name: str | None) -> Iterable[Portal]:
        if name is None:
            portals = Portal.objects.defer("application_token").order_by("pk")
            return portals.iterator(chunk_size=100)
        try:
            return [find_portal(name)]
        except NoSuchPortal as error:
            raise CommandError(str(error.sentence)) from error


def _head(text: str) -> tuple[int, str]:
    found = _HEAD.fullmatch(text.strip().lower())
    if found is None:
        raise ArgumentTypeError("a number, a colon and 64 hexadecimal digits are needed")
    return int(found[1]), found[2]
