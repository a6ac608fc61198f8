"""The languages the app speaks, and which one a portal or a browser means."""

from __future__ import annotations

from django.conf import settings

# Bitrix24's own codes: `la` is its Spanish, `br` its Portuguese. It has others, for which the app
# speaks English.
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
    """The language for a portal's code (LANG, LANGUAGE_ID); English for one the app does not speak.

    Any text may be given; what comes back is one of settings.LANGUAGES and nothing else.
    """
    return _known(code) or settings.LANGUAGE_CODE


def _known(code: str) -> str | None:
    code = code.lower().replace("_", "-")
    spoken = set(BY_PORTALS_CODE.values())
    return BY_PORTALS_CODE.get(code) or (code if code in spoken else None)
