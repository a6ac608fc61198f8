"""`sale.paysystem.*` except paying: api-reference/pay-system/ and the server's restservice.php."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.world import seed
from tests.sandbox.asking import (
    Refusal,
    ask,
    by_other_application,
    by_webhook,
    refusal_in,
    refused,
)
from tests.sandbox.wire import THE_PAYMENT, Wire, in_process

NO_RIGHT = Refusal(403, "ACCESS_DENIED", "Access denied!")
LIST, ADD, UPDATE, DELETE = (
    f"sale.paysystem.{verb}" for verb in ("list", "add", "update", "delete")
)
HANDLER = "sale.paysystem.handler"
SETTINGS = "sale.paysystem.settings"

A_PAY_SYSTEM = {
    "NAME": "New one",
    "BX_REST_HANDLER": seed.ACME_HANDLER,
    "PERSON_TYPE_ID": 1,
    "ENTITY_REGISTRY_TYPE": "ORDER",
}
A_HANDLER = {
    "NAME": "Made up",
    "CODE": "madeup",
    "SETTINGS": {"CODES": {}, "FORM_DATA": {"ACTION_URI": "https://pay.example.com/form/"}},
}


def failure(text: str, code: str = "ERROR_CHECK_FAILURE") -> Refusal:
    return Refusal(400, code, text)


def listed(wire: Wire, **params: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = ask(wire, LIST, params, user=seed.ADMIN)
    return rows


# Rights


@pytest.mark.parametrize("user", [seed.MANAGER, seed.READER, seed.OWN_MANAGER, seed.EXTRANET])
@pytest.mark.parametrize(
    "method",
    [
        LIST, ADD, UPDATE, DELETE, f"{SETTINGS}.get", f"{SETTINGS}.update",
        *(f"{HANDLER}.{verb}" for verb in ("add", "update", "delete", "list")),
    ],
)  # fmt: skip
def test_only_people_who_may_modify_crm_settings_are_allowed(method: str, user: int) -> None:
    """AccessChecker::checkAccessPermission; a person who may pay cannot list the pay systems."""
    assert refused(in_process(), method, user=user) == NO_RIGHT


def test_a_crm_settings_administrator_is_allowed() -> None:
    """The right is CONFIG/WRITE, not that of a portal administrator."""
    assert ask(in_process(), LIST, user=seed.SETTINGS_ADMIN)


# sale.paysystem.list


def test_the_list_has_no_pages() -> None:
    """getPaySystemList: no total, no next, `start` is ignored."""
    wire = in_process()
    answer = wire.call(LIST, {"start": 50}, token=wire.token(seed.ADMIN)).json()
    assert answer.keys() == {"result", "time"}
    assert len(answer["result"]) == len(wire.alpha.pay_systems)


def test_a_list_row_has_the_documented_order_and_types() -> None:
    """castOutcomingFieldsData: strings and nulls, then integers, then TARIFF; the page's sample."""
    row = next(row for row in listed(in_process()) if row["ID"] == seed.ACME_PAY)
    first, *_, a, b, c, last = row
    assert (first, a, b, c, last) == ("NAME", "ID", "PERSON_TYPE_ID", "SORT", "TARIFF")
    assert (row["ID"], row["PERSON_TYPE_ID"], row["SORT"]) == (11, 1, 10)
    assert (row["ACTIVE"], row["TARIFF"], row["ACTION_FILE"]) == ("Y", None, seed.ACME_HANDLER)
    assert "LOGOTYPE" not in row


def test_the_older_builds_list_has_ids_as_strings() -> None:
    """Older restservice.php: rows as in the database, with the logotype."""
    wire = in_process()
    wire.alpha.older_build = True
    row = listed(wire)[0]
    assert (row["ID"], row["SORT"]) == ("1", "100")
    assert "LOGOTYPE" in row


def test_the_list_has_inactive_built_in_and_other_applications_pay_systems() -> None:
    """getPaySystemList has no filter of its own."""
    ids = {row["ID"] for row in listed(in_process())}
    assert {seed.CASH, seed.OTHER_PAY, seed.INACTIVE_PAY, seed.INVOICE_PAY} <= ids


