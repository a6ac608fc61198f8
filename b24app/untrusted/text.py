"""Cleans and cuts text that a portal or the OAuth server sent."""

from __future__ import annotations

import re

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

# PostgreSQL cannot store NUL, UTF-8 cannot encode half of a surrogate pair, and XML (spreadsheets)
# cannot contain control characters. The Unicode ranges reorder the text around them, so a name
# could hide what follows it. Tab, line feed and carriage return stay: settings and comments have
# lines.
UNSAFE = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # control characters
    "\u202a-\u202e\u2066-\u2069"  # embeddings, overrides and isolates
    "\ud800-\udfff"  # surrogates
    "\ufffe\uffff"  # noncharacters
)
_UNSAFE = re.compile(f"[{UNSAFE}]")


def cleaned(text: str) -> str:
    """Returns the text, of the same length, with every unsafe character replaced by U+FFFD."""
    return _UNSAFE.sub(REPLACEMENT, text)


def cut(text: str, length: int) -> str:
    """Returns the text cut to `length` characters; a text that was cut ends in "…"."""
    return text if len(text) <= length else f"{text[: length - 1]}…"
