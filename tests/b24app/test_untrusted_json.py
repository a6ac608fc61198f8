"""Text and numbers from other servers: cleaned and bounded while they are parsed."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from b24app.untrusted import clean_json
from b24app.untrusted.clean_json import OversizedNumber
from b24app.untrusted.numbers import whole
from b24app.untrusted.text import UNSAFE, cleaned, cut

TEXTS = st.text(st.characters(), max_size=20)  # surrogates too


@settings(max_examples=300, derandomize=True, database=None, deadline=None)
@given(
    st.recursive(
        TEXTS | st.none() | st.integers(-(10**30), 10**30),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
        max_leaves=10,
    ),
    st.booleans(),
)
def test_every_text_is_clean_and_all_else_is_as_it_was_sent(value: Any, is_ascii: bool) -> None:
    """Escaped in JSON, and as bytes of UTF-8."""
    body = json.dumps(value, ensure_ascii=is_ascii).encode("utf-8", "surrogatepass")
    found = clean_json.loads(body)
    assert found == _cleaned(found)
    if is_ascii:  # Three bytes that are no UTF-8 become three characters.
        assert found == _cleaned(json.loads(body))


def _cleaned(value: Any) -> Any:
    match value:
        case str():
            return cleaned(value)
        case list():
            return [_cleaned(item) for item in value]
        case dict():
            return {cleaned(key): _cleaned(item) for key, item in value.items()}
    return value


def test_what_is_unsafe_is_replaced_and_what_people_write_is_kept() -> None:
    assert cleaned("a\0b\ud800c\u202ed\x7fe") == "a\ufffdb\ufffdc\ufffdd\ufffde"
    kept = "Zahlung\tä\r\nпо счёту №7 \U0001f600 שלום\u200f"
    assert cleaned(kept) == kept
    assert "\n" not in UNSAFE


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        (b"-0.0", Decimal(0)),
        (b"-0", 0),
        (b"12500.5", Decimal("12500.5")),
        (b"1e400", Decimal("1e400")),
        (b"1" * 40, int("1" * 40)),
    ],
)
def test_a_number_is_exact_and_never_a_negative_zero(sent: bytes, meant: object) -> None:
    found = clean_json.loads(sent)
    assert (found, str(found)) == (meant, str(meant))


@pytest.mark.parametrize(
    "sent",
    [b"9" * 41, b"9" * 5000, b"1." + b"1" * 10**6, b"1e1000", b"1e-999999999999999999999999"],
    ids=len,
)
def test_a_number_that_nothing_can_hold_is_no_number(sent: bytes) -> None:
    (found,) = clean_json.loads(b"[" + sent + b"]")
    assert isinstance(found, OversizedNumber)
    assert not isinstance(found, int | str | Decimal)


@pytest.mark.parametrize("body", [b"", b"{", b"NaN", b"-Infinity", b'"\x00"', b"[" * 100_000])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises((ValueError, RecursionError)):
        clean_json.loads(body)


def test_a_text_with_a_letter_to_clean_may_be_nested_as_deep_as_json_is_parsed() -> None:
    body = b"[" * 900 + rb'"\u0000"' + b"]" * 900
    found = clean_json.loads(body)
    while isinstance(found, list):
        (found,) = found
    assert found == "\ufffd"


@pytest.mark.parametrize(
    ("sent", "meant"),
    [(7, 7), ("7", 7), ("007", 7), (0, 0), (10**18 - 1, 10**18 - 1)]
    + [(sent, None) for sent in (True, -1, "-1", 10**18, "9" * 4400, "1e5", "٧", "", None, 7.0)],
    ids=str,
)
def test_a_whole_number_is_one_that_a_column_holds(sent: object, meant: int | None) -> None:
    assert whole(sent) == meant


def test_a_text_that_is_too_long_ends_with_a_sign_of_that() -> None:
    assert cut("12345", 5) == "12345"
    assert cut("123456", 5) == "1234…"
