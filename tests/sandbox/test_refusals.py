"""Each method's refusals, as the server's controllers and the documentation's tables have them.

Rights come before arguments, arguments before what they name. A refused call changes nothing.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from sandbox.world import seed
from sandbox.world.ids import ADMIN, EXTRANET, MANAGER, OWN_MANAGER, READER, SETTINGS_ADMIN
from sandbox.world.world import DEAL
from tests.sandbox.asking import Refusal, refused
from tests.sandbox.wire import PAY, THE_PAYMENT, in_process

Row = tuple[int, str, dict[str, Any], Refusal]

NO_RIGHT = Refusal(403, "ACCESS_DENIED", "Access denied!")
DENIED = Refusal(400, "ACCESS_DENIED", "Access denied")
NOT_INTRANET = Refusal(
    403, "allowed_only_intranet_user", "Action is allowed only to intranet users"
)
READ_DENIED = Refusal(400, "200040300010", "Access Denied")
MODIFY_DENIED = Refusal(400, "200040300020", "Access Denied")
NO_PAYMENT = Refusal(400, "200640400001", "payment is not exists")
NO_ORDER = Refusal(400, "200540400001", "order is not exists")
NO_OWNER = Refusal(400, "OWNER_NOT_FOUND", "Owner of the item not found")
NO_LIST = Refusal(400, "", "Access denied.")
INVOICES = "sale.paysystem.pay.invoice"
OF_PAYMENT = "sale.paysystem.settings.payment.get"
LIST, ADD, UPDATE, DELETE = (
    f"sale.paysystem.{verb}" for verb in ("list", "add", "update", "delete")
)
SETTINGS, HANDLER = "sale.paysystem.settings", "sale.paysystem.handler"
ITEM, ITEMS = "crm.item.payment", "crm.item.list"
COMMENT, COMMENTS = "crm.timeline.comment.add", "crm.timeline.comment.list"

EMPTY: tuple[object, ...] = ("", "0", 0, None, [], False)  # for PHP
ONE = {"id": seed.PAYMENT}
FORM = {"CODES": {}, "FORM_DATA": {"ACTION_URI": "https://pay.example.com/form/"}}
A_HANDLER = {"NAME": "x", "CODE": "x", "SETTINGS": FORM}
A_SYSTEM = {
    "NAME": "x",
    "BX_REST_HANDLER": seed.ACME_HANDLER,
    "PERSON_TYPE_ID": 1,
    "ENTITY_REGISTRY_TYPE": "ORDER",
}
TAB = {"PLACEMENT": "CRM_DEAL_DETAIL_TAB", "HANDLER": "https://pay.example.com/"}
EVENT = {"event": "OnPaymentEntitySaved", "handler": "https://pay.example.com/event/"}


def failure(text: str, code: str = "ERROR_CHECK_FAILURE") -> Refusal:
    return Refusal(400, code, text)


def undefined(name: str) -> Refusal:
    return failure(f"Parameter {name} is not defined")


def missing(name: str) -> Refusal:
    return failure(f"Could not find value for parameter {{{name}}}", "100")


def empty(name: str) -> Refusal:
    return failure(f"Argument '{name}' is null or empty", "ERROR_ARGUMENT")


def comment(item: object = seed.DEAL, kind: object = "deal", text: str = "x") -> dict[str, Any]:
    return {"fields": {"ENTITY_ID": item, "ENTITY_TYPE": kind, "COMMENT": text}}


def settings(**values: Any) -> dict[str, Any]:
    return {**A_HANDLER, "SETTINGS": values}


NO_HANDLER = failure("Handler not found", "ERROR_HANDLER_NOT_FOUND")
HANDLER_EXISTS = failure("Handler already exists!", "ERROR_HANDLER_ALREADY_EXIST")
WRONG_PAYER = failure("Incorrect person type id!", "ERROR_PERSON_TYPE_NOT_FOUND")
NO_SYSTEM = failure("Pay system not found", "ERROR_PAY_SYSTEM_NOT_FOUND")
EMPTY_SYSTEM = failure("Empty field PAY_SYSTEM_ID!")  # only this text ends with "!"
EMPTY_PAYMENT = failure("Empty field PAYMENT_ID")
NOT_FOUND = failure("Payment has not been found", "0")
NO_PLACE = failure("The value of an argument 'PLACEMENT' must be of type string", "ERROR_ARGUMENT")
NO_MODE = "SETTINGS[FORM_DATA] or SETTINGS[CHECKOUT_DATA] or SETTINGS[IFRAME_DATA]"

# fmt: off
CRM: tuple[Row, ...] = (
    *((EXTRANET, method, {}, NOT_INTRANET) for method in (
        ITEMS, "crm.item.get", COMMENT, COMMENTS,
        *(f"{ITEM}.{verb}" for verb in ("list", "get", "pay", "unpay", "add", "delete")))),
    (MANAGER, ITEMS, {"entityTypeId": DEAL, "filter": {"=wrongName": 1}}, failure(
        "Invalid filter: field 'WRONG_NAME' is not allowed in filter", "INVALID_ARG_VALUE")),
    (MANAGER, ITEMS, {"entityTypeId": DEAL, "order": {"wrong": "ASC"}}, failure(
        "Invalid order: field 'WRONG' is not allowed in order", "INVALID_ARG_VALUE")),
    (MANAGER, ITEMS, {"entityTypeId": DEAL, "order": {"id": "up"}}, failure(
        "Invalid order: allowed sort directions are `ASC, DESC`. But got 'up' for field 'ID'",
        "INVALID_ARG_VALUE")),
    (OWN_MANAGER, "crm.item.get", {"entityTypeId": DEAL, "id": seed.HIDDEN_DEAL}, failure(
        "You do not have permission to view this item", "ACCESS_DENIED")),
    (OWN_MANAGER, "crm.item.get", {"entityTypeId": DEAL, "id": 999}, failure(
        "Element not found", "NOT_FOUND")),
    (OWN_MANAGER, "crm.item.get", {"entityTypeId": 999, "id": 1}, failure(
        "SPA not found", "NOT_FOUND")),
    (MANAGER, f"{ITEM}.list", {}, missing("entityId")),
    (MANAGER, f"{ITEM}.list", {"entityTypeId": DEAL, "entityId": "x"}, failure(
        "Invalid value {x} to match with parameter {entityId}. Should be value of type {int}.",
        "100")),
    (OWN_MANAGER, f"{ITEM}.get", {"id": 999}, NOT_FOUND),
    (READER, f"{ITEM}.update", {**ONE, "fields": {"paid": "Y"}}, DENIED),
    (MANAGER, f"{ITEM}.update", {**ONE, "fields": {"sum": 1}}, failure("Empty fields", "0")),
    (MANAGER, f"{ITEM}.update", {**ONE, "fields": {"paySystemId": 999}}, failure(
        "Payment system has not been found", "0")),
    (MANAGER, f"{ITEM}.update", {"id": 999, "fields": {"paid": "Y"}}, NOT_FOUND),
    (READER, f"{ITEM}.add", {"entityTypeId": DEAL, "entityId": seed.DEAL}, DENIED),
    (ADMIN, f"{ITEM}.add", {"entityTypeId": DEAL, "entityId": 13123000}, failure(
        "Entity with identifier №13123000 does not exist", "0")),
    *((EXTRANET, f"crm.orderentity.{verb}", {}, READ_DENIED) for verb in ("list", "getfields")),
    (ADMIN, COMMENT, {"FIELDS": comment()["fields"]}, missing("fields")),
    *((ADMIN, COMMENT, comment(item, kind, text), NO_OWNER) for item, kind, text in (
        ("", "deal", "x"), (seed.DEAL, None, "x"), ("", "", " "), (10**6, "deal", "x"),
        (seed.DEAL, "dynamic_999", "x"))),
    (OWN_MANAGER, COMMENT, comment(seed.HIDDEN_DEAL), DENIED),
    (READER, COMMENT, comment(), DENIED),
    (READER, COMMENT, comment(text=" "), DENIED),  # the right is checked before the text
    (ADMIN, COMMENT, comment(text="  "), failure("Empty comment message", "INVALID_ARG_VALUE")),
    (ADMIN, COMMENTS, {}, NO_LIST),
    (OWN_MANAGER, COMMENTS,
     {"filter": {"ENTITY_ID": seed.HIDDEN_DEAL, "ENTITY_TYPE": "deal"}}, NO_LIST),
)
SALE: tuple[Row, ...] = (
    *((EXTRANET, f"sale.{method}", {}, READ_DENIED) for method in (
        "payment.list", "payment.get", "order.list", "order.get", "persontype.list")),
    *((MANAGER, f"sale.payment.{verb}", {}, MODIFY_DENIED) for verb in (
        "add", "update", "delete")),
    *((MANAGER, "sale.payment.get", {"id": unknown}, NO_PAYMENT) for unknown in (999, 0, "abc")),
    (MANAGER, "sale.payment.get", {"ID": seed.PAYMENT}, missing("id")),
    (MANAGER, "sale.order.get", {"id": 999}, NO_ORDER),
    (MANAGER, "sale.payment.list", {"filter": {"?accountNumber": "163"}}, failure(
        "Unknown field definition `?ACCOUNT_NUMBER`", "0")),
    (MANAGER, "sale.payment.list", {"filter": "x"}, failure(
        "Invalid value {x} to match with parameter {filter}. Should be value of type {array}.",
        "100")),
    (ADMIN, "sale.payment.update", {**ONE, "fields": {}}, missing("fields")),
    (ADMIN, "sale.payment.update", {**ONE, "fields": {"comments": "x"}}, failure(
        "Required fields: paySystemId", "0")),
    (ADMIN, "sale.payment.update", {**ONE, "fields": {"paySystemId": 999}}, failure(
        "The payment system is incorrect", "SALE_PAYMENT_WRONG_PAYMENT_SERVICE")),
    (ADMIN, "sale.payment.add", {"fields": {"sum": 1}}, failure(
        "Required fields: orderId, paySystemId", "0")),
    (ADMIN, "sale.payment.add", {"fields": {"orderId": 999, "paySystemId": seed.CASH}}, NO_ORDER),
)
PAYING: tuple[Row, ...] = (
    *((user, PAY, params, NO_RIGHT) for user in (READER, EXTRANET) for params in (
        {}, THE_PAYMENT)),
    *((user, PAY, {}, EMPTY_SYSTEM) for user in (ADMIN, SETTINGS_ADMIN, MANAGER, OWN_MANAGER)),
    *((MANAGER, PAY, {**THE_PAYMENT, "PAY_SYSTEM_ID": value}, EMPTY_SYSTEM) for value in EMPTY),
    *((MANAGER, PAY, {**THE_PAYMENT, "PAYMENT_ID": value}, EMPTY_PAYMENT) for value in EMPTY),
    *((MANAGER, PAY, {"PAY_SYSTEM_ID": value}, failure("Pay system not found")) for value in (
        999, -1, "x")),
    (MANAGER, PAY, {"paymentId": seed.PAYMENT, "paySystemId": seed.ACME_PAY}, EMPTY_SYSTEM),
    (MANAGER, PAY, {**THE_PAYMENT, "PAY_SYSTEM_ID": seed.DEMO_CARD_PAY}, failure(
        "Payment with ID=271 and PAY_SYSTEM_ID=12 not found")),
    (MANAGER, PAY, {"PAYMENT_ID": seed.CANCELED_PAYMENT, "PAY_SYSTEM_ID": seed.ACME_PAY}, failure(
        "Order #171 canceled", "ERROR_PROCESS_REQUEST_RESULT")),
    (MANAGER, INVOICES, {}, failure("Empty field BX_REST_HANDLER and PAY_SYSTEM_ID")),
    (MANAGER, INVOICES, {"PAY_SYSTEM_ID": 999}, failure("Pay system with ID=999 not found")),
    (MANAGER, INVOICES, {"BX_REST_HANDLER": "x"}, failure("Incorrect rest handler code")),
    (MANAGER, INVOICES, {"PAY_SYSTEM_ID": seed.INVOICE_PAY}, failure("Empty field INVOICE_ID!")),
    (MANAGER, INVOICES, {"PAY_SYSTEM_ID": seed.INVOICE_PAY, "INVOICE_ID": 5}, failure(
        "Invoice #5 not found", "ERROR_INTERNAL_INVOICE_NOT_FOUND")),
)
PAY_SYSTEMS: tuple[Row, ...] = (
    # A person who may pay cannot list the pay systems.
    *((user, method, {}, NO_RIGHT) for user in (MANAGER, READER, OWN_MANAGER, EXTRANET)
      for method in (
        LIST, ADD, UPDATE, DELETE, f"{SETTINGS}.get", f"{SETTINGS}.update",
        *(f"{HANDLER}.{verb}" for verb in ("add", "update", "delete", "list")))),
    (ADMIN, LIST, {"SELECT": ["ID", "WRONG", "OTHER"]}, failure(
        "WRONG, OTHER not allowed for select")),
    (ADMIN, LIST, {"FILTER": {"!WRONG": 1}}, failure("WRONG not allowed for filter")),
    (ADMIN, LIST, {"ORDER": {"PAY_SYSTEM_ID": "ASC"}}, failure(
        "PAY_SYSTEM_ID not allowed for order")),
    *((ADMIN, ADD, {**A_SYSTEM, **change}, refusal) for change, refusal in (
        ({"BX_REST_HANDLER": ""}, undefined("BX_REST_HANDLER")),
        ({"BX_REST_HANDLER": "cash"}, NO_HANDLER),
        ({"BX_REST_HANDLER": seed.OTHER_HANDLER}, NO_RIGHT),
        ({"NAME": ""}, undefined("NAME")),
        ({"PERSON_TYPE_ID": 3}, WRONG_PAYER))),
    (ADMIN, UPDATE, {"FIELDS": {"BX_REST_HANDLER": "x"}}, NO_HANDLER),
    (ADMIN, UPDATE, {}, undefined("ID")),
    (ADMIN, UPDATE, {"ID": 999}, NO_SYSTEM),
    (ADMIN, UPDATE, {"ID": seed.CASH}, NO_RIGHT),
    (ADMIN, UPDATE, {"ID": seed.OTHER_PAY}, NO_RIGHT),
    (ADMIN, UPDATE, {"ID": seed.ACME_PAY, "FIELDS": {"PERSON_TYPE_ID": 3}}, WRONG_PAYER),
    (ADMIN, DELETE, {}, undefined("ID")),
    (ADMIN, DELETE, {"ID": seed.BILL}, NO_RIGHT),
    (ADMIN, DELETE, {"ID": 999}, NO_SYSTEM),
    *((ADMIN, f"{HANDLER}.add", params, undefined(name)) for params, name in (
        ({}, "NAME"),
        ({"NAME": "x"}, "CODE"),
        ({"NAME": "x", "CODE": "x"}, "SETTINGS"),
        (settings(A=1), "SETTINGS[CODES]"),
        (settings(CODES={}), NO_MODE),
        (settings(CODES={}, FORM_DATA={"A": 1}), "SETTINGS[FORM_DATA][ACTION_URI]"),
        # The server names the wrong part.
        (settings(CODES={}, CHECKOUT_DATA={"A": 1}), "SETTINGS[IFRAME_DATA][ACTION_URI]"),
        # Only the first level may be in any case.
        ({"name": "x", "code": "x", "settings": {"codes": {}}}, "SETTINGS[CODES]"))),
    (ADMIN, f"{HANDLER}.add", settings(**FORM, CLIENT_TYPE="b2x"), failure(
        "Parameter value SETTINGS[CLIENT_TYPE] is invalid")),
    (ADMIN, f"{HANDLER}.add", {**A_HANDLER, "CODE": seed.OTHER_HANDLER}, HANDLER_EXISTS),
    (ADMIN, f"{HANDLER}.update", {"ID": 1}, undefined("FIELDS")),
    (ADMIN, f"{HANDLER}.update", {"ID": 99, "FIELDS": {}}, NO_HANDLER),
    (ADMIN, f"{HANDLER}.update", {"ID": 3, "FIELDS": {}}, NO_RIGHT),
    (ADMIN, f"{HANDLER}.update", {"ID": 1, "FIELDS": {"CODE": seed.DEMO_CARD_HANDLER}},
     HANDLER_EXISTS),
    (ADMIN, f"{SETTINGS}.get", {}, undefined("PERSON_TYPE_ID")),
    (ADMIN, f"{SETTINGS}.get", {"PERSON_TYPE_ID": 1}, undefined("ID")),
    (ADMIN, f"{SETTINGS}.get", {"PERSON_TYPE_ID": 1, "ID": 999}, failure("Pay system not found")),
    (ADMIN, f"{SETTINGS}.get", {"PERSON_TYPE_ID": 1, "ID": seed.CASH}, NO_RIGHT),
    (ADMIN, f"{SETTINGS}.update", {"ID": seed.ACME_PAY}, failure(
        "Parameter SETTINGS is not defined or empty", "ERROR_HANDLER_NOT_FOUND")),
    (ADMIN, f"{SETTINGS}.update", {"ID": seed.ACME_PAY, "SETTINGS": {"key": "plain"}}, failure(
        "The value of SETTINGS[KEY] is not valid")),
    (READER, OF_PAYMENT, THE_PAYMENT, NO_RIGHT),
    (MANAGER, OF_PAYMENT, {}, EMPTY_SYSTEM),
    (MANAGER, OF_PAYMENT, {"PAY_SYSTEM_ID": 999}, EMPTY_PAYMENT),
    (MANAGER, OF_PAYMENT, {"PAY_SYSTEM_ID": 999, "PAYMENT_ID": 1}, failure(
        "Pay system not found")),
    (MANAGER, OF_PAYMENT, {"PAY_SYSTEM_ID": seed.CASH, "PAYMENT_ID": seed.CASH_PAYMENT}, NO_RIGHT),
    (MANAGER, OF_PAYMENT, {"PAY_SYSTEM_ID": seed.OTHER_PAY, "PAYMENT_ID": 1}, NO_RIGHT),
    (MANAGER, OF_PAYMENT, {"PAY_SYSTEM_ID": seed.ACME_PAY, "PAYMENT_ID": 1}, failure(
        "Payment with ID=1 and PAY_SYSTEM_ID=11 not found")),
)
BINDING: tuple[Row, ...] = (
    *((user, f"placement.{verb}", TAB, NO_RIGHT) for user in (SETTINGS_ADMIN, MANAGER)
      for verb in ("bind", "unbind", "get")),
    *((ADMIN, "placement.bind", {**TAB, **change}, refusal) for change, refusal in (
        ({"PLACEMENT": ""}, NO_PLACE),
        ({"PLACEMENT": "DEFAULT"}, failure(
            "Argument 'The placement code has an incorrect value'", "ERROR_ARGUMENT")),
        ({"HANDLER": ""}, empty("HANDLER")),
        ({"PLACEMENT": "CRM_DYNAMIC_31_DETAIL_TAB"}, failure(
            "Placement not found", "ERROR_PLACEMENT_NOT_FOUND")),
        ({"USER_ID": MANAGER}, failure(
            "User mode is not available.", "ERROR_PLACEMENT_USER_MODE")),
        ({"HANDLER": "/relative/"}, failure("Wrong handler URL", "ERROR_WRONG_HANDLER_URL")),
        ({"HANDLER": "ftp://pay.example.com/"}, failure(
            "Unsupported handler protocol", "ERROR_UNSUPPORTED_PROTOCOL")))),
    (ADMIN, "placement.unbind", {}, NO_PLACE),
    *((user, "event.bind", {**EVENT, **change}, refusal) for user, change, refusal in (
        (ADMIN, {"event": "OnNothing"}, failure("Event not found", "ERROR_EVENT_NOT_FOUND")),
        (ADMIN, {"event": ""}, empty("EVENT")),
        (ADMIN, {"handler": ""}, empty("HANDLER")),
        (ADMIN, {"event_type": "later"}, failure(
            "Value must be one of {online|offline}", "ERROR_ARGUMENT")),
        (MANAGER, {"auth_type": ADMIN}, Refusal(403, "ACCESS_DENIED", "Access denied!"
            " Event binding with AUTH_TYPE requires administrator access rights")),
        (MANAGER, {"event_type": "offline"}, Refusal(403, "ACCESS_DENIED", "Access denied!"
            " Offline events binding requires administrator access rights")))),
)
# fmt: on


@pytest.mark.parametrize(
    ("user", "method", "params", "refusal"), (*CRM, *SALE, *PAYING, *PAY_SYSTEMS, *BINDING)
)
def test_a_refused_call_changes_nothing(
    user: int, method: str, params: dict[str, Any], refusal: Refusal
) -> None:
    wire = in_process()
    before = deepcopy(vars(wire.alpha))
    assert refused(wire, method, params, user=user) == refusal
    assert vars(wire.alpha) == before
    assert wire.sandbox.world.outbox == []
