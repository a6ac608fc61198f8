"""What is selected to be paid at once, checked before anything is done with it."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from b24app.errors import BadInput
from b24app.forms import check_body_size, positive_id
from payments.bulk.finding import MOST
from payments.number_search import NumberSearch, read_number_search


class NothingSelected(BadInput):
    sentence_by_default = _("No payment is ticked. Nothing was done. Tick the ones to pay.")


class TooManySelected(BadInput):
    sentence_by_default = _(
        "At most 500 payments can be paid at once. Nothing was done. Tick fewer of them."
    )


@dataclass(frozen=True)
class Selection:
    """Ticked payments in no order, each once; None: all that a search for `number` finds."""

    payment_ids: list[int] | None
    number: NumberSearch


def read_selection(request: HttpRequest) -> Selection:
    check_body_size(request)
    number = read_number_search(request.POST.get("q", ""))
    if "all" in request.POST:
        return Selection(None, number)
    values = request.POST.getlist("payment")
    if not values:
        raise NothingSelected("nothing is ticked")
    if len(values) > MOST:
        raise TooManySelected(f"{len(values)} payments")
    return Selection(sorted({positive_id(value) for value in values}), number)
