"""What the log of calls shows, and what it masks."""

from __future__ import annotations

import json
import secrets
from decimal import Decimal
from itertools import product
from string import ascii_lowercase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from b24app.monitoring.masking import MASK, VALUES_KEPT, code_word, masked, method_name
from b24app.rest.commands import command


@pytest.mark.parametrize(
    "kept",
    [
        {"id": "271", "orderId": 163, "PAY_SYSTEM_ID": "11", "@id": [1, 2], "parentId2": None},
        {"sum": "12500.00", "price": 5, "currency": "EUR", "paid": "Y", "canceled": "N"},
        {"error": "QUERY_LIMIT_EXCEEDED"},
        {"accountNumber": "163/1", "datePaid": "2026-05-04T03:02:01+03:00", "installed": True},
        {"select": ["id", "accountNumber"], "order": {"id": "DESC"}, "start": -1},
        {"placement": "CRM_DYNAMIC_31_DETAIL_TAB", "scope": "crm,sale,user_brief"},
    ],
)
def test_what_a_developer_needs_can_be_read(kept: dict[str, Any]) -> None:
    expected = {key: value for key, value in kept.items() if key != "parentId2"}
    assert {key: value for key, value in masked(kept).items() if key in expected} == expected


@pytest.mark.parametrize(
    "name",
    [
        "auth",
        "access_token",
        "refresh_token",
        "client_secret",
        "AUTH_ID",
        "REFRESH_ID",
        "code",
        "APPLICATION_TOKEN",
        "sessid",
        "NAME",
        "LAST_NAME",
        "EMAIL",
        "PHONE",
        "title",
        "VALUE",
        "comments",
        "error_description",
        "PERSONAL_MOBILE",
        "settings",
        "UF_CRM_ID",
        "x",
    ],
)
@pytest.mark.parametrize("value", ["abc", "12345678", 79001234567, Decimal("1.5"), "Smith"])
def test_nothing_else_can(name: str, value: object) -> None:
    assert masked({name: value}) == {name: MASK}


def test_a_number_with_a_fraction_stays_what_it_was() -> None:
    assert masked({"sum": Decimal("0.1000")}) == {"sum": "0.1000"}


def test_names_that_are_no_names_are_masked_as_well() -> None:
    token = secrets.token_hex(35)
    assert masked({token: 1, "Smith, John": 2, "\0id": 3}) == {MASK: MASK}


def test_commands_of_a_batch_are_read_as_calls() -> None:
    line = command("sale.payment.list", {"filter": {"=orderId": [163]}, "name": "Smith"})
    assert masked({"auth": "t", "halt": 0, "cmd": {"q0": line}}) == {
        "auth": MASK,
        "halt": 0,
        "cmd": {"q0": {"method": "sale.payment.list", "filter.=orderId.0": "163", "name": MASK}},
    }


@pytest.mark.parametrize("odd", ["q?auth=1", "no method", "", "?auth=secret&a[[=1"])
def test_an_odd_command_shows_nothing(odd: str) -> None:
    shown = json.dumps(masked({"cmd": {"q0": odd}}))
    assert "secret" not in shown
    assert MASK in shown


@pytest.mark.parametrize("code", ["ERROR_CORE", "expired_token", "0", "HTTP 502", "OutcomeUnknown"])
def test_a_code_can_be_read(code: str) -> None:
    assert code_word(code) == code


def test_a_token_for_a_code_cannot() -> None:
    for _ in range(50):
        assert code_word(secrets.token_hex(35)) == MASK
        assert method_name(secrets.token_hex(16)) == MASK


def test_a_long_answer_is_kept_in_part() -> None:
    rows = [{f"f{n}Id": n for n in range(100)} for _ in range(1000)]
    shown = json.dumps(masked({"result": rows}))
    assert len(shown) < 60 * VALUES_KEPT
    assert masked({"ids": list(range(12))})["ids"][-1] == {"more": 2}


def test_one_long_row_is_kept_in_part() -> None:
    pairs = product(ascii_lowercase, repeat=2)
    names = [f"row{first}{second}Id" for first, second in pairs]
    long = {name: number for number, name in enumerate(names[: VALUES_KEPT + 50])}
    kept = masked(long)
    assert kept.pop(MASK) == MASK
    assert kept == dict(list(long.items())[:VALUES_KEPT])


@pytest.mark.parametrize("odd", [1.5, b"12", {1}, object()])
def test_what_json_does_not_have_is_masked(odd: object) -> None:
    assert masked({"id": odd, "sum": odd}) == {"id": MASK, "sum": MASK}


def test_what_lies_deep_is_not_followed() -> None:
    deep: Any = {"id": 1}
    for _ in range(5000):
        deep = [deep]
    assert MASK in json.dumps(masked(deep))


_json = some.recursive(
    some.none() | some.booleans() | some.integers() | some.decimals() | some.text(),
    lambda inner: some.lists(inner) | some.dictionaries(some.text(), inner),
)


@given(_json, some.text(min_size=3, alphabet=some.characters(categories=["L", "N"])))
def test_a_text_in_an_unknown_field_is_never_shown(content: Any, text: str) -> None:
    shown = json.dumps(masked({"comments": [content, {"note": f"<{text}>"}]}))
    assert f"<{text}>" not in shown
    assert json.loads(shown)
