"""The licence agreement and the privacy policy: their languages, and which one to show."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.utils.translation.trans_real import parse_accept_lang_header

LICENSE, PRIVACY = "license", "privacy"
KINDS = (LICENSE, PRIVACY)
DEFAULT = "en"


@dataclass(frozen=True)
class Language:
    """A language by its own name, and what the two texts are called in it."""

    code: str
    name: str
    license: str
    privacy: str

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
# What Bitrix24 calls some of them.
_PORTALS_NAMES = {"la": "es", "br": "pt-br"}


@dataclass(frozen=True)
class Publisher:
    name: str
    address: str
    email: str


def publisher() -> Publisher:
    return Publisher(settings.PUBLISHER_NAME, settings.PUBLISHER_ADDRESS, settings.PUBLISHER_EMAIL)


def language_for(*, asked: str = "", accepted: str = "") -> Language:
    """The language asked for by name, else the first that the browser accepts (the value of its
    Accept-Language), else English."""
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
