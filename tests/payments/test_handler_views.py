"""Handlers from the screens: three modes as forms, conflicts shown before anything is sent."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from django.test import Client

from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Handler, Portal
from tests.payments import stage
from tests.payments.frames import Frame, text_of
from tests.payments.test_administration_views import got

pytestmark = pytest.mark.django_db

NEW = "/payments/handlers/new/"


@pytest.fixture
def frame(sandbox: Sandbox, alpha: Portal, client: Client) -> Frame:
    stage.install(sandbox, alpha)
    return Frame(client, sandbox, alpha, seed.SETTINGS_ADMIN)


def fields(**changed: object) -> dict[str, object]:
    """Returns what the form of a checkout with one setting and one field sends."""
    sent: dict[str, object] = {
        "name": "Made-up Checkout",
        "code": "madeupcheckout",
        "mode": "CHECKOUT_DATA",
        "action_uri": "https://provider.example.com/checkout/",
        "method": "POST",
        "client_type": "b2b",
        "currencies": "eur, USD",
        "sort": "50",
        "codes-TOTAL_FORMS": "2",
        "codes-INITIAL_FORMS": "0",
        "codes-0-code": "SHOP_ID",
        "codes-0-name": "Number of the shop",
        "codes-0-input": "STRING",
        "codes-0-source": "VALUE",
        "codes-0-value": "7",
        "fields-TOTAL_FORMS": "2",
        "fields-INITIAL_FORMS": "0",
        "fields-0-field": "shop",
        "fields-0-source": "code",
        "fields-0-about": "SHOP_ID",
        "fields-1-field": "phone",
        "fields-1-source": "asked",
        "fields-1-about": "Your number",
        "fields-1-visible": "on",
    }
    sent.update(changed)
    return {name: value for name, value in sent.items() if value is not None}


def shown_fields(html: str) -> dict[str, object]:
    """Returns what the browser sends of an unchanged form."""
    form = html.split("<form")[1].split("</form>")[0]
    found: dict[str, object] = {}
    for tag in re.findall(r"<input[^>]*>", form):
        name, value = re.search(r'name="([^"]*)"', tag), re.search(r'value="([^"]*)"', tag)
        is_tick = 'type="radio"' in tag or 'type="checkbox"' in tag
        if name and not (is_tick and "checked" not in tag):
            found[name[1]] = unescape(value[1]) if value else ("on" if is_tick else "")
    for name_, text in re.findall(r'<textarea name="([^"]*)"[^>]*>\n?([^<]*)</textarea>', form):
        found[name_] = unescape(text)
    for name_, inner in re.findall(r'<select name="([^"]*)"[^>]*>(.*?)</select>', form, re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', inner)
        found[name_] = chosen[1] if chosen else ""
    return found


def sent_methods(sandbox: Sandbox, since: int) -> list[str]:
    return [name for call in sandbox.log[since:] for name in call.methods]


def handler(alpha: Portal, code: str) -> Handler:
    return next(one for one in alpha.handlers.values() if one.code == code)


# ---- adding one, in each mode


def test_a_checkout_is_added(frame: Frame, alpha: Portal) -> None:
    assert "Saved." in text_of(frame.post(NEW, **fields()))
    made = handler(alpha, "madeupcheckout")
    assert (made.name, made.sort, made.app_id) == ("Made-up Checkout", 50, seed.OUR_CLIENT_ID)
    assert made.settings == {
        "CLIENT_TYPE": "b2b",
        "CURRENCY": ["EUR", "USD"],
        "CODES": {
            "SHOP_ID": {
                "NAME": "Number of the shop",
                "DEFAULT": {"PROVIDER_KEY": "VALUE", "PROVIDER_VALUE": "7"},
            }
        },
        "CHECKOUT_DATA": {
            "ACTION_URI": "https://provider.example.com/checkout/",
            "FIELDS": {
                "shop": {"CODE": "SHOP_ID"},
                "phone": {"CODE": {"NAME": "Your number"}, "VISIBLE": "Y"},
            },
        },
    }


@pytest.mark.parametrize("mode", ["FORM_DATA", "IFRAME_DATA"])
def test_the_other_modes_are_added(frame: Frame, alpha: Portal, mode: str) -> None:
    assert "Saved." in text_of(frame.post(NEW, **fields(mode=mode, method="GET")))
    settings = handler(alpha, "madeupcheckout").settings
    assert settings[mode]["ACTION_URI"] == "https://provider.example.com/checkout/"
    assert settings[mode].get("METHOD") == ("GET" if mode == "FORM_DATA" else None)
    assert len({"FORM_DATA", "CHECKOUT_DATA", "IFRAME_DATA"} & set(settings)) == 1


def test_a_list_to_choose_from(frame: Frame, alpha: Portal) -> None:
    lines = "TEST=Test\nREGULAR=Live"
    sent = fields(**{"codes-0-input": "ENUM", "codes-0-options": lines})
    assert "Saved." in text_of(frame.post(NEW, **sent))
    code = handler(alpha, "madeupcheckout").settings["CODES"]["SHOP_ID"]
    assert code["INPUT"] == {"TYPE": "ENUM", "OPTIONS": {"TEST": "Test", "REGULAR": "Live"}}


# ---- clashes and mistakes, before anything is sent


@pytest.mark.parametrize(
    ("changed", "field", "words"),
    [
        ({"code": "ACMEPAY"}, "code", "code is there already"),
        ({"code": seed.OTHER_HANDLER}, "code", "code is there already"),
        ({"code": "with space"}, "code", "valid value"),
        ({"name": " acme pay "}, "name", "name is there already"),
        ({"action_uri": "http://provider.example.com/"}, "action_uri", "begin with https"),
        ({"action_uri": ""}, "action_uri", "required"),
        ({"currencies": "euro"}, "currencies", "valid value"),
        ({"mode": "OTHER"}, "mode", "valid choice"),
    ],
)
def test_a_mistake_is_shown_beside_its_field(
    sandbox: Sandbox, frame: Frame, changed: dict[str, object], field: str, words: str
) -> None:
    since = len(sandbox.log)
    html = text_of(frame.post(NEW, **fields(**changed)))
    row = next(part for part in html.split('<div class="field-row">') if f'name="{field}"' in part)
    assert words in row
    assert "sale.paysystem.handler.add" not in sent_methods(sandbox, since)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"fields-0-about": "NO_SUCH"}, "no setting with this code"),
        ({"codes-1-code": "SHOP_ID", "codes-1-name": "Again"}, "there twice"),
        ({"codes-0-input": "ENUM"}, "needs its choices"),
        ({"codes-0-value": ""}, "Say which value"),
        ({"codes-1-name": "No code"}, "required"),
    ],
)
def test_a_mistake_in_a_row_is_shown_in_the_row(
    sandbox: Sandbox, frame: Frame, changed: dict[str, object], words: str
) -> None:
    since = len(sandbox.log)
    assert words in text_of(frame.post(NEW, **fields(**changed)))
    assert "sale.paysystem.handler.add" not in sent_methods(sandbox, since)


def test_a_code_taken_in_the_same_moment_is_shown_beside_its_field(
    sandbox: Sandbox, frame: Frame, alpha: Portal
) -> None:
    def take() -> None:
        alpha.handlers[77] = Handler(77, "madeupcheckout", "Another's", seed.OTHER_CLIENT_ID)

    sandbox.faults.add(Fault("delay", method="sale.paysystem.handler.add", seconds=0, on_hit=take))
    html = text_of(frame.post(NEW, **fields()))
    row = next(part for part in html.split('<div class="field-row">') if 'name="code"' in part)
    assert "code is there already" in row


@pytest.mark.parametrize("when", ["before", "after"])
def test_no_clear_answer_is_read_back(
    sandbox: Sandbox, frame: Frame, alpha: Portal, when: str
) -> None:
    sandbox.faults.add(Fault("drop", method="sale.paysystem.handler.add", when=when))
    html = text_of(frame.post(NEW, **fields()))
    made = [one for one in alpha.handlers.values() if one.code == "madeupcheckout"]
    assert len(made) == (1 if when == "after" else 0)
    assert ("Saved." in html) is bool(made)


def test_another_row_is_given_and_what_was_typed_stays(sandbox: Sandbox, frame: Frame) -> None:
    since = len(sandbox.log)
    html = text_of(frame.post(NEW, **fields(more="codes", name="")))
    assert html.count("data-code-row=") == 3
    assert 'value="SHOP_ID"' in html
    assert 'class="problem"' not in html
    assert "sale.paysystem.handler.add" not in sent_methods(sandbox, since)


def test_rows_are_bounded(frame: Frame) -> None:
    sent = fields(more="codes", **{"codes-TOTAL_FORMS": "49"})
    html = text_of(frame.post(NEW, **sent))
    assert html.count("data-code-row=") == 50
    sent = fields(more="codes", **{"codes-TOTAL_FORMS": "5000"})
    assert text_of(frame.post(NEW, **sent)).count("data-code-row=") == 50


# ---- changing one


def test_a_form_sent_back_unchanged_changes_nothing(frame: Frame, alpha: Portal) -> None:
    kept = alpha.handlers[1]
    kept.settings = {
        "CODES": {
            "KEY": {"NAME": "Key", "SORT": "100", "GROUP": "CONNECT", "X": {"Y": "Z"}},
            "MODE": {"NAME": "Mode", "INPUT": {"TYPE": "ENUM", "OPTIONS": {"T": "Test"}}},
            "SUM": {"NAME": "S", "DEFAULT": {"PROVIDER_KEY": "PAYMENT", "PROVIDER_VALUE": "SUM"}},
        },
        "FORM_DATA": {
            "ACTION_URI": "https://provider.example.com/form/",
            "METHOD": "POST",
            "PARAMS": {"old": "KEY"},
            "FIELDS": {
                "phone": {"VISIBLE": "Y", "CODE": {"NAME": "Phone", "TYPE": "STRING"}},
                "pick": {"CODE": {"NAME": "Pick", "INPUT": {"TYPE": "Y/N", "Z": "1"}}},
                "id": {"CODE": "KEY"},
            },
        },
        "CLIENT_TYPE": "b2c",
        "UNKNOWN": "kept",
    }
    before = {**kept.settings}
    html = text_of(got(frame, "handlers/1/"))
    assert "Saved." in text_of(frame.post("/payments/handlers/1/", **shown_fields(html)))
    assert alpha.handlers[1].settings == before


def test_one_is_changed(frame: Frame, alpha: Portal) -> None:
    sent = shown_fields(text_of(got(frame, "handlers/1/")))
    sent |= {"name": "Acme Renamed", "mode": "IFRAME_DATA", "sort": "7"}
    assert "Saved." in text_of(frame.post("/payments/handlers/1/", **sent))
    changed = alpha.handlers[1]
    assert (changed.name, changed.sort, changed.code) == ("Acme Renamed", 7, seed.ACME_HANDLER)
    assert "FORM_DATA" not in changed.settings
    assert changed.settings["IFRAME_DATA"]["ACTION_URI"] == "https://pay.example.com/form/"


def test_a_code_in_use_is_not_changed(frame: Frame, alpha: Portal) -> None:
    sent = shown_fields(text_of(got(frame, "handlers/1/"))) | {"code": "acmepaytwo"}
    html = text_of(frame.post("/payments/handlers/1/", **sent))
    assert "Payment systems use it: Acme Pay" in html
    assert alpha.handlers[1].code == seed.ACME_HANDLER


def test_two_administrators_do_not_overwrite_each_other_in_silence(
    frame: Frame, alpha: Portal
) -> None:
    sent = shown_fields(text_of(got(frame, "handlers/1/"))) | {"name": "Mine"}
    alpha.handlers[1].name = "Renamed by another"
    html = text_of(frame.post("/payments/handlers/1/", **sent))
    assert "Another person changed this" in html
    assert "Now it says: Renamed by another" in html
    assert alpha.handlers[1].name == "Renamed by another"
    again = shown_fields(html)
    assert again["name"] == "Mine"
    assert "Saved." in text_of(frame.post("/payments/handlers/1/", **again))
    assert alpha.handlers[1].name == "Mine"


def test_anothers_is_not_changed(frame: Frame, alpha: Portal) -> None:
    sent: dict[str, Any] = shown_fields(text_of(got(frame, "handlers/3/"))) | {"name": "Mine now"}
    html = text_of(frame.post("/payments/handlers/3/", **sent))
    assert "only the app that made it" in html
    assert alpha.handlers[3].name == "Other Wallet"


# ---- deleting one


def test_anothers_is_not_deleted(frame: Frame, alpha: Portal) -> None:
    for system in [one for one in alpha.pay_systems.values() if one.action_file == "otherwallet"]:
        del alpha.pay_systems[system.id]
    html = text_of(frame.post("/payments/handlers/3/delete/"))
    assert "only the app that made it" in html
    assert 3 in alpha.handlers


def test_one_in_use_says_by_which_systems_and_is_not_deleted(
    sandbox: Sandbox, frame: Frame, alpha: Portal
) -> None:
    html = text_of(got(frame, "handlers/2/delete/"))
    assert "<li>Demo Card Pay</li>" in html
    since = len(sandbox.log)
    html = text_of(frame.post("/payments/handlers/2/delete/"))
    assert "Payment systems use it: Demo Card Pay" in html
    assert "sale.paysystem.handler.delete" not in sent_methods(sandbox, since)
    assert 2 in alpha.handlers


def test_one_that_is_used_in_the_same_moment_says_so(
    sandbox: Sandbox, frame: Frame, alpha: Portal
) -> None:
    system = alpha.pay_systems.pop(seed.DEMO_CARD_PAY)

    def use() -> None:
        alpha.pay_systems[seed.DEMO_CARD_PAY] = system

    sandbox.faults.add(
        Fault("delay", method="sale.paysystem.handler.delete", seconds=0, on_hit=use)
    )
    assert "use it: Demo Card Pay" in text_of(frame.post("/payments/handlers/2/delete/"))
    assert 2 in alpha.handlers


def test_one_is_deleted(frame: Frame, alpha: Portal) -> None:
    del alpha.pay_systems[seed.DEMO_CARD_PAY]
    assert "Deleted." in text_of(frame.post("/payments/handlers/2/delete/"))
    assert 2 not in alpha.handlers
