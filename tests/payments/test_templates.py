"""The messages and structure of screens, from values made by hand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.conf import settings
from django.template.loader import render_to_string
from django.utils import translation

from payments.gateway import Owner
from payments.listing.confirm import Question
from payments.listing.confirm_by_hand import UndoQuestion
from payments.listing.status import DUE, Status
from payments.money import figures, money
from payments.offer import Offer
from tests.payments.frames import words

ROOT = settings.BASE_DIR / "templates"
# Legal texts are whole in each language, and have tests of their own.
TEMPLATES = sorted(path for path in ROOT.rglob("*.html") if "legal" not in path.parts)
SCRIPTS = sorted((settings.BASE_DIR / "static" / "js").glob("*.js"))

OFFER = Offer(
    portal_id=1,
    user_id=3,
    payment_id=271,
    account_number="163/1",
    order_id=163,
    owner=None,
    sum=Decimal(12500),
    currency="EUR",
    pay_system_id=11,
    pay_system_name="Acme Pay",
    made_at=datetime(2026, 3, 1, 12, tzinfo=UTC),
)


def status(state: str = DUE, **changes: object) -> Status:
    values: dict[str, object] = {
        "payment_id": 271,
        "state": state,
        "pay_system_id": 11,
        "pay_system_name": "Acme Pay",
        "offer": "sealed",
    }
    return Status(**{**values, **changes})  # type: ignore[arg-type]


def settle(shown: Status) -> str:
    return render_to_string("payments/shared/settle.html", {"status": shown})


def outcome(shown: Status, *, keeps_choice: bool) -> str:
    context = {"status": shown, "keeps_choice": keeps_choice}
    return render_to_string("payments/shared/outcome.html", context)


def question(*, pay_system_id: int = 11, name: str = "Acme Pay") -> str:
    asked = Question(OFFER, "sealed", pay_system_id, name)
    return render_to_string("payments/listing/pay_question.html", {"question": asked})


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        ("12500", "12\N{NO-BREAK SPACE}500.00"),
        ("12500.0000", "12\N{NO-BREAK SPACE}500.00"),
        ("1E+5", "100\N{NO-BREAK SPACE}000.00"),
        ("0", "0.00"),
        ("99.9", "99.90"),
        ("42.125", "42.125"),
        ("0.0001", "0.0001"),
        ("-0.0", "0.00"),
        ("-0E+3", "0.00"),
        ("-1234567.5", "-1\N{NO-BREAK SPACE}234\N{NO-BREAK SPACE}567.50"),
    ],
)
def test_figures_are_apart_by_thousands_with_two_decimals_at_least(amount: str, shown: str) -> None:
    assert figures(Decimal(amount)) == shown
    assert money(Decimal(amount), "EUR") == f"{shown}\N{NO-BREAK SPACE}EUR"


@pytest.mark.parametrize("amount", [1.5, 1, "1"])
def test_money_is_a_decimal_and_nothing_else(amount: object) -> None:
    with pytest.raises(TypeError, match="Decimal"):
        figures(amount)  # type: ignore[arg-type]


def test_a_zero_never_has_a_minus() -> None:
    for language, _ in settings.LANGUAGES:
        with translation.override(language):
            assert "-" not in figures(Decimal("-0.0000"), "EUR")


def test_the_question_names_sum_system_payment_and_deal() -> None:
    html = question()
    assert "Pay 12 500.00 EUR by Acme Pay for payment 163/1?" in words(html)
    assert "order" not in words(html)
    title = "Office chairs for the new floor"
    named = replace(OFFER, owner=Owner(2, 8061, title))
    asked = {"question": Question(named, "sealed", 11, "Acme Pay")}
    until = datetime(2026, 12, 1, 12, tzinfo=UTC)
    undo = {"question": UndoQuestion(named, "sealed", "Acme Pay", until)}
    for name, shown in (
        ("listing/pay_question", asked),
        ("listing/mark_question", asked),
        ("listing/undo_question", undo),
        ("approvals/request_question", asked),
    ):
        html = render_to_string(f"payments/{name}.html", {**shown, "kind": "pay"})
        assert "payment 163/1" in words(html)
        assert title in words(html)
    untitled = replace(OFFER, owner=Owner(31, 502))
    asked = {"question": Question(untitled, "sealed", 11, "Acme Pay")}
    html = render_to_string("payments/listing/pay_question.html", asked)
    assert "Invoice 502" in words(html)
    assert "changed" not in html


def test_the_question_says_that_the_payment_system_will_be_changed_first() -> None:
    text = words(question(pay_system_id=12, name="Demo Card Pay"))
    assert "Pay 12 500.00 EUR by Demo Card Pay for payment 163/1?" in text
    assert "This payment is set to Acme Pay." in text
    assert "changed to Demo Card Pay first" in text


def test_names_from_the_portal_are_escaped() -> None:
    html = question(pay_system_id=12, name="<script>alert(1)</script>")
    assert "<script" not in html


PAY, CHECK = "/payments/question/", "/payments/check/"


@pytest.mark.parametrize(
    ("shown", "said", "button"),
    [
        (status(can_pay=True), "Not paid Pay", PAY),
        (status(sentences=["Canceled."]), "Not paid Canceled.", ""),
        (status("paid", at=datetime(2025, 11, 5, 23, 30, tzinfo=UTC)), "Paid Nov. 5, 2025", ""),
        (
            status("refused", can_pay=True, sentences=["It was refused."]),
            "Refused Pay It was refused.",
            PAY,
        ),
        (status("unknown", can_check=True), "Not confirmed Check now Checking…", CHECK),
    ],
    ids=["due", "not payable", "paid", "refused", "not confirmed"],
)
def test_a_row_says_its_state_and_has_the_button_that_goes_with_it(
    shown: Status, said: str, button: str
) -> None:
    html = settle(shown)
    assert f'data-state="{shown.state}"' in html
    assert words(html).strip() == said
    assert [path for path in (PAY, CHECK) if path in html] == [button] * bool(button)
    assert ('value="sealed"' in html) is bool(button)
    assert ("<button" in html) is bool(button)


def test_the_choice_of_a_system_stays_after_a_refusal_and_goes_after_a_payment() -> None:
    refused = status("refused", can_pay=True)
    assert "system-271" not in outcome(refused, keeps_choice=True)
    # Found unpaid by a check: its row has no choice.
    hidden = '<input type="hidden" name="pay_system_id" value="11">'
    assert hidden in outcome(refused, keeps_choice=False)
    paid = outcome(status("paid"), keeps_choice=True)
    assert re.search(r'id="system-271" hx-swap-oob="true">\s*Acme Pay\s*</td>', paid)


class Elements(HTMLParser):
    """Every start tag with its attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def elements(path: Path) -> Iterator[tuple[str, dict[str, str | None]]]:
    source = re.sub(r"{%.*?%}|{{.*?}}|{#.*?#}", "", path.read_text())
    yield from Elements(source).found


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_templates_hold_no_script_or_style_of_their_own(path: Path) -> None:
    for tag, attributes in elements(path):
        assert tag != "style"
        assert tag != "script" or "src" in attributes
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith(("on", "hx-on"))]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_every_word_of_a_template_can_be_translated(path: Path) -> None:
    source = path.read_text()
    for pattern in (
        r"{#.*?#}",
        r"{% blocktranslate.*?{% endblocktranslate %}",
        r"{%.*?%}",
        r"{{.*?}}",
        r"<!doctype html>",
        r"<[^>]*>",
        r"&nbsp;",
    ):
        source = re.sub(pattern, "", source, flags=re.DOTALL)
    assert not source.split()


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_ask_the_browser_for_no_dialog_and_no_storage(path: Path) -> None:
    forbidden = (
        r"\b(alert|confirm|prompt)\(|localStorage|sessionStorage|document\.cookie|innerHTML|eval"
    )
    source = re.sub(r'"innerHTML"', "", path.read_text())
    assert not re.search(forbidden, source)


def test_htmx_is_told_to_evaluate_nothing_and_to_stay_at_home() -> None:
    source = (settings.BASE_DIR / "templates" / "frame.html").read_text()
    assert '"allowEval": false' in source
    assert '"includeIndicatorStyles": false' in source
    assert '"selfRequestsOnly": true' in source
    assert '"historyEnabled": false' in source
