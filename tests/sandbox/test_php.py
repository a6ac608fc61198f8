"""Parsing of parameters: `rest/classes/general/rest_util.php` (getRequestData), PHP's own
`parse_str` and `json_encode`."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

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


def test_responses_are_encoded_as_by_json_encode() -> None:
    values = {"sum": Decimal("12500.00"), "half": 0.5, "flag": True, "none": None}
    assert as_sent(values) == {"sum": 12500, "half": 0.5, "flag": True, "none": None}
    assert isinstance(as_sent(Decimal("12500.00")), int)
    assert as_sent({}) == []
    assert as_sent({"0": "a", "1": "b"}) == ["a", "b"]
    assert as_sent({"1": "b"}) == {"1": "b"}
    assert as_sent({"01": "b"}) == {"01": "b"}