@pytest.mark.parametrize("name", ["ACTIVE", "!ACTIVE", ">=ACTIVE", "=active"])
def test_the_filters_operator_is_parsed_and_ignored(name: str) -> None:
    """GetFilterOperation in getPaySystemList: only FIELD of its result is used."""
    rows = listed(in_process(), FILTER={name: "N"})
    assert [row["ID"] for row in rows] == [seed.INACTIVE_PAY]


def test_the_older_build_uses_the_filters_operator() -> None:
    """api-reference/pay-system/sale-pay-system-list.md describes the prefixes."""
    wire = in_process()
    wire.alpha.older_build = True
    rows = listed(wire, filter={"!ACTIVE": "N"})
    assert str(seed.INACTIVE_PAY) not in [row["ID"] for row in rows]


def test_filter_by_several_values_select_and_order() -> None:
    """sale-pay-system-list.md; keys and names in any case, an array means any of its values."""
    rows = listed(
        in_process(),
        filter={"ID": [seed.CASH, seed.ACME_PAY]},
        select=["id", "tariff"],
        order={"id": "desc"},
    )
    assert rows == [{"ID": seed.ACME_PAY, "TARIFF": None}, {"ID": seed.CASH, "TARIFF": None}]


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"SELECT": ["ID", "WRONG", "OTHER"]}, "WRONG, OTHER not allowed for select"),
        ({"FILTER": {"!WRONG": 1}}, "WRONG not allowed for filter"),
        ({"ORDER": {"PAY_SYSTEM_ID": "ASC"}}, "PAY_SYSTEM_ID not allowed for order"),
    ],
)
def test_unknown_names_are_refused(params: dict[str, Any], text: str) -> None:
    """checkParamsBeforePaySystemListGet."""
    assert refused(in_process(), LIST, params, user=seed.ADMIN) == failure(text)


# add, update, delete


def test_add_returns_the_id() -> None:
    """addPaySystem: NEW_WINDOW and ACTIVE are N for anything but Y."""
    wire = in_process()
    params = {**A_PAY_SYSTEM, "ACTIVE": True, "NEW_WINDOW": "Y"}
    added = wire.alpha.pay_systems[ask(wire, ADD, params, user=seed.ADMIN)]
    assert (added.name, added.registry) == ("New one", "ORDER")
    assert (added.active, added.new_window) == (False, True)


def test_add_makes_a_pay_system_of_old_invoices_by_default() -> None:
    """addPaySystem: REGISTRY_TYPE_CRM_INVOICE is the default on a portal with a CRM."""
    wire = in_process()
    params = {**A_PAY_SYSTEM, "PERSON_TYPE_ID": 3, "ENTITY_REGISTRY_TYPE": None}
    added = wire.alpha.pay_systems[ask(wire, ADD, params, user=seed.ADMIN)]
    assert added.registry == "CRM_INVOICE"


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"BX_REST_HANDLER": ""}, failure("Parameter BX_REST_HANDLER is not defined")),
        ({"BX_REST_HANDLER": "cash"}, failure("Handler not found", "ERROR_HANDLER_NOT_FOUND")),
        ({"BX_REST_HANDLER": seed.OTHER_HANDLER}, NO_RIGHT),
        ({"NAME": ""}, failure("Parameter NAME is not defined")),
        (
            {"PERSON_TYPE_ID": 3},
            failure("Incorrect person type id!", "ERROR_PERSON_TYPE_NOT_FOUND"),
        ),
    ],
)
def test_add_checks(change: dict[str, Any], refusal: Refusal) -> None:
    """checkParamsBeforePaySystemAdd."""
    assert refused(in_process(), ADD, {**A_PAY_SYSTEM, **change}, user=seed.ADMIN) == refusal


def test_update_changes_the_given_fields() -> None:
    """updatePaySystem."""
    wire = in_process()
    params = {"ID": seed.ACME_PAY, "FIELDS": {"NAME": "Renamed", "ACTIVE": "N"}}
    assert ask(wire, UPDATE, params, user=seed.ADMIN) is True
    system = wire.alpha.pay_systems[seed.ACME_PAY]
    assert (system.name, system.active, system.action_file) == ("Renamed", False, "acmepay")


