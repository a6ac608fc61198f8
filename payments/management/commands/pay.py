"""Pays one payment from a shell or a script, as the screens do."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from b24app.errors import AccessDenied, B24Error, ScopeMissing
from b24app.identity.session import Caller
from payments import reasons
from payments.attempts.messages import after_trying, messages_of, why_not
from payments.attempts.pay import check, pay
from payments.listing.confirm import NoSuchSystem
from payments.management import target
from payments.management.single_payment import choose, read_payment
from payments.models import Attempt, Kind, State
from payments.money import NO_BREAK_SPACE, money
from payments.policy.rules import policy_of
from payments.visibility.rows import Row

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

PAID, REFUSED, NOT_CONFIRMED, NOTHING_TRIED = range(4)
_EXIT_CODES = {State.PAID: PAID, State.REFUSED: REFUSED}

logger = logging.getLogger(__name__)


class Command(target.CallingCommand):
    help = (
        "Pay one payment of an order, once, and read back the outcome. "
        "Exit codes: 0 paid; 1 refused, nothing was paid; 2 not confirmed, it may have been paid: "
        "run the command again to check, it will not pay twice; 3 nothing was tried."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        target.add_arguments(parser)
        parser.add_argument(
            "--payment", type=target.positive, required=True, help="id of the payment"
        )
        parser.add_argument(
            "--pay-system", type=target.positive, required=True, help="id of the payment system"
        )
        parser.add_argument("--yes", action="store_true", help="do not ask before paying")

    def handle(self, *args: Any, **options: Any) -> None:
        person: Caller
        try:
            person = target.caller_from(options)
            row, may_pay = read_payment(person, options["payment"])
        except (AccessDenied, ScopeMissing) as error:
            self._leave(REFUSED, error.sentence)
        except B24Error as error:
            self._leave(NOTHING_TRIED, error.sentence)
        if row.attempt is not None:
            self._check_open_attempt(person, row)
        self._say(_heading(row))
        if row.why_not:
            self._leave(REFUSED, State.REFUSED.label, row.why_not)
        if not may_pay:
            sentence = why_not(reasons.NO_ORDER_RIGHT)
            self._leave(REFUSED, State.REFUSED.label, sentence)
        try:
            system = choose(row, options["pay_system"])
        except NoSuchSystem:
            is_own = options["pay_system"] == row.offer.pay_system_id
            reason = (is_own and row.bound_against) or reasons.PAY_SYSTEM_UNFIT
            if not policy_of(person.portal).allows_system(options["pay_system"]):
                reason = reasons.POLICY_SYSTEM
            sentence = why_not(reason)
            self._leave(REFUSED, State.REFUSED.label, sentence)
        if not options["yes"] and not self._agreed(row, system.id, system.name):
            self._leave(NOTHING_TRIED, _("Nothing was done."))
        try:
            attempt = pay(person, row.offer, pay_system_id=system.id)
        except Exception:
            # The error may have occurred after the payment was sent.
            logger.exception("payment %s: broken off", options["payment"])
            self._leave(
                NOT_CONFIRMED,
                State.UNKNOWN.label,
                after_trying(reasons.READ_BACK_FAILED, kind=Kind.PAY),
            )
        self._report(attempt)

    def _check_open_attempt(self, person: Caller, row: Row) -> None:
        """Checks the open attempt of an earlier try and reports it, instead of paying."""
        self._say(_heading(row))
        try:
            attempt = check(person, row.offer)
        except B24Error as error:
            self._leave(NOT_CONFIRMED, State.UNKNOWN.label, error.sentence)
        if attempt is not None:
            self._report(attempt)

    def _agreed(self, row: Row, pay_system_id: int, name: str) -> bool:
        """Asks the question that the screens ask; returns whether the person said yes."""
        words = {"sum": money(row.offer.sum, row.offer.currency), "system": name}
        if pay_system_id != row.offer.pay_system_id:
            self._say(
                _(
                    "This payment is set to %(bound)s. Its payment system will be changed to "
                    "%(system)s first, and then it will be paid."
                )
                % {**words, "bound": row.offer.pay_system_name}
            )
        question = _("Pay %(sum)s by %(system)s for payment %(number)s?")
        self._say(question % {**words, "number": row.offer.account_number}, ending=" [y/N] ")
        self.stdout.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    def _report(self, attempt: Attempt) -> None:
        state = State(attempt.state)
        amount = money(attempt.sum, attempt.currency)
        line = f"{state.label}: {amount}, {attempt.pay_system_name or attempt.pay_system_id}"
        code = _EXIT_CODES.get(state, NOT_CONFIRMED)
        if attempt.kind == Kind.UNDO and not attempt.is_open and state != State.CLOSED:
            # Another person's undo was open. Refused, the payment stays paid, but not by this run.
            code = NOTHING_TRIED
        self._leave(code, line, *messages_of(attempt))

    def _leave(self, code: int, *sentences: StrOrPromise) -> NoReturn:
        for sentence in sentences:
            self._say(str(sentence))
        sys.exit(code)

    def _say(self, text: str, *, ending: str = "\n") -> None:
        """Prints a line. A character that the encoding lacks, or a closed pipe, must not change the
        exit code, which is the outcome of the payment."""
        encoding = getattr(self.stdout, "encoding", None) or "utf-8"
        plain = text.replace(NO_BREAK_SPACE, " ").encode(encoding, "replace").decode(encoding)
        with suppress(OSError):
            self.stdout.write(plain, ending=ending)


def _heading(row: Row) -> str:
    offer = row.offer
    title = f" · {row.owner.title}" if row.owner and row.owner.title else ""
    return f"{offer.account_number}: {money(offer.sum, offer.currency)}{title}"
