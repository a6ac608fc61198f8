"""Reads which payments a person selected for a run, and which kinds of rows they confirmed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent
from django.http import HttpRequest, QueryDict
from django.utils.translation import gettext_lazy as _

from b24app.errors import BadInput
from b24app.identity.forms import positive_id
from payments.models import MOST_PAYMENTS, Kind
from payments.number_search import NumberSearch, read_number_search

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

# An undo needs a reason for each payment, so no run undoes.
KINDS_OF_A_RUN = (Kind.PAY, Kind.MARK)


class NothingSelected(BadInput):
    sentence_by_default = _("No payment is ticked. Nothing was done. Tick one or more.")


class TooManySelected(BadInput):
    @property
    def sentence(self) -> StrOrPromise:
        return _("At most %(most)s payments at once. Nothing was done. Tick fewer of them.") % {
            "most": MOST_PAYMENTS
        }


class NothingConfirmed(BadInput):
    sentence_by_default = _(
        "Neither paying nor marking as paid is ticked. Nothing was started. "
        "Tick what is to be done."
    )


@dataclass(frozen=True)
class Selection:
    payment_ids: list[int] | None  # Sorted, each once; None selects all that `number` finds.
    number: NumberSearch


def read_selection(request: HttpRequest) -> Selection:
    """Raises NothingSelected, TooManySelected or another BadInput."""
    fields = _fields_of(request)
    number = read_number_search(fields.get("q", ""))
    if "all" in fields:
        return Selection(None, number)
    values = fields.getlist("payment")
    if not values:
        raise NothingSelected("nothing is ticked")
    if len(values) > MOST_PAYMENTS:
        raise TooManySelected(f"{len(values)} payments")
    return Selection(sorted({positive_id(value) for value in values}), number)


def _fields_of(request: HttpRequest) -> QueryDict:
    # Only ticked payments can make this form longer than the app or Django reads.
    try:
        return request.POST
    except (RequestDataTooBig, TooManyFieldsSent) as error:
        raise TooManySelected(str(error)) from error


def read_confirmed(request: HttpRequest) -> Collection[Kind]:
    """Returns the kinds of rows that the person confirmed. Raises NothingConfirmed."""
    values = set(request.POST.getlist("kind"))
    if not values:
        raise NothingConfirmed("no kind is ticked")
    if not values <= set(KINDS_OF_A_RUN):
        raise BadInput("a kind that no run has")
    return {Kind(value) for value in values}


def asks_to_stop(request: HttpRequest) -> bool:
    """Returns whether the run pauses because Stop was pressed, which has to be confirmed."""
    return "stop" in request.POST