@pytest.mark.parametrize(
    ("params", "refusal"),
    [
        (
            {"FIELDS": {"BX_REST_HANDLER": "x"}},
            failure("Handler not found", "ERROR_HANDLER_NOT_FOUND"),
        ),
        ({}, failure("Parameter ID is not defined")),
        ({"ID": 999}, failure("Pay system not found", "ERROR_PAY_SYSTEM_NOT_FOUND")),
        ({"ID": seed.CASH}, NO_RIGHT),
        ({"ID": seed.OTHER_PAY}, NO_RIGHT),
        (
            {"ID": seed.ACME_PAY, "FIELDS": {"PERSON_TYPE_ID": 3}},
            failure("Incorrect person type id!", "ERROR_PERSON_TYPE_NOT_FOUND"),
        ),
    ],
)
def test_update_checks(params: dict[str, Any], refusal: Refusal) -> None:
    """checkParamsBeforePaySystemUpdate, in order."""
    assert refused(in_process(), UPDATE, params, user=seed.ADMIN) == refusal


def test_the_older_builds_update_requires_more_fields_and_writes_fewer() -> None:
    """Older restservice.php: requires handler and person type; writes no DESCRIPTION, no XML_ID."""
    wire = in_process()
    wire.alpha.older_build = True
    fields: dict[str, Any] = {"DESCRIPTION": "new", "NEW_WINDOW": "Y"}
    params = {"ID": seed.ACME_PAY, "FIELDS": fields}
    assert refused(wire, UPDATE, params, user=seed.ADMIN) == failure(
        "Parameter BX_REST_HANDLER is not defined"
    )
    fields |= {"BX_REST_HANDLER": seed.ACME_HANDLER, "PERSON_TYPE_ID": 1}
    assert ask(wire, UPDATE, params, user=seed.ADMIN) is True
    system = wire.alpha.pay_systems[seed.ACME_PAY]
    assert (system.description, system.new_window) == ("", True)


def test_old_spelling_of_the_tariff() -> None:
    """getIncomingFieldsMap: TARIFF and LOGOTYPE, at the first level and inside FIELDS."""
    params = {"ID": seed.ACME_PAY, "FIELDS": {"TARIFF": {}, "NAME": "Renamed"}}
    assert ask(in_process(), UPDATE, params, user=seed.ADMIN) is True


def test_delete_checks_and_deletes() -> None:
    """checkParamsBeforePaySystemDelete."""
    wire = in_process()
    assert refused(wire, DELETE, user=seed.ADMIN) == failure("Parameter ID is not defined")
    assert refused(wire, DELETE, {"ID": seed.BILL}, user=seed.ADMIN) == NO_RIGHT
    assert ask(wire, DELETE, {"ID": seed.DEMO_CARD_PAY}, user=seed.ADMIN) is True
    assert refused(wire, DELETE, {"ID": seed.DEMO_CARD_PAY}, user=seed.ADMIN) == failure(
        "Pay system not found", "ERROR_PAY_SYSTEM_NOT_FOUND"
    )


# Handlers


def test_a_handler_belongs_to_the_application_that_added_it() -> None:
    """addHandler stores the client id; hasAccessToPaySystem compares it."""
    wire = in_process()
    handler_id = ask(wire, f"{HANDLER}.add", A_HANDLER, user=seed.ADMIN)
    assert wire.alpha.handlers[handler_id].app_id == seed.OUR_CLIENT_ID
    params = {"ID": handler_id, "FIELDS": {"NAME": "Taken"}}
    response = by_other_application(wire, f"{HANDLER}.update", params, user=seed.ADMIN)
    assert refusal_in(response) == NO_RIGHT


