"""Describes an attempt in words, step by step: what was sent and what the portal returned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from b24app.localization.times import exact, moment_in
from payments.history.names import system_name
from payments.lookups.users import unnamed
from payments.models import Attempt
from payments.money import money

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

# Evidence without a label of its own is shown by its key, cut to this length.
_LONGEST_VALUE = 300


@dataclass(frozen=True)
class Fact:
    label: StrOrPromise
    value: StrOrPromise


def facts_of(attempt: Attempt, *, names: Mapping[int, str]) -> list[Fact]:
    """Returns the facts in the order in which they happened.

    `names` has the names of people by user id, at least of those that `people_in` returns.
    """
    return [*_beginning(attempt), *_evidence(attempt.evidence, names), *_ending(attempt)]


def paid_by(evidence: Mapping[str, Any]) -> int | None:
    """Returns the id of the person who paid it according to the portal."""
    found = evidence.get("empPaidId")
    return found if isinstance(found, int) else None


def date_paid(evidence: Mapping[str, Any]) -> datetime | None:
    """Returns when it was paid according to the portal."""
    return moment_in(evidence.get("datePaid"))


def answer_words(evidence: Mapping[str, Any]) -> str:
    """Returns what the portal answered to the request that changes the payment.

    Returns an empty string if no request was sent, or nothing is known about it.
    """
    error = evidence.get("error")
    match evidence.get("answer"):
        case "true":
            return _("Bitrix24 answered that it was done.")
        case "refused" | None if isinstance(error, Mapping):
            return _("Bitrix24 refused: %(code)s. %(words)s") % {
                "code": error.get("code") or "-",
                "words": error.get("description") or "",
            }
        case "never sent":
            return _("The request did not reach Bitrix24.")
        case "none":
            return _("No clear answer came back.")
    failure = evidence.get("failure")
    return _("Nothing was sent (%(failure)s).") % {"failure": failure} if failure else ""


def _beginning(attempt: Attempt) -> Iterator[Fact]:
    yield Fact(_("Attempt"), str(attempt.pk))
    yield Fact(_("Payment in Bitrix24"), str(attempt.payment_id))
    if attempt.order_id is not None:
        yield Fact(_("Order in Bitrix24"), str(attempt.order_id))
    if attempt.undoes_id is not None:
        yield Fact(_("Takes back"), _("attempt %(id)s") % {"id": attempt.undoes_id})
    yield Fact(_("Begun"), exact(attempt.created_at))
    if attempt.evidence.get("rebound"):
        yield Fact(
            _("Payment system changed"),
            _("from number %(bound)s to number %(chosen)s")
            % {"bound": attempt.bound_pay_system_id, "chosen": attempt.pay_system_id},
        )
    sent = attempt.sent_at
    yield Fact(_("Sent"), exact(sent) if sent else _("Nothing was sent."))


def _evidence(evidence: Mapping[str, Any], names: Mapping[int, str]) -> Iterator[Fact]:
    answer = answer_words(evidence)
    if answer:
        yield Fact(_("Answer"), answer)
    paid = evidence.get("paid")
    if paid in ("Y", "N"):
        said = _("The payment is paid.") if paid == "Y" else _("The payment is not paid.")
        yield Fact(_("What Bitrix24 says of it"), said)
    when = date_paid(evidence)
    if when is not None:
        yield Fact(_("Paid on"), exact(when))
    payer = paid_by(evidence)
    if payer is not None:
        name = names.get(payer) or unnamed(payer)
        yield Fact(_("Paid by"), _("%(name)s (number %(id)s)") % {"name": name, "id": payer})
    system_id = evidence.get("paySystemId")
    if isinstance(system_id, int):
        yield Fact(_("Payment system then"), system_name(system_id, ""))
    amount = evidence.get("sum")
    if isinstance(amount, str):
        yield Fact(_("Sum then"), money(Decimal(amount), str(evidence.get("currency", ""))))
    before = evidence.get("before")
    if isinstance(before, Mapping) and before:
        earlier = next((date for date in map(moment_in, before.values()) if date), None)
        said = exact(earlier) if earlier else _("Never")
        yield Fact(_("Paid before this attempt"), said)
    difference = evidence.get("clock")
    if isinstance(difference, int):
        yield Fact(
            _("Difference between Bitrix24's clock and the app's"),
            _("%(seconds)s seconds") % {"seconds": difference},
        )
    for key, value in evidence.items():
        if key not in _DESCRIBED:
            yield Fact(key, _in_words(value))


# The keys that the functions above describe, and `readIn`, which tells a person nothing.
_DESCRIBED = frozenset(
    {
        "answer",
        "before",
        "clock",
        "currency",
        "datePaid",
        "empPaidId",
        "error",
        "failure",
        "paid",
        "paySystemId",
        "readIn",
        "rebound",
        "sum",
    }
)


def _ending(attempt: Attempt) -> Iterator[Fact]:
    if attempt.looks:
        looks = ngettext("%(count)s time", "%(count)s times", attempt.looks)
        yield Fact(_("Looked at again"), looks % {"count": attempt.looks})
    if attempt.handed_over_at is not None:
        yield Fact(_("Handed over to a person"), exact(attempt.handed_over_at))
    if attempt.settled_at is not None:
        yield Fact(_("Settled"), exact(attempt.settled_at))
    if attempt.note:
        yield Fact(_("Note"), attempt.note)


def _in_words(value: object) -> str:
    if isinstance(value, Mapping):
        parts = (f"{key}: {_in_words(part)}" for key, part in value.items())
        return ", ".join(parts)[:_LONGEST_VALUE]
    if isinstance(value, list | tuple):
        return ", ".join(map(_in_words, value))[:_LONGEST_VALUE]
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    when = moment_in(value)
    if when is not None:
        return exact(when)
    return "-" if value is None else str(value)[:_LONGEST_VALUE]
