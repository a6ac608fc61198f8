"""Finds the app's language for the language code of a portal or a browser."""

from __future__ import annotations

from django.conf import settings

# Bitrix24's own codes: `la` is Spanish, `br` Portuguese. For its other codes the app uses English.
# https://apidocs.bitrix24.com/api-reference/sale/status-lang/index.html
BY_PORTALS_CODE = {
    "en": "en",
    "br": "pt-br",
    "de": "de",
    "fr": "fr",
    "la": "es",
    "pl": "pl",
    "ru": "ru",
    "tr": "tr",
}


def of_portal(code: str) -> str:
    """Returns the code in settings.LANGUAGES for a portal's code (LANG, LANGUAGE_ID).

    Accepts any text; returns English for a language that the app does not have.
    """
    return known(code) or settings.LANGUAGE_CODE


def known(code: str) -> str | None:
    """Returns the code in settings.LANGUAGES for a portal's or a browser's code, with or without a
    region; None for a language that the app does not have."""
    code = code.lower().replace("_", "-")
    if code in BY_PORTALS_CODE:
        return BY_PORTALS_CODE[code]
    base = code.partition("-")[0]
    spoken = BY_PORTALS_CODE.values()
    return next(
        (each for each in spoken if each in (code, base) or each.startswith(f"{base}-")), None
    )