def test_a_webhook_may_change_every_handler_and_applications_may_change_a_webhooks() -> None:
    """restservice.php: both sides of the comparison must be non-empty."""
    wire = in_process()
    handler_id = by_webhook(wire, f"{HANDLER}.add", A_HANDLER).json()["result"]
    assert wire.alpha.handlers[handler_id].app_id == ""
    params = {"ID": handler_id, "FIELDS": {"NAME": "Ours now"}}
    assert ask(wire, f"{HANDLER}.update", params, user=seed.ADMIN) is True
    theirs = next(h for h in wire.alpha.handlers.values() if h.code == seed.OTHER_HANDLER)
    params = {"ID": theirs.id, "FIELDS": {"NAME": "Renamed"}}
    assert by_webhook(wire, f"{HANDLER}.update", params).json()["result"] is True


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({}, "Parameter NAME is not defined"),
        ({"NAME": "x"}, "Parameter CODE is not defined"),
        ({"NAME": "x", "CODE": "x"}, "Parameter SETTINGS is not defined"),
        (
            {"NAME": "x", "CODE": "x", "SETTINGS": {"A": 1}},
            "Parameter SETTINGS[CODES] is not defined",
        ),
        (
            {"NAME": "x", "CODE": "x", "SETTINGS": {"CODES": {}}},
            "Parameter SETTINGS[FORM_DATA] or SETTINGS[CHECKOUT_DATA]"
            " or SETTINGS[IFRAME_DATA] is not defined",
        ),
        (
            {"NAME": "x", "CODE": "x", "SETTINGS": {"CODES": {}, "FORM_DATA": {"A": 1}}},
            "Parameter SETTINGS[FORM_DATA][ACTION_URI] is not defined",
        ),
        (
            {"NAME": "x", "CODE": "x", "SETTINGS": {"CODES": {}, "CHECKOUT_DATA": {"A": 1}}},
            "Parameter SETTINGS[IFRAME_DATA][ACTION_URI] is not defined",
        ),
        (
            {**A_HANDLER, "SETTINGS": {**A_HANDLER["SETTINGS"], "CLIENT_TYPE": "b2x"}},  # type: ignore[dict-item]
            "Parameter value SETTINGS[CLIENT_TYPE] is invalid",
        ),
    ],
)
def test_handler_add_checks(params: dict[str, Any], text: str) -> None:
    """checkParamsOnAddHandler, with its wrong name of the checkout part."""
    assert refused(in_process(), f"{HANDLER}.add", params, user=seed.ADMIN) == failure(text)


def test_handler_code_is_unique_on_the_portal() -> None:
    """checkParamsOnAddHandler: also against another application's."""
    params = {**A_HANDLER, "CODE": seed.OTHER_HANDLER}
    assert refused(in_process(), f"{HANDLER}.add", params, user=seed.ADMIN) == failure(
        "Handler already exists!", "ERROR_HANDLER_ALREADY_EXIST"
    )


def test_case_matters_inside_settings() -> None:
    """prepareHandlerParams converts only the first level to upper case."""
    lower = {"name": "x", "code": "x", "settings": {"codes": {}}}
    assert refused(in_process(), f"{HANDLER}.add", lower, user=seed.ADMIN) == failure(
        "Parameter SETTINGS[CODES] is not defined"
    )


@pytest.mark.parametrize(
    ("params", "refusal"),
    [
        ({"ID": 1}, failure("Parameter FIELDS is not defined")),
        ({"ID": 99, "FIELDS": {}}, failure("Handler not found", "ERROR_HANDLER_NOT_FOUND")),
        ({"ID": 3, "FIELDS": {}}, NO_RIGHT),
        (
            {"ID": 1, "FIELDS": {"CODE": seed.DEMO_CARD_HANDLER}},
            failure("Handler already exists!", "ERROR_HANDLER_ALREADY_EXIST"),
        ),
    ],
)
def test_handler_update_checks(params: dict[str, Any], refusal: Refusal) -> None:
    """checkParamsOnUpdateHandler, in order."""
    assert refused(in_process(), f"{HANDLER}.update", params, user=seed.ADMIN) == refusal


def test_a_handler_in_use_is_not_deleted() -> None:
    """checkParamsOnDeleteHandler: another method's error code, the handler's code in capitals."""
    wire = in_process()
    assert refused(wire, f"{HANDLER}.delete", {"ID": 1}, user=seed.ADMIN) == failure(
        "Pay system with handler ACMEPAY exists!", "ERROR_PAY_SYSTEM_DELETE"
    )
    ask(wire, DELETE, {"ID": seed.DEMO_CARD_PAY}, user=seed.ADMIN)
    assert ask(wire, f"{HANDLER}.delete", {"ID": 2}, user=seed.ADMIN) is True
    assert 2 not in wire.alpha.handlers


def test_the_handler_list_has_all_applications_and_numbers_as_strings() -> None:
    """api-reference/pay-system/sale-pay-system-handler-list.md, its sample."""
    rows = ask(in_process(), f"{HANDLER}.list", user=seed.ADMIN)
    assert [row["CODE"] for row in rows] == ["acmepay", "democardpay", "otherwallet"]
    assert (rows[0]["ID"], rows[0]["SORT"]) == ("1", "100")
    assert "APP_ID" not in rows[0]


