"""What the payment screens send us, checked before anything is done with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from b24app.errors import BadInput
from b24app.identity.forms import check_body_size, positive_id
from payments.note import clean_note
from payments.number_search import NumberSearch, read_number_search

# The alphabet of Django's signatures. In a sealed offer 610 characters of other texts can be kept,
# each as twelve of JSON, which base64 makes a third longer; usual ones have 300.
_OFFER = re.compile(r"[A-Za-z0-9_.:-]{1,12000}")


@dataclass(frozen=True)
class Choice:
    """A sealed offer and the payment system chosen for it."""

    offer: str
    pay_system_id: int


@dataclass(frozen=True)
class Search:
    """`before` is where the page above ended; None asks for the newest."""

    number: NumberSearch
    before: int | None


def read_offer(request: HttpRequest) -> str:
    check_body_size(request)
    sealed = request.POST.get("offer", "")
    if not _OFFER.fullmatch(sealed):
        raise BadInput("no offer")
    return sealed


def read_choice(request: HttpRequest) -> Choice:
    return Choice(read_offer(request), positive_id(request.POST.get("pay_system_id", "")))


def read_note(request: HttpRequest) -> str:
    """Why a person does this. Raises NoteNeeded where it cannot be kept."""
    return clean_note(request.POST.get("note", ""))


def read_search(request: HttpRequest) -> Search:
    before = request.GET.get("before", "")
    number = read_number_search(request.GET.get("q", ""))
    return Search(number, positive_id(before) if before else None)


def read_item_id(options: Mapping[str, Any]) -> int:
    """The deal or invoice that a tab was opened on, out of PLACEMENT_OPTIONS."""
    return positive_id(options.get("ID"))
