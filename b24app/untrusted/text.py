"""Cleans text that a portal or the OAuth server sent, before any other code sees it."""

from __future__ import annotations

import re

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

# PostgreSQL stores no NUL, UTF-8 no half of a surrogate pair, XML (spreadsheets) no control
# character. The Unicode ranges reorder the text around them: a name could hide what follows it.
# Tab, line feed and carriage return stay, because settings and comments have lines.
UNSAFE = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # control characters
    "\u202a-\u202e\u2066-\u2069"  # embeddings, overrides and isolates
    "\ud800-\udfff"  # surrogates
    "\ufffe\uffff"  # characters that no text may contain
)
_UNSAFE = re.compile(f"[{UNSAFE}]")


def cleaned(text: str) -> str:
    """Returns the text with every unsafe character replaced by U+FFFD; its length is unchanged."""
    return _UNSAFE.sub(REPLACEMENT, text)


def cut(text: str, length: int) -> str:
    """Returns the text cut to the `length` characters that its column or screen has room for."""
    return text if len(text) <= length else f"{text[: length - 1]}…"
