"""Asks a live portal whether its orders and payments are what the app believes of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from b24app.errors import AccessDenied, NotFound, error_from_answer
from b24app.identity.session import Person
from b24app.install.beliefs import Asked, Belief, Finding
from b24app.models import EventReceipt
from payments import gateway
from payments.attempts.pay import pay
from payments.gateway import odd_questions
from payments.listing.confirm import NoSuchSystem
from payments.management.single_payment import choose, read_payment
from payments.models import Attempt, State

# The documentation names no time; queues of busy portals take minutes, a quiet one seconds.
EVENT_SECONDS = 90
_POLL_SECONDS = 1.0
# The portal's date of a payment has whole seconds, and both clocks are a little apart.
_DATES_AGREE = timedelta(minutes=5)


class NotPaid(Exception):
    """The payment of `--pay` cannot be paid; the text says why."""


def _error_code(asked: Asked) -> tuple[bool, str]:
    answer = odd_questions.missing_payment(asked.person)
    code = answer.get("error")
    if isinstance(code, bool) or not isinstance(code, str | int):
        return False, f"error is {code!r}"
    understood = isinstance(error_from_answer(code, "", 0), NotFound)
    return understood, f"error is the {type(code).__name__} {code!r}"


def _probe(asked: Asked) -> tuple[bool, str]:
    may = asked.person.read(gateway.order_right())
    return True, f"user {asked.user_id} may {'' if may else 'not '}create or edit orders"


def _ordinary_reader(asked: Asked) -> tuple[bool, str]:
    try:
        rows = asked.person.read(gateway.unpaid_payments(before=None)).read
    except AccessDenied as error:
        return False, f"user {asked.user_id} is refused: {error.code}"
    return True, f"user {asked.user_id} reads {len(rows)} unpaid payments"


def _unknown_filter(asked: Asked) -> tuple[bool, str]:
    answer = odd_questions.payments_by_unknown_filter(asked.person)
    if "error" in answer:
        return False, f"it is refused: {answer['error']!r}"
    found = answer.get("result")
    rows = found.get("payments") if isinstance(found, dict) else None
    return bool(rows), f"{len(rows) if isinstance(rows, list) else 'no'} rows"


def _pay_systems(asked: Asked) -> tuple[bool, str]:
    systems = asked.serving.read(gateway.pay_systems()).read
    return bool(systems), f"{len(systems)} payment systems"


BELIEFS = (
    Belief("A payment that does not exist is told by a code that the app knows.", _error_code),
    Belief("A call without parameters tells the right to orders and does nothing.", _probe),
    Belief("A person who is no administrator reads the portal's payments.", _ordinary_reader),
    Belief("A list drops a filter that it does not know, and returns other rows.", _unknown_filter),
    Belief("The pair that serves the portal reads its payment systems.", _pay_systems),
)


def walk(person: Person, payment_id: int, agreed: Callable[[str], bool]) -> Iterator[Finding]:
    """Pays one payment by its own payment system, as the screens do, and yields what was seen.

    `agreed` is asked once, with the payment in words. Raises NotPaid if nothing was tried, and the
    B24Error of a read before that.
    """
    row, may_pay = read_payment(person, payment_id)
    if not may_pay or row.why_not or row.attempt is not None:
        raise NotPaid(str(row.why_not) or "this person may not pay it, or a try is open")
    try:
        system = choose(row, row.offer.pay_system_id)
    except NoSuchSystem:
        raise NotPaid("its own payment system takes no payments from an app") from None
    offer = row.offer
    if not agreed(f"{offer.account_number}, {offer.sum} {offer.currency}, {system.name}"):
        raise NotPaid("it was not agreed to")
    seen = set(_receipts(person, payment_id).values_list("pk", flat=True))
    attempt = pay(person, offer, pay_system_id=system.id)
    yield from _outcome(attempt)
    if attempt.state == State.PAID:
        yield _event(person, payment_id, seen)


def _outcome(attempt: Attempt) -> Iterator[Finding]:
    evidence: dict[str, Any] = attempt.evidence
    is_paid = attempt.state == State.PAID
    yield Finding(
        "A payment that was answered with true is paid.",
        is_paid if evidence.get("answer") == "true" else None,
        f"answer {evidence.get('answer')}, read back paid={evidence.get('paid')}",
    )
    if not is_paid:
        return
    payer = evidence.get("empPaidId")
    yield Finding(
        "The portal names the person of the token as the payer.",
        None if payer is None else payer == attempt.user_id,
        f"empPaidId {payer}, token of user {attempt.user_id}",
    )
    sentence = "The portal's date of the payment is the moment of the call."
    paid_at, sent_at = evidence.get("datePaid"), attempt.sent_at
    if not paid_at or sent_at is None:
        yield Finding(sentence, None, "the portal tells no date")
        return
    apart = abs(datetime.fromisoformat(paid_at) - sent_at)
    yield Finding(sentence, apart <= _DATES_AGREE, f"{apart.total_seconds():.0f} s apart")


def _event(person: Person, payment_id: int, seen: set[int]) -> Finding:
    sentence = "The portal sends an event for the payment."
    began = time.monotonic()
    while (waited := time.monotonic() - began) < EVENT_SECONDS:
        if _receipts(person, payment_id).exclude(pk__in=seen).exists():
            return Finding(sentence, True, f"it came within {waited:.0f} s")
        pause(_POLL_SECONDS)
    return Finding(sentence, False, f"none came within {EVENT_SECONDS} s")


def pause(seconds: float) -> None:
    time.sleep(seconds)


def _receipts(person: Person, payment_id: int) -> QuerySet[EventReceipt]:
    return EventReceipt.objects.filter(
        portal=person.portal, event="ONPAYMENTENTITYSAVED", ids={"ID": payment_id}
    )
