"""Reads and checks the fields that several payment screens send.

A form that a person fills in, with an error beside each field, is a Django form. Fields that a
screen sends by itself are read by a function `read_...` in the forms.py of their room: it returns
typed values, and raises BadInput for any other request.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from b24app.errors import BadInput
from b24app.identity.forms import positive_id
from payments.models import NOTE_LENGTH
from payments.number_search import NumberSearch, read_number_search

# The alphabet of Django's signatures. An offer has at most 610 characters of texts, each of which
# can take 12 characters of JSON; base64 adds a third. A typical one has 300 characters.
_OFFER = re.compile(r"[A-Za-z0-9_.:-]{1,12000}")


class NoteNeeded(BadInput):
    sentence_by_default = _("Say why, in one line of at most 255 characters. Nothing was done.")


@dataclass(frozen=True)
class Choice:
    """A sealed offer and the payment system chosen for it."""

    offer: str
    pay_system_id: int


@dataclass(frozen=True)
class Search:
    """A page of the list of unpaid payments."""

    number: NumberSearch
    before: int | None  # the last id of the page before; None for the first page

    @property
    def fields(self) -> list[tuple[str, str]]:
        """The search as fields of the form for the next page."""
        return [("q", str(self.number))] if self.number else []


def read_offer(request: HttpRequest) -> str:
    sealed = request.POST.get("offer", "")
    if not _OFFER.fullmatch(sealed):
        raise BadInput("no offer")
    return sealed


def read_choice(request: HttpRequest) -> Choice:
    return Choice(read_offer(request), positive_id(request.POST.get("pay_system_id", "")))


def read_note(request: HttpRequest) -> str:
    """Returns the person's note. Raises NoteNeeded."""
    return clean_note(request.POST.get("note", ""))


def clean_note(text: str) -> str:
    """Returns the note on one line, without spaces around it.

    Raises NoteNeeded if it is empty, too long, or has control characters.
    """
    note = " ".join(text.split())
    if not 0 < len(note) <= NOTE_LENGTH:
        raise NoteNeeded(f"a note of {len(note)} characters")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in note):
        raise NoteNeeded("a note with control characters")
    return note


def read_search(request: HttpRequest) -> Search:
    before = request.GET.get("before", "")
    number = read_number_search(request.GET.get("q", ""))
    return Search(number, positive_id(before) if before else None)


def read_item_id(options: Mapping[str, Any]) -> int:
    """Returns the id of the deal or invoice of a tab, from PLACEMENT_OPTIONS."""
    return positive_id(options.get("ID"))
