"""Reads the catalogues of the repository."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from babel.messages import Catalog, Message
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po
from django.conf import settings
from django.utils.translation import to_locale

# The text of a message and its context.
Key = tuple[str, str | None]

LANGUAGES = [code for code, _ in settings.LANGUAGES if code != settings.LANGUAGE_CODE]


def path_of(language: str, root: Path | None = None) -> Path:
    folder = Path(root or settings.BASE_DIR) / "locale"
    return folder / to_locale(language) / "LC_MESSAGES" / "django.po"


def read(language: str, root: Path | None = None) -> Catalog:
    with path_of(language, root).open("rb") as file:
        return read_po(file, locale=to_locale(language), ignore_obsolete=True)


def read_compiled(language: str) -> Catalog:
    with path_of(language).with_suffix(".mo").open("rb") as file:
        return read_mo(file)


def key_of(message: Message) -> Key:
    """Returns the same key for a message with and without a plural form."""
    # Babel reads the context of a compiled message as bytes.
    context: object = message.context
    known = context.decode() if isinstance(context, bytes) else message.context
    return (message.id if isinstance(message.id, str) else message.id[0], known)


def strings_of(catalogue: Catalog) -> dict[Key, tuple[str, ...]]:
    """Returns the translations: one for each plural form, else one."""
    return {key_of(one): _forms(one.string) for one in catalogue if one.id}


def _forms(string: str | Iterable[str] | None) -> tuple[str, ...]:
    return (string,) if isinstance(string, str) else tuple(string or ())


def keys_of(catalogue: Catalog) -> set[Key]:
    return {key_of(message) for message in catalogue if message.id}