# Settings


def test_settings_of_a_pay_system() -> None:
    """getSettings checks PERSON_TYPE_ID before ID."""
    wire = in_process()
    method = f"{SETTINGS}.get"
    assert refused(wire, method, user=seed.ADMIN) == failure(
        "Parameter PERSON_TYPE_ID is not defined"
    )
    params: dict[str, Any] = {"PERSON_TYPE_ID": 1}
    assert refused(wire, method, params, user=seed.ADMIN) == failure("Parameter ID is not defined")
    params["ID"] = 999
    assert refused(wire, method, params, user=seed.ADMIN) == failure("Pay system not found")
    params["ID"] = seed.CASH
    assert refused(wire, method, params, user=seed.ADMIN) == NO_RIGHT
    params["ID"] = seed.ACME_PAY
    settings = ask(wire, method, params, user=seed.ADMIN)
    assert settings["INVOICE"] == {"TYPE": "PAYMENT", "VALUE": "ACCOUNT_NUMBER"}
    del wire.alpha.pay_systems[seed.ACME_PAY].settings["INVOICE"]
    assert ask(wire, method, params, user=seed.ADMIN)["INVOICE"] is None


def test_settings_update() -> None:
    """updateSettings: the error code for empty settings is that of a handler."""
    wire = in_process()
    method = f"{SETTINGS}.update"
    params: dict[str, Any] = {"ID": seed.ACME_PAY}
    assert refused(wire, method, params, user=seed.ADMIN) == failure(
        "Parameter SETTINGS is not defined or empty", "ERROR_HANDLER_NOT_FOUND"
    )
    params["SETTINGS"] = {"merchant_key": "plain"}
    assert refused(wire, method, params, user=seed.ADMIN) == failure(
        "The value of SETTINGS[MERCHANT_KEY] is not valid"
    )
    params["SETTINGS"] = {"MERCHANT_KEY": {"TYPE": "VALUE", "VALUE": "new"}}
    assert ask(wire, method, params, user=seed.ADMIN) is True
    assert wire.alpha.pay_systems[seed.ACME_PAY].settings["MERCHANT_KEY"]["VALUE"] == "new"


def test_settings_for_a_payment_show_the_secrets_to_people_who_may_pay() -> None:
    """api-reference/pay-system/sale-pay-system-settings-payment-get.md."""
    method = f"{SETTINGS}.payment.get"
    settings = ask(in_process(), method, THE_PAYMENT, user=seed.MANAGER)
    assert settings == {"MERCHANT_KEY": "made-up-merchant-secret", "INVOICE": "163/1"}


@pytest.mark.parametrize(
    ("user", "params", "refusal"),
    [
        (seed.READER, THE_PAYMENT, NO_RIGHT),
        (seed.MANAGER, {}, failure("Empty field PAY_SYSTEM_ID!")),
        (seed.MANAGER, {"PAY_SYSTEM_ID": 999}, failure("Empty field PAYMENT_ID")),
        (
            seed.MANAGER,
            {"PAY_SYSTEM_ID": 999, "PAYMENT_ID": 1},
            failure("Pay system not found"),
        ),
        (seed.MANAGER, {"PAY_SYSTEM_ID": seed.CASH, "PAYMENT_ID": seed.CASH_PAYMENT}, NO_RIGHT),
        (seed.MANAGER, {"PAY_SYSTEM_ID": seed.OTHER_PAY, "PAYMENT_ID": 1}, NO_RIGHT),
        (
            seed.MANAGER,
            {"PAY_SYSTEM_ID": seed.ACME_PAY, "PAYMENT_ID": 1},
            failure("Payment with ID=1 and PAY_SYSTEM_ID=11 not found"),
        ),
    ],
)
def test_settings_for_a_payment_checks(user: int, params: dict[str, Any], refusal: Refusal) -> None:
    """checkParamsBeforeSettingsByPaymentGet checks the payment's id before it looks up the pay
    system, and checks the handler's application."""
    method = f"{SETTINGS}.payment.get"
    assert refused(in_process(), method, params, user=user) == refusal
