"""Builds the table of an export: its headings, and a row of typed cells for each attempt."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from datetime import date, datetime, tzinfo
from decimal import Decimal
from typing import TypeVar
from urllib.parse import urlsplit

from django.utils import timezone, translation
from django.utils.translation import gettext as _

from b24app.identity.session import Person
from payments.attempts.messages import messages_of
from payments.history.crm_facts import CrmFacts
from payments.history.evidence import answer_words, date_paid, paid_by
from payments.history.filters import Filter
from payments.history.lines import TRIED, owner_of, people_in
from payments.history.names import system_name
from payments.history.query import in_chunks
from payments.listing.status import WORDS, state_of
from payments.lookups import users
from payments.models import Attempt, AttemptQuerySet

# Rows in memory at a time: one or two megabytes, and a hundred statements for 100,000 rows.
CHUNK = 1000

_NOT_IN_A_FILE_NAME = re.compile(r"[^0-9A-Za-z.-]+")

T = TypeVar("T")
Cell = str | int | Decimal | datetime | None


def headings() -> list[str]:
    zone = timezone.get_current_timezone_name()
    return [
        _("Attempt"),
        _("Begun (%(zone)s)") % {"zone": zone},
        _("Person's number"),
        _("Person"),
        _("Payment"),
        _("Payment's number in Bitrix24"),
        _("Order's number in Bitrix24"),
        _("CRM type"),
        _("CRM number"),
        _("Deal or invoice"),
        _("Customer"),
        _("Tried"),
        _("Sum"),
        _("Currency"),
        _("Payment system's number"),
        _("Payment system"),
        _("Outcome"),
        _("Why"),
        _("Sent"),
        _("Answer"),
        _("Settled"),
        _("Paid on"),
        _("Paid by number"),
        _("Paid by"),
        _("Takes back attempt"),
        _("Handed over"),
        _("Note"),
    ]


def chunks(visible: AttemptQuerySet, wanted: Filter, person: Person) -> Iterator[list[list[Cell]]]:
    """Yields rows, CHUNK at a time, newest first.

    Reads the names of people and the titles of the CRM's items with the person's own token: a cell
    is empty if they may not read it.
    """
    names: dict[int, str] = {}
    crm = CrmFacts(person)
    for attempts in in_chunks(visible, wanted, size=CHUNK):
        unknown = people_in(attempts) - names.keys()
        if unknown:
            names.update(users.names(person, unknown))
        crm.learn(attempts)
        yield [_cells(attempt, names, crm) for attempt in attempts]


class HoldingSlot(Iterator[T]):
    """An iterator that holds a slot until its end, or until `close`.

    Django closes the iterator of a streamed response when the browser disconnects too, even if it
    has taken no part.
    """

    def __init__(self, parts: Iterator[T], slot: AbstractContextManager[None]) -> None:
        """Takes the slot; raises what `slot` raises if none is free."""
        self._parts = parts
        self._slot = ExitStack()
        self._slot.enter_context(slot)

    def __next__(self) -> T:
        part = next(self._parts, None)
        if part is None:
            self.close()
            raise StopIteration
        return part

    def close(self) -> None:
        self._slot.close()


def in_current_locale(parts: Iterator[T]) -> Iterator[T]:
    """Yields the parts, each made in the language and time zone that are active now.

    A streamed response is read after the request, when these are no longer active.
    """
    return _in_locale(parts, translation.get_language(), timezone.get_current_timezone())


def _in_locale(parts: Iterator[T], language: str, zone: tzinfo) -> Iterator[T]:
    while True:
        with translation.override(language), timezone.override(zone):
            part = next(parts, None)
        if part is None:
            return
        yield part


def file_name(person: Person, wanted: Filter, *, today: date, ending: str) -> str:
    """Returns a name such as payments_alpha.example.com_2026-11-01_2026-11-24.csv."""
    portal = _NOT_IN_A_FILE_NAME.sub("-", urlsplit(person.portal.client_endpoint).netloc)
    first = wanted.first.isoformat() if wanted.first else "beginning"
    last = (wanted.last or today).isoformat()
    return f"payments_{portal}_{first}_{last}.{ending}"


def _cells(attempt: Attempt, names: Mapping[int, str], crm: CrmFacts) -> list[Cell]:
    owner, payer = owner_of(attempt), paid_by(attempt.evidence)
    return [
        attempt.pk,
        attempt.created_at,
        attempt.user_id,
        names.get(attempt.user_id),
        attempt.account_number,
        attempt.payment_id,
        crm.order_id(attempt),
        owner.type_id if owner else None,
        owner.id if owner else None,
        crm.title(owner),
        crm.customer(owner),
        str(TRIED[attempt.kind]),
        attempt.sum,
        attempt.currency,
        attempt.pay_system_id,
        system_name(attempt.pay_system_id, attempt.pay_system_name),
        str(WORDS[state_of(attempt)]),
        " ".join(map(str, messages_of(attempt))),
        attempt.sent_at,
        answer_words(attempt.evidence),
        attempt.settled_at,
        date_paid(attempt.evidence),
        payer,
        None if payer is None else names.get(payer),
        attempt.undoes_id,
        attempt.handed_over_at,
        attempt.note,
    ]
