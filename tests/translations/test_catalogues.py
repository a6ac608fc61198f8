"""The catalogues are complete, sound, compiled, and in step with the sources."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from decimal import Decimal

import pytest
from babel.messages import Catalog, Message
from django.conf import settings
from django.template.loader import get_template
from django.utils import translation

from b24app.localization import languages
from payments.money import money
from tests.translations.catalogues import (
    LANGUAGES,
    Key,
    keys_of,
    path_of,
    read,
    read_compiled,
    strings_of,
)
from tests.translations.faults import faults_of, faults_of_message

STEP = "run `make messages`"
SOURCES = ("b24app", "payments", "templates", "locale")


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> set[Key]:
    """What gettext takes from a copy of the sources."""
    if shutil.which("xgettext") is None and "CI" not in os.environ:
        pytest.skip("gettext is not installed")
    root = tmp_path_factory.mktemp("sources")
    for folder in SOURCES:
        shutil.copytree(settings.BASE_DIR / folder, root / folder)
    shutil.copy(settings.BASE_DIR / "manage.py", root)
    head = "Content-Type: text/plain; charset=UTF-8\\n"
    path_of("de", root).write_text(f'msgid ""\nmsgstr "{head}"\n')
    subprocess.run(
        [sys.executable, "manage.py", "makemessages", "--locale", "de"],
        cwd=root,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "b24app.settings"},
        check=True,
        capture_output=True,
        timeout=60,
    )
    return keys_of(read("de", root))


def test_every_language_of_the_app_is_one_that_a_portal_can_have() -> None:
    assert dict(settings.LANGUAGES).keys() == set(languages.BY_PORTALS_CODE.values())
    assert len(LANGUAGES) == 7


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_catalogue_has_the_sentences_of_the_sources(language: str, sources: set[Key]) -> None:
    assert len(sources) > 400
    assert keys_of(read(language)) == sources, STEP


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_compiled_catalogue_has_the_translations(language: str) -> None:
    assert strings_of(read_compiled(language)) == strings_of(read(language)), (
        f"run `make {path_of(language).with_suffix('.mo')}`"
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_is_translated_and_no_placeholder_is_broken(language: str) -> None:
    assert not faults_of(language)


def test_gettext_finds_every_translated_tag_of_a_template(sources: set[Key]) -> None:
    """Asks Django's parsed templates, where gettext reads text."""
    known = {text for text, _context in sources}
    found = set()
    for path in sorted((settings.BASE_DIR / "templates").rglob("*.html")):
        template = get_template(str(path.relative_to(settings.BASE_DIR / "templates")))
        for node in template.template.nodelist.get_nodes_by_type(object):  # type: ignore[attr-defined]
            if type(node).__name__ == "TranslateNode":
                found.add(str(node.filter_expression.var.literal).replace("%", "%%"))
            elif type(node).__name__ == "BlockTranslateNode":
                found.add(node.render_token_list(node.singular)[0])
    assert len(found) > 200
    assert found <= known


# ---- the checks find faults


def faults(source: str, string: str, language: str = "de") -> list[str]:
    return list(faults_of_message(Message(source, string), language, plurals=2))


@pytest.mark.parametrize(
    ("source", "string", "fault"),
    [
        ("Paid", "", "not translated"),
        ("Paid %(sum)s", "Bezahlt %(summe)s", "placeholders"),
        ("Paid %(sum)s", "Bezahlt", "placeholders"),
        ("Paid %(sum)s", "Bezahlt %(sum)s %(sum)s", "placeholders"),
        ("Paid {sum}", "Bezahlt {summe}", "placeholders"),
        ("Paid", "<b>Bezahlt</b>", "markup"),
        ("Paid ", "Bezahlt", "space"),
        ("Paid.", "Bezahlt", "ends"),
        ("Paid", "Bezahlt!", "ends"),
        ("“Paid”", '"Bezahlt"', "marks"),
        ("“Paid”", "»Bezahlt«", "marks"),
        ("“Paid”", "„Bezahlt", "close"),
    ],
)
def test_what_is_wrong_with_a_translation_is_seen(source: str, string: str, fault: str) -> None:
    assert any(fault in found for found in faults(source, string))


def test_what_is_right_is_let_through() -> None:
    assert not faults("Paid %(sum)s by “%(name)s”.", "%(sum)s mit „%(name)s“ bezahlt.")
    assert not faults("Paid: yes", "Payé\N{NO-BREAK SPACE}: oui", "fr")
    assert faults("Paid: yes", "Payé: oui", "fr")


# ---- sums and plural forms


@pytest.mark.parametrize(
    ("language", "shown"),
    [
        ("en", "12\xa0500.50\xa0EUR"),
        ("de", "12.500,50\xa0EUR"),
        ("es", "12.500,50\xa0EUR"),
        ("fr", "12\u202f500,50\xa0EUR"),
        ("pl", "12\xa0500,50\xa0EUR"),
        ("pt-br", "12.500,50\xa0EUR"),
        ("ru", "12\xa0500,50\xa0EUR"),
        ("tr", "12.500,50\xa0EUR"),
    ],
)
def test_sums_are_written_as_the_language_writes_them(language: str, shown: str) -> None:
    with translation.override(language):
        assert money(Decimal("12500.5000"), "EUR") == shown


@pytest.mark.parametrize("language", ["en", "de", "tr"])
@pytest.mark.parametrize(
    ("amount", "currency", "digits"),
    [
        ("1500", "JPY", "1500"),
        ("1500.5", "JPY", "15005"),
        ("1500", "KWD", "1500000"),
        ("0.0001", "EUR", "00001"),
        ("123456789012345678.1234", "USD", "1234567890123456781234"),
        ("-5", "EUR", "-500"),
        ("0", "ABC", "000"),
    ],
)
def test_a_currency_has_its_decimals_and_nothing_is_rounded(
    language: str, amount: str, currency: str, digits: str
) -> None:
    with translation.override(language):
        shown = money(Decimal(amount), currency)
    assert re.sub(r"[^0-9-]", "", shown.replace("\N{MINUS SIGN}", "-")) == digits


@pytest.mark.parametrize("language", LANGUAGES)
def test_plural_forms_are_the_languages_own(language: str) -> None:
    """Each message has all forms that the head of the catalogue can choose."""
    catalogue = read(language)
    forms = {len(list(message.string or ())) for message in catalogue if message.pluralizable}
    assert {catalogue.num_plurals, *forms} == {Catalog(locale=catalogue.locale).num_plurals}
