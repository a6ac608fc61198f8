"""Chooses the language of the licence agreement and the privacy policy."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.utils.translation.trans_real import parse_accept_lang_header

LICENSE, PRIVACY = "license", "privacy"
KINDS = (LICENSE, PRIVACY)
DEFAULT = "en"


@dataclass(frozen=True)
class Language:
    """A language of the two texts."""

    code: str
    name: str  # in the language itself
    license: str  # the title of the licence agreement
    privacy: str  # the title of the privacy policy

    def title(self, kind: str) -> str:
        return self.license if kind == LICENSE else self.privacy


LANGUAGES = {
    language.code: language
    for language in (
        Language("en", "English", "Licence agreement", "Privacy policy"),
        Language("ru", "Русский", "Лицензионное соглашение", "Политика конфиденциальности"),
        Language("de", "Deutsch", "Lizenzvertrag", "Datenschutzerklärung"),
        Language("es", "Español", "Contrato de licencia", "Política de privacidad"),
        Language("pt-br", "Português (Brasil)", "Contrato de licença", "Política de privacidade"),
        Language("fr", "Français", "Contrat de licence", "Politique de confidentialité"),
        Language("pl", "Polski", "Umowa licencyjna", "Polityka prywatności"),
        Language("tr", "Türkçe", "Lisans sözleşmesi", "Gizlilik politikası"),
    )
}
# Bitrix24's own codes for some of them.
_PORTALS_NAMES = {"la": "es", "br": "pt-br"}


@dataclass(frozen=True)
class Publisher:
    name: str
    address: str
    email: str


def publisher() -> Publisher:
    return Publisher(settings.PUBLISHER_NAME, settings.PUBLISHER_ADDRESS, settings.PUBLISHER_EMAIL)


def language_for(*, asked: str = "", accepted: str = "") -> Language:
    """Returns the language with the code `asked`, else the first known one in `accepted` (the value
    of Accept-Language), else English."""
    wanted = [asked, *(code for code, _ in parse_accept_lang_header(accepted))]
    for code in wanted:
        found = _known(code.lower())
        if found is not None:
            return found
    return LANGUAGES[DEFAULT]


def _known(code: str) -> Language | None:
    code = _PORTALS_NAMES.get(code, code)
    exact = LANGUAGES.get(code)
    if exact is not None:
        return exact
    base = code.partition("-")[0]
    return LANGUAGES.get("pt-br" if base == "pt" else base)
