from __future__ import annotations

import pytest
from django.http import HttpRequest
from django.test import RequestFactory

from b24app.errors import BadInput
from payments.forms import (
    Choice,
    Search,
    read_choice,
    read_item_id,
    read_offer,
    read_search,
)
from payments.number_search import ANY_NUMBER, BadOrderNumber, NumberSearch, read_number_search


def posted(**fields: str) -> HttpRequest:
    return RequestFactory().post("/payments/pay/", fields)


def asked(**fields: str) -> HttpRequest:
    return RequestFactory().get("/payments/", fields)


def test_a_choice_is_an_offer_and_a_pay_system() -> None:
    request = posted(offer=".eJy_-0:1vNx9A:sig", pay_system_id="11")
    assert read_choice(request) == Choice(".eJy_-0:1vNx9A:sig", 11)


@pytest.mark.parametrize("offer", ["", "a b", "a\n", "é", "<script>", "a" * 12001, "\0"])
def test_an_offer_is_of_the_alphabet_of_signatures_and_not_endless(offer: str) -> None:
    with pytest.raises(BadInput):
        read_offer(posted(offer=offer))


@pytest.mark.parametrize(
    "number", [None, "", "0", "-1", "1.0", "1e3", " 1", "1\n", "١", "x", "9" * 19]
)
def test_a_pay_system_is_a_positive_number(number: str | None) -> None:
    fields = {} if number is None else {"pay_system_id": number}
    with pytest.raises(BadInput):
        read_choice(posted(offer="x", **fields))


def test_a_search_is_empty_by_default() -> None:
    assert read_search(asked()) == Search(ANY_NUMBER, None)


@pytest.mark.parametrize(
    "number",
    ["163", "163/1", "OR-2.7 #5", "№ 12", "Заказ_9", "a%", "'", "<b>", "(1),2:3;4+5&6", "*", "\\"],
)
def test_every_number_that_can_exist_can_be_searched_for(number: str) -> None:
    search = read_search(asked(q=f" {number} ", before="271"))
    assert search == Search(NumberSearch(number), 271)
    assert search.number.matches(number)


@pytest.mark.parametrize("number", ["1" * 101, "a\0b", "a\nb", "a\ud800"])
def test_a_text_that_is_no_number_is_not_searched_for(number: str) -> None:
    with pytest.raises(BadOrderNumber):
        read_number_search(number)


@pytest.mark.parametrize(
    ("typed", "number", "found"),
    [
        ("inv-7", "INV-7", True),
        ("INV-7", "inv-7/2", True),
        ("заказ 9", "ЗАКАЗ 9/1", True),
        ("163/", "163/1", True),
        ("№163", "163/1", True),
        ("# 163/", "163", True),
        ("№163", "№163/1", True),
        ("163/1", "163/1", True),
        ("163", "1630/1", False),
        ("16", "163/1", False),
        ("a_c", "abc/1", False),
        ("a%", "abc/1", False),
        ("a\\", "ab/1", False),
        ("/", "163/1", False),
        ("№", "163/1", False),
    ],
)
def test_a_search_matches_a_number_and_the_payments_of_that_order(
    typed: str, number: str, found: bool
) -> None:
    assert read_number_search(typed).matches(number) is found


@pytest.mark.parametrize("before", ["0", "-5", "x", "1.5"])
def test_the_place_in_the_list_is_a_positive_number(before: str) -> None:
    with pytest.raises(BadInput):
        read_search(asked(before=before))


@pytest.mark.parametrize("given", ["8061", 8061])
def test_a_tab_names_its_item_in_text_or_as_a_number(given: object) -> None:
    assert read_item_id({"ID": given, "URI": "/crm/deal/details/8061/"}) == 8061


@pytest.mark.parametrize(
    "options",
    [
        {},
        *[{"ID": given} for given in (None, "", "0", -1, True, 1.5, "8061'", ["8061"], {"ID": 1})],
    ],
)
def test_a_tab_of_no_item_is_bad_input(options: dict[str, object]) -> None:
    with pytest.raises(BadInput):
        read_item_id(options)
