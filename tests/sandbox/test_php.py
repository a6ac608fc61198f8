"""Parsing of parameters: `rest/classes/general/rest_util.php` (getRequestData), PHP's own
`parse_str` and `json_encode`."""

from __future__ import annotations

from decimal import Decimal
from math import inf
from typing import Any

import pytest

from sandbox.wire.loose import to_int
from sandbox.wire.php import as_sent, parse_body, parse_query


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("a=1&b=x+y%21", {"a": "1", "b": "x y!"}),
        ("a=1&a=2", {"a": "2"}),
        ("a", {"a": ""}),
        ("f[%3DorderId]=7&f[x][y]=z", {"f": {"=orderId": "7", "x": {"y": "z"}}}),
        ("f[=orderId]=7", {"f_": "orderId]=7"}),  # so keys must be encoded too
        ("s[]=id&s[]=paid", {"s": ["id", "paid"]}),
        ("s[1]=b&s[0]=a", {"s": {"1": "b", "0": "a"}}),
        ("s[0]=a&s[]=b", {"s": ["a", "b"]}),
        ("a=1&a[b]=2", {"a": {"b": "2"}}),
        ("a.b=1&c d=2", {"a_b": "1", "c_d": "2"}),
        ("a[b=1", {"a_b": "1"}),
        ("[x]=1&=2&&", {}),
        ("s[]=%D1%8F", {"s": ["я"]}),
    ],
)
def test_a_query_string_is_parsed_as_by_parse_str(text: str, parsed: dict[str, Any]) -> None:
    assert parse_query(text) == parsed


@pytest.mark.parametrize(
    ("content_type", "body", "parsed"),
    [
        ("application/json", b'{"id": 7, "f": {"a": [1]}}', {"id": 7, "f": {"a": [1]}}),
        ("application/json; charset=utf-8", b'{"id": 7}', {"id": 7}),
        ("application/json", b'{"id": 7', {}),
        ("application/json", b'"text"', {}),
        ("application/json", b"[5]", {"0": 5}),
        ("Application/JSON", b'{"id": 7}', {"id": 7}),
        ("application/vnd.api+json", b'{"id": 7}', {"id": 7}),
        ("application/jsonp", b"id=7", {"id": "7"}),
        ("text/plain", b"id=7", {"id": "7"}),
        ("application/x-www-form-urlencoded", b"f%5Ba%5D=1", {"f": {"a": "1"}}),
        (
            "multipart/form-data; boundary=xx",
            b'--xx\r\nContent-Disposition: form-data; name="f[a]"\r\n\r\n1\r\n'
            b'--xx\r\nContent-Disposition: form-data; name="u"; filename="u"\r\n\r\n2\r\n'
            b"--xx--\r\n",
            {"f": {"a": "1"}},
        ),
        ("multipart/form-data", b"broken", {}),
    ],
)
def test_a_body_is_parsed_by_its_content_type_and_broken_json_means_no_parameters(
    content_type: str, body: bytes, parsed: dict[str, Any]
) -> None:
    assert parse_body(content_type, body) == parsed


@pytest.mark.parametrize(
    ("body", "parsed"),
    [
        (b'{"a": NaN}', {}),
        (b'{"a": "\\ud800"}', {}),
        (b'{"a": "\xff"}', {}),
        (b'{"a": ' + b"[" * 5000 + b"]" * 5000 + b"}", {}),
        (b'{"a": "\\ud83d\\ude00"}', {"a": "\U0001f600"}),
        (b'{"a": 9223372036854775807}', {"a": 2**63 - 1}),
        (b'{"a": 9223372036854775808}', {"a": 2.0**63}),
        (b'{"a": ' + b"9" * 5000 + b"}", {"a": inf}),
    ],
)
def test_what_json_decode_refuses_is_no_parameter_and_a_long_number_a_float(
    body: bytes, parsed: dict[str, Any]
) -> None:
    assert parse_body("application/json", body) == parsed


def test_a_variable_of_more_than_64_levels_is_left_out() -> None:
    """`max_input_nesting_level`."""
    assert parse_query("a=1&b" + "[c]" * 65 + "=2") == {"a": "1"}
    assert parse_query("b" + "[c]" * 64 + "=2") != {}


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (inf, 0),
        (2**63, -(2**63)),
        (1e19, 10**19 - 2**64),
        ("9" * 5000, 2**63 - 1),
        ("-" + "9" * 5000, -(2**63)),
        ("-" + "0" * 5000 + "7", -7),
        ("12abc", 12),
        ("\u0663", 0),
    ],
)
def test_an_integer_has_64_bits(value: object, number: int) -> None:
    """PHP's cast of floats wraps around, that of digits stops at the largest."""
    assert to_int(value) == number


def test_responses_are_encoded_as_by_json_encode() -> None:
    values = {"sum": Decimal("12500.00"), "half": 0.5, "flag": True, "none": None}
    assert as_sent(values) == {"sum": 12500, "half": 0.5, "flag": True, "none": None}
    assert isinstance(as_sent(Decimal("12500.00")), int)
    assert as_sent({}) == []
    assert as_sent({"0": "a", "1": "b"}) == ["a", "b"]
    assert as_sent({"1": "b"}) == {"1": "b"}
    assert as_sent({"01": "b"}) == {"01": "b"}
