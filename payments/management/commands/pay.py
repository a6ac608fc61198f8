"""Pay one payment from a shell or a script, the way the screens do it."""

from __future__ import annotations

import io
import logging
import os
import sys
from argparse import ArgumentTypeError
from contextlib import redirect_stderr, suppress
from typing import TYPE_CHECKING, Any, NoReturn

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from b24app import webhook
from b24app.errors import AccessDenied, B24Error, BadInput, ChainBroken, ScopeMissing
from b24app.named import NoSuchPortal, portal_named
from b24app.session import Person
from payments import reasons
from payments.direct import choose, read_payment
from payments.models import Attempt, State
from payments.pay import check, pay
from payments.payer import Payer
from payments.policy import policy_of
from payments.question import NoSuchSystem
from payments.templatetags.money import NO_BREAK_SPACE, money
from payments.visible.rows import Row

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

PAID, REFUSED, NOT_CONFIRMED, NOTHING_TRIED = range(4)
# Not a setting: a webhook is somebody's own key, and the app itself has no use for it.
WEBHOOK_VARIABLE = "B24_WEBHOOK"
_EXIT_CODES = {State.PAID: PAID, State.REFUSED: REFUSED}

logger = logging.getLogger(__name__)


class NobodyNamed(BadInput):
    sentence_by_default = gettext_lazy(
        "Say who pays: --portal, --webhook, or B24_WEBHOOK in the environment. Nothing was done."
    )


class Command(BaseCommand):
    help = (
        "Pay one payment of an order, once, and read back what has become of it. "
        "Exit codes: 0 paid; 1 refused, nothing was paid; 2 not confirmed, it may have been paid: "
        "run the command again to look, it will not pay twice; 3 nothing was tried."
    )

    def add_arguments(self, parser: CommandParser) -> None:
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
            type=_positive,
            help="with --portal: as whom to pay, by their id; they must have opened the app. "
            "Without it, as the administrator who serves the portal",
        )
        parser.add_argument("--payment", type=_positive, required=True, help="id of the payment")
        parser.add_argument(
            "--pay-system", type=_positive, required=True, help="id of the payment system"
        )
        parser.add_argument("--yes", action="store_true", help="do not ask before paying")

    def run_from_argv(self, argv: list[str]) -> None:
        # argparse leaves with 2, which would say here that a payment is not confirmed; and it
        # repeats what it does not understand, which may be a webhook in the wrong place.
        self._called_from_command_line = True
        said = io.StringIO()
        try:
            with redirect_stderr(said):
                self.create_parser(argv[0], argv[1]).parse_args(argv[2:])
        except SystemExit as stop:
            self.stderr.write(webhook.shown(said.getvalue()), ending="")
            sys.exit(NOTHING_TRIED if stop.code else 0)
        super().run_from_argv(argv)

    def handle(self, *args: Any, **options: Any) -> None:
        payer: Payer
        try:
            payer = _payer(options)
            row, may_pay = read_payment(payer, options["payment"])
        except (AccessDenied, ScopeMissing) as error:
            self._leave(REFUSED, error.sentence)
        except B24Error as error:
            self._leave(NOTHING_TRIED, error.sentence)
        if row.attempt is not None:
            self._look_again(payer, row)
        self._say(_heading(row))
        if row.why_not:
            self._leave(REFUSED, State.REFUSED.label, row.why_not)
        if not may_pay:
            sentence = reasons.SENTENCES[reasons.NO_ORDER_RIGHT]
            self._leave(REFUSED, State.REFUSED.label, sentence)
        try:
            system = choose(row, options["pay_system"])
        except NoSuchSystem:
            is_bound = options["pay_system"] == row.offer.pay_system_id
            reason = (is_bound and row.bound_against) or reasons.PAY_SYSTEM_UNFIT
            if not policy_of(payer.portal).allows_system(options["pay_system"]):
                reason = reasons.POLICY_SYSTEM
            sentence = reasons.SENTENCES[reason]
            self._leave(REFUSED, State.REFUSED.label, sentence)
        if not options["yes"] and not self._agreed(row, system.id, system.name):
            self._leave(NOTHING_TRIED, _("Nothing was done."))
        try:
            attempt = pay(payer, row.offer, pay_system_id=system.id)
        except Exception:
            # Whatever it was, it may have come after the payment left us.
            logger.exception("payment %s: broken off", options["payment"])
            self._leave(
                NOT_CONFIRMED, State.UNKNOWN.label, reasons.SENTENCES[reasons.READ_BACK_FAILED]
            )
        self._report(attempt)

    def _look_again(self, payer: Payer, row: Row) -> None:
        """An earlier try is open: this run joins it, and does not pay."""
        self._say(_heading(row))
        try:
            attempt = check(payer, row.offer)
        except B24Error as error:
            self._leave(NOT_CONFIRMED, State.UNKNOWN.label, error.sentence)
        if attempt is not None:
            self._report(attempt)

    def _agreed(self, row: Row, pay_system_id: int, name: str) -> bool:
        """The question of the screens, in its words."""
        words = {"sum": money(row.offer.sum, row.offer.currency), "system": name}
        if pay_system_id != row.offer.pay_system_id:
            self._say(
                _(
                    "This payment is set to %(bound)s. Its payment system will be changed to "
                    "%(system)s first, and then it will be paid."
                )
                % {**words, "bound": row.offer.pay_system_name}
            )
        question = _("Pay %(sum)s by %(system)s for order %(number)s?")
        self._say(question % {**words, "number": row.offer.account_number}, ending=" [y/N] ")
        self.stdout.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    def _report(self, attempt: Attempt) -> None:
        state = State(attempt.state)
        amount = money(attempt.sum, attempt.currency)
        line = f"{state.label}: {amount}, {attempt.pay_system_name or attempt.pay_system_id}"
        self._leave(_EXIT_CODES.get(state, NOT_CONFIRMED), line, *attempt.sentences)

    def _leave(self, code: int, *sentences: StrOrPromise) -> NoReturn:
        for sentence in sentences:
            self._say(str(sentence))
        sys.exit(code)

    def _say(self, text: str, *, ending: str = "\n") -> None:
        """A line that cannot be written, for want of letters or of a reader, must not change the
        exit code: that one is about money."""
        encoding = getattr(self.stdout, "encoding", None) or "utf-8"
        plain = text.replace(NO_BREAK_SPACE, " ").encode(encoding, "replace").decode(encoding)
        with suppress(OSError):
            self.stdout.write(plain, ending=ending)


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 2**63):
        raise ArgumentTypeError("a positive number is needed")
    return int(text)


def _payer(options: dict[str, Any]) -> Payer:
    if options["portal"]:
        return _person(options["portal"], options["user"])
    address = options["webhook"] or os.environ.get(WEBHOOK_VARIABLE, "")
    if not address:
        raise NobodyNamed("neither a portal nor a webhook")
    return webhook.identify(webhook.parse(address))


def _person(name: str, user_id: int | None) -> Person:
    portal = portal_named(name)
    if portal.installed_at is None or portal.uninstalled_at is not None:
        raise NoSuchPortal(name)
    if user_id is None:
        serving = portal.tokens.filter(serves_portal=True).first()
        if serving is None:
            raise ChainBroken("NOT_INSTALLED", "nobody serves the portal")
        user_id = serving.user_id
    return Person(portal, user_id, proved_at=timezone.now())


def _heading(row: Row) -> str:
    offer = row.offer
    title = f" · {row.owner.title}" if row.owner and row.owner.title else ""
    return f"{offer.account_number}: {money(offer.sum, offer.currency)}{title}"
