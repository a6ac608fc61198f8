"""Finds what is wrong with a translation in any language: gaps, placeholders, marks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from babel.messages import Catalog, Message

from tests.translations.catalogues import read

_PERCENT = re.compile(r"%\([a-z_]+\)[sd]|%[sd%]")
_BRACES = re.compile(r"\{[a-z_]*\}")
_TAG = re.compile(r"<[^<>]*>|&[a-z]+;")
_ENDS = ".!?:…"
# French sets these off with a space that does not break.
_CROWDED = re.compile("[^\u00a0\u202f:;!?](?::(?!//)|[;!?»])|«[^\u00a0\u202f]")
# Typewriter marks, and the quotation marks that another language uses.
_FOREIGN_MARKS = {
    "de": "\"'”«»‹›",
    "es": "\"'„“”‘",
    "fr": "\"'„“”‘",
    "pl": "\"'“«»‘",
    "pt-br": "\"'„«»",
    "ru": "\"'“”‘’",
    "tr": "\"'„«»",
}
# Here the first plural form is for the number one alone, so it may leave the number out.
_ONE_IS_ONE = ("de", "es", "pl")
_PAIRS = {
    "de": ("„", "“"),
    "es": ("«", "»"),
    "fr": ("«\N{NO-BREAK SPACE}", "\N{NO-BREAK SPACE}»"),
    "pl": ("„", "”"),
    "pt-br": ("“", "”"),
    "ru": ("«", "»"),
    "tr": ("“", "”"),
}


def faults_of(language: str) -> list[str]:
    """Returns a line for each fault, which names the message."""
    catalogue = read(language)
    plurals = Catalog(locale=catalogue.locale).num_plurals
    return [
        f"{fault}: {message.id!r} -> {message.string!r}"
        for message in catalogue
        if message.id
        for fault in faults_of_message(message, language, plurals=plurals)
    ]


def faults_of_message(message: Message, language: str, *, plurals: int) -> Iterator[str]:
    ids, strings = _texts(message.id), _texts(message.string)
    if message.fuzzy:
        yield "only guessed (fuzzy)"
    if message.pluralizable and len(strings) != plurals:
        yield f"{len(strings)} plural forms, not {plurals}"
    for place, string in enumerate(strings):
        if not string:
            yield "not translated"
            continue
        is_one = place == 0 and language in _ONE_IS_ONE
        yield from _faults_of_text(ids if is_one else ids[-1:], string, language)


def _faults_of_text(sources: Sequence[str], string: str, language: str) -> Iterator[str]:
    source = sources[0]
    if _placeholders(string) not in map(_placeholders, sources):
        yield "other placeholders"
    if Counter(_TAG.findall(string)) != Counter(_TAG.findall(source)):
        yield "markup"
    if _outer_space(source) != _outer_space(string):
        yield "other space at its ends"
    if _end(source) != _end(string):
        yield "ends in another mark"
    if wrong := sorted(set(string) & set(_FOREIGN_MARKS[language])):
        yield f"marks of another language ({' '.join(wrong)})"
    opening, closing = _PAIRS[language]
    if string.count(opening.strip()) != string.count(closing.strip()):
        yield "a quotation that does not close"
    if language == "fr" and _CROWDED.search(string):
        yield "no unbroken space at a mark of two parts"


def _texts(one_or_more: object) -> tuple[str, ...]:
    return tuple(one_or_more) if isinstance(one_or_more, tuple | list) else (str(one_or_more),)


def _placeholders(text: str) -> Counter[str]:
    found = _PERCENT.findall(text) + _BRACES.findall(text)
    return Counter(one for one in found if one != "%%")


def _outer_space(text: str) -> tuple[str, str]:
    return text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]


def _end(text: str) -> str:
    """Returns the last punctuation mark, before a closing quotation mark or bracket."""
    last = text.rstrip().rstrip("”“»\"')’\N{NO-BREAK SPACE}")[-1:]
    return last if last in _ENDS else ""
