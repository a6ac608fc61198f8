"""The catalogues of words: taken from the sources, merged into what is translated, and compiled.

Babel does the work and Django's own reading of templates, so that no system's gettext is needed. A
catalogue has no line numbers and no dates: it changes where words change, and nowhere else.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from babel.messages import Catalog, Message
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.conf import settings
from django.utils.translation import to_locale
from django.utils.translation.template import templatize

PACKAGES = ("b24app", "payments")
TEMPLATES = "templates"
_WIDTH = 100

# What a function takes: the singular and the plural by their places; `c` is a context.
_KEYWORDS: dict[str, Any] = {
    "_": None,
    "gettext": None,
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext": (1, 2),
    "ngettext_lazy": (1, 2),
    "pgettext": ((1, "c"), 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
    "npgettext_lazy": ((1, "c"), 2, 3),
}

Key = tuple[str, str | None]


class Catalogue(Catalog):
    """A language's words, with a head that says nothing of when and by what it was written."""

    def _head(self) -> list[tuple[str, str]]:
        head = [
            ("MIME-Version", "1.0"),
            ("Content-Type", "text/plain; charset=UTF-8"),
            ("Content-Transfer-Encoding", "8bit"),
        ]
        if self.locale is not None:
            head[:0] = [("Language", str(self.locale).replace("_", "-"))]
            head.append(("Plural-Forms", self.plural_forms))
        return head

    mime_headers = property(_head)


@dataclass(frozen=True)
class Built:
    """The two files of a language as they should be."""

    language: str
    po: bytes
    mo: bytes


def languages() -> list[str]:
    """All that are translated into; English is what stands in the sources."""
    return [code for code, _ in settings.LANGUAGES if code != settings.LANGUAGE_CODE]


def po_path(language: str) -> Path:
    folder = Path(settings.LOCALE_PATHS[0])
    return folder / to_locale(language) / "LC_MESSAGES" / "django.po"


def mo_path(language: str) -> Path:
    return po_path(language).with_suffix(".mo")


def key_of(message: Message) -> Key:
    """One word can mean two things in two contexts; singular and plural are one message."""
    return (message.id if isinstance(message.id, str) else message.id[0], message.context)


def words_of_sources() -> Catalogue:
    """Every message in the packages and templates, with nothing translated."""
    found = Catalogue(charset="utf-8")
    for source in _sources():
        for _line, id_, _comments, context in extract("python", source, _KEYWORDS):
            found.add(id_, context=context)
    return found


def stored(language: str) -> Catalog:
    """The catalogue as it stands in the repository; empty where there is none."""
    path = po_path(language)
    if not path.exists():
        return Catalogue(locale=to_locale(language))
    with path.open("rb") as file:
        return read_po(file, locale=to_locale(language), ignore_obsolete=True)


def build(language: str, sources: Catalogue) -> Built:
    """What is said in the sources, with the translations that are stored and still fit.

    Nothing is guessed: a sentence that was changed is a new one, and has no translation.
    """
    translated = {key_of(message): message for message in stored(language) if message.id}
    merged = Catalogue(locale=to_locale(language), charset="utf-8")
    for message in sources:
        if not message.id:
            continue
        before = translated.get(key_of(message))
        fits = before is not None and before.pluralizable == message.pluralizable
        string = before.string if before is not None and fits else _nothing(message, merged)
        flags = before.flags & {"fuzzy"} if before is not None and fits else ()
        merged.add(message.id, string, flags=flags, context=message.context)
    po, mo = io.BytesIO(), io.BytesIO()
    write_po(po, merged, width=_WIDTH, no_location=True, sort_output=True, omit_header=True)
    write_mo(mo, merged)
    return Built(language, _head_of(merged) + po.getvalue().strip() + b"\n", mo.getvalue())


def write(built: Built) -> None:
    po_path(built.language).parent.mkdir(parents=True, exist_ok=True)
    po_path(built.language).write_bytes(built.po)
    mo_path(built.language).write_bytes(built.mo)


def _nothing(message: Message, catalogue: Catalogue) -> str | tuple[str, ...]:
    return ("",) * catalogue.num_plurals if message.pluralizable else ""


def _head_of(catalogue: Catalogue) -> bytes:
    """Babel's own has dates and its version in it."""
    lines = "".join(f'"{name}: {value}\\n"\n' for name, value in catalogue.mime_headers)
    return f'msgid ""\nmsgstr ""\n{lines}\n'.encode()


def _sources() -> Iterator[io.BytesIO]:
    """Python as it is, and templates as Python that calls gettext; always in one order."""
    for package in PACKAGES:
        for path in sorted((settings.BASE_DIR / package).rglob("*.py")):
            yield io.BytesIO(path.read_bytes())
    for path in sorted((settings.BASE_DIR / TEMPLATES).rglob("*.html")):
        # In brackets, where indentation means nothing.
        yield io.BytesIO(f"(\n{templatize(path.read_text('utf-8'))}\n)".encode())
