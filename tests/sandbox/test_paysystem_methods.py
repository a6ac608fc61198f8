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


def test_update_changes_the_given_fields() -> None:
    """updatePaySystem."""
    wire = in_process()
    params = {"ID": seed.ACME_PAY, "FIELDS": {"NAME": "Renamed", "ACTIVE": "N"}}
    assert ask(wire, UPDATE, params, user=seed.ADMIN) is True
    system = wire.alpha.pay_systems[seed.ACME_PAY]
    assert (system.name, system.active, system.action_file) == ("Renamed", False, "acmepay")


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


def test_delete() -> None:
    wire = in_process()
    assert ask(wire, DELETE, {"ID": seed.DEMO_CARD_PAY}, user=seed.ADMIN) is True
    assert seed.DEMO_CARD_PAY not in wire.alpha.pay_systems


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


def test_settings_are_those_of_the_handler_and_null_where_never_set() -> None:
    """getSettings in restservice.php."""
    wire = in_process()
    params = {"PERSON_TYPE_ID": 1, "ID": seed.ACME_PAY}
    settings = ask(wire, f"{SETTINGS}.get", params, user=seed.ADMIN)
    assert settings["INVOICE"] == {"TYPE": "PAYMENT", "VALUE": "ACCOUNT_NUMBER"}
    del wire.alpha.pay_systems[seed.ACME_PAY].settings["INVOICE"]
    assert ask(wire, f"{SETTINGS}.get", params, user=seed.ADMIN)["INVOICE"] is None


def test_settings_update() -> None:
    wire = in_process()
    changed = {"MERCHANT_KEY": {"TYPE": "VALUE", "VALUE": "new"}}
    params = {"ID": seed.ACME_PAY, "SETTINGS": changed}
    assert ask(wire, f"{SETTINGS}.update", params, user=seed.ADMIN) is True
    assert wire.alpha.pay_systems[seed.ACME_PAY].settings["MERCHANT_KEY"]["VALUE"] == "new"


def test_settings_for_a_payment_show_the_secrets_to_people_who_may_pay() -> None:
    """api-reference/pay-system/sale-pay-system-settings-payment-get.md."""
    method = f"{SETTINGS}.payment.get"
    settings = ask(in_process(), method, THE_PAYMENT, user=seed.MANAGER)
    assert settings == {"MERCHANT_KEY": "made-up-merchant-secret", "INVOICE": "163/1"}
