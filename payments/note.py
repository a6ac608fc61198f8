"""Checks the note that a person must write to undo a payment or to close an attempt."""

from __future__ import annotations

import unicodedata

from django.utils.translation import gettext_lazy as _

from b24app.errors import BadInput
from payments.models import NOTE_LENGTH


class NoteNeeded(BadInput):
    sentence_by_default = _("Say why, in one line of at most 255 characters. Nothing was done.")


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
