"""Lines of a batch, parsed the way PHP parses them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from b24app.rest.commands import command, has_reference
from sandbox.wire import php


def read_back(params: dict[str, Any]) -> dict[str, Any]:
    method, _, query = command("sale.payment.list", params).partition("?")
    assert method == "sale.payment.list"
    return php.parse_query(query)


@pytest.mark.parametrize(
    ("params", "read"),
    [
        ({}, {}),
        ({"id": 7}, {"id": "7"}),
        ({"yes": True, "no": False}, {"yes": "1", "no": "0"}),
        ({"id": 7, "nothing": None}, {"id": "7"}),
        ({"sum": Decimal("12500.00")}, {"sum": "12500.00"}),
        (
            {"select": ["id", "accountNumber"], "order": {"id": "DESC"}, "start": -1},
            {"select": ["id", "accountNumber"], "order": {"id": "DESC"}, "start": "-1"},
        ),
        ({"filter": {"=orderId": [163, 164]}}, {"filter": {"=orderId": ["163", "164"]}}),
        ({"filter": {">=id": (1,), "!paid": "Y"}}, {"filter": {">=id": ["1"], "!paid": "Y"}}),
        ({"filter": [{"a": 1}, {"a": 2}]}, {"filter": [{"a": "1"}, {"a": "2"}]}),
        ({"name": "a&b=c#d+e%f/1 ?Ж"}, {"name": "a&b=c#d+e%f/1 ?Ж"}),
    ],
)
def test_parameters_arrive_as_they_were_meant(params: dict[str, Any], read: dict[str, Any]) -> None:
    assert read_back(params) == read


@pytest.mark.parametrize("value", [datetime.now(UTC), 0.1, b"bytes", object()])
def test_what_has_no_one_meaning_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        command("sale.payment.list", {"filter": {"x": value}})


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({"filter": {"%accountNumber": "$result[q0][id]"}}, True),
        ({"x": ["a", "to $next[q1]"]}, True),
        ({"x": "costs $5 [net]"}, False),
        ({"id": 7}, False),
    ],
)
def test_what_a_batch_would_take_for_a_reference(params: dict[str, Any], found: bool) -> None:
    assert has_reference(params) is found
