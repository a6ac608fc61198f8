"""Handlers from the screens: three modes as forms, conflicts shown before anything is sent."""

from __future__ import annotations

import re
from copy import deepcopy
from html import unescape

import pytest

from sandbox.api.faults import Fault
from sandbox.world import seed
from sandbox.world.world import Handler, Portal
from tests.payments import stage
from tests.payments.frames import Frame
from tests.payments.unconfirmed import calls

pytestmark = pytest.mark.django_db

NEW, OURS = "/payments/handlers/new/", "/payments/handlers/1/"
DELETE = "/payments/handlers/2/delete/"
ADD = "sale.paysystem.handler.add"


@pytest.fixture
def frame(settings_frame: Frame) -> Frame:
    return settings_frame


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


def handler(alpha: Portal, code: str = "madeupcheckout") -> Handler:
    return next(one for one in alpha.handlers.values() if one.code == code)


def field_row(html: str, field: str) -> str:
    rows = html.split('<div class="field-row">')
    return next(row for row in rows if f'name="{field}"' in row)


# ---- adding one, in each mode


def test_a_checkout_is_added(frame: Frame, alpha: Portal) -> None:
    assert "Saved." in frame.send(NEW, **fields())
    made = handler(alpha)
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
    choices = {"codes-0-input": "ENUM", "codes-0-options": "TEST=Test\nREGULAR=Live"}
    assert "Saved." in frame.send(NEW, **fields(mode=mode, method="GET", **choices))
    settings = handler(alpha).settings
    assert settings[mode]["ACTION_URI"] == "https://provider.example.com/checkout/"
    assert settings[mode].get("METHOD") == ("GET" if mode == "FORM_DATA" else None)
    assert len({"FORM_DATA", "CHECKOUT_DATA", "IFRAME_DATA"} & set(settings)) == 1
    options = {"TEST": "Test", "REGULAR": "Live"}
    assert settings["CODES"]["SHOP_ID"]["INPUT"] == {"TYPE": "ENUM", "OPTIONS": options}


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
    frame: Frame, changed: dict[str, object], field: str, words: str
) -> None:
    assert words in field_row(frame.send(NEW, **fields(**changed)), field)
    assert calls(frame.sandbox, ADD) == 0


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
def test_a_mistake_in_a_row_is_shown(frame: Frame, changed: dict[str, object], words: str) -> None:
    assert words in frame.send(NEW, **fields(**changed))
    assert calls(frame.sandbox, ADD) == 0


def test_a_code_taken_meanwhile_is_shown_beside_it(frame: Frame, alpha: Portal) -> None:
    taken = Handler(77, "madeupcheckout", "Another's", seed.OTHER_CLIENT_ID)
    stage.during(frame.sandbox, ADD, lambda: alpha.handlers.update({77: taken}))
    assert "code is there already" in field_row(frame.send(NEW, **fields()), "code")


@pytest.mark.parametrize("when", ["before", "after"])
def test_no_clear_answer_is_read_back(frame: Frame, alpha: Portal, when: str) -> None:
    frame.sandbox.faults.add(Fault("drop", method=ADD, when=when))
    html = frame.send(NEW, **fields())
    codes = [one.code for one in alpha.handlers.values()]
    assert codes.count("madeupcheckout") == (when == "after")
    assert ("Saved." in html) is (when == "after")


@pytest.mark.parametrize(("rows", "then"), [("2", 3), ("49", 50), ("5000", 50)])
def test_another_row_is_given_up_to_a_bound(frame: Frame, rows: str, then: int) -> None:
    html = frame.send(NEW, **fields(more="codes", name="", **{"codes-TOTAL_FORMS": rows}))
    assert html.count("data-code-row=") == then
    assert 'value="SHOP_ID"' in html
    assert 'class="problem"' not in html
    assert calls(frame.sandbox, ADD) == 0


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
    before = deepcopy(kept.settings)
    assert "Saved." in frame.send(OURS, **shown_fields(frame.look(OURS)))
    assert kept.settings == before


def test_one_is_changed(frame: Frame, alpha: Portal) -> None:
    sent = shown_fields(frame.look(OURS))
    sent |= {"name": "Acme Renamed", "mode": "IFRAME_DATA", "sort": "7"}
    assert "Saved." in frame.send(OURS, **sent)
    changed = alpha.handlers[1]
    assert (changed.name, changed.sort, changed.code) == ("Acme Renamed", 7, seed.ACME_HANDLER)
    assert "FORM_DATA" not in changed.settings
    assert changed.settings["IFRAME_DATA"]["ACTION_URI"] == "https://pay.example.com/form/"


def test_two_people_do_not_overwrite_each_other(frame: Frame, alpha: Portal) -> None:
    sent = shown_fields(frame.look(OURS)) | {"name": "Mine"}
    alpha.handlers[1].name = "Renamed by another"
    html = frame.send(OURS, **sent)
    assert "Another person changed this" in html
    assert "Now it says: Renamed by another" in html
    assert alpha.handlers[1].name == "Renamed by another"
    again = shown_fields(html)
    assert again["name"] == "Mine"
    assert "Saved." in frame.send(OURS, **again)
    assert alpha.handlers[1].name == "Mine"


def test_another_apps_handler_stays_as_it_is(frame: Frame, alpha: Portal) -> None:
    others = "/payments/handlers/3/"
    sent = shown_fields(frame.look(others)) | {"name": "Mine now"}
    assert "only the app that made it" in frame.send(others, **sent)
    assert alpha.handlers[3].name == "Other Wallet"
    for system in [one for one in alpha.pay_systems.values() if one.action_file == "otherwallet"]:
        del alpha.pay_systems[system.id]
    assert "only the app that made it" in frame.send(f"{others}delete/")
    assert 3 in alpha.handlers


def test_one_in_use_keeps_its_code_and_is_not_deleted(frame: Frame, alpha: Portal) -> None:
    sent = shown_fields(frame.look(OURS)) | {"code": "acmepaytwo"}
    assert "Payment systems use it: Acme Pay" in frame.send(OURS, **sent)
    assert alpha.handlers[1].code == seed.ACME_HANDLER
    assert "<li>Demo Card Pay</li>" in frame.look(DELETE)
    assert "Payment systems use it: Demo Card Pay" in frame.send(DELETE)
    assert calls(frame.sandbox, "sale.paysystem.handler.delete") == 0
    # One that is used in the same moment says so too.
    system = alpha.pay_systems.pop(seed.DEMO_CARD_PAY)
    use = {seed.DEMO_CARD_PAY: system}
    stage.during(
        frame.sandbox, "sale.paysystem.handler.delete", lambda: alpha.pay_systems.update(use)
    )
    assert "use it: Demo Card Pay" in frame.send(DELETE)
    assert 2 in alpha.handlers
    del alpha.pay_systems[seed.DEMO_CARD_PAY]
    assert "Deleted." in frame.send(DELETE)
    assert 2 not in alpha.handlers
