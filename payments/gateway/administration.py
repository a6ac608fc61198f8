"""What an administrator may read of pay systems; all but the last need the right to change CRM
settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from b24app.client import Answer, Query
from b24app.errors import AccessDenied, OutcomeUnknown, Refused
from payments.gateway import parsing
from payments.gateway.administration_shapes import (
    Handler,
    PaySystemDetails,
    PersonType,
    Registry,
    Setting,
)

_DETAILS = [
    "ID",
    "NAME",
    "DESCRIPTION",
    "ACTION_FILE",
    "ENTITY_REGISTRY_TYPE",
    "PERSON_TYPE_ID",
    "ACTIVE",
    "NEW_WINDOW",
    "XML_ID",
    "SORT",
]


def pay_systems_in_detail() -> Query[tuple[PaySystemDetails, ...]]:
    """All of the portal, whatever their registry and whoever made them.

    https://apidocs.bitrix24.com/api-reference/pay-system/sale-pay-system-list.html
    """
    return Query(
        "sale.paysystem.list",
        lambda answer: tuple(_details(row) for row in parsing.listed(answer.result)),
        {"SELECT": _DETAILS, "ORDER": {"SORT": "ASC"}},
    )


def handlers() -> Query[tuple[Handler, ...]]:
    """Those of every application: none of them says whose it is.

    https://apidocs.bitrix24.com/api-reference/pay-system/sale-pay-system-handler-list.html
    """
    return Query(
        "sale.paysystem.handler.list",
        lambda answer: tuple(_handler(row) for row in parsing.listed(answer.result)),
    )


def may_set_up() -> Query[bool]:
    """May this person change the CRM's settings, which setting up pay systems needs?

    https://apidocs.bitrix24.com/api-reference/pay-system/sale-pay-system-handler-list.html
    """

    def parse_refusal(refusal: Refused) -> bool:
        if isinstance(refusal, AccessDenied):
            return False
        raise refusal

    return Query("sale.paysystem.handler.list", lambda answer: True, {}, parse_refusal)


def person_types(registry: Registry) -> Query[tuple[PersonType, ...]]:
    """For whom a pay system of this registry can be. For quotes there is no list: none is offered.

    https://apidocs.bitrix24.com/api-reference/sale/person-type/sale-person-type-list.html
    https://apidocs.bitrix24.com/api-reference/crm/outdated/invoice/crm-person-type-list.html
    """
    if registry == Registry.ORDER:
        return Query(
            "sale.persontype.list",
            lambda answer: tuple(
                PersonType(parsing.integer(row.get("id")), parsing.text(row.get("name")))
                for row in parsing.listed(answer.result, "personTypes")
            ),
            {"select": ["id", "name", "sort"], "order": {"sort": "asc", "id": "asc"}},
        )
    return Query(
        "crm.persontype.list",
        lambda answer: tuple(
            PersonType(parsing.integer(row.get("ID")), parsing.text(row.get("NAME")))
            for row in parsing.listed(answer.result)
        ),
    )


def is_within_reach(pay_system_id: int) -> Query[bool]:
    """May this application change the pay system? Not one that is built in or another's.

    Asks for the settings of a payment that cannot exist, which gets as far as that check and reads
    no secret. Tells nothing to whom may not pay orders: they are refused before.
    https://apidocs.bitrix24.com/api-reference/pay-system/sale-pay-system-settings-payment-get.html
    """

    def parse(answer: Answer) -> bool:
        raise OutcomeUnknown("a payment that cannot exist was answered")

    def parse_refusal(refusal: Refused) -> bool:
        if isinstance(refusal, AccessDenied) and not refusal.is_about_plan:
            return False
        if refusal.code == "ERROR_CHECK_FAILURE":
            return True
        raise refusal

    return Query(
        "sale.paysystem.settings.payment.get",
        parse,
        {"PAY_SYSTEM_ID": pay_system_id, "PAYMENT_ID": -1},
        parse_refusal,
    )


def unpaid_bound_to(pay_system_id: int) -> Query[int | None]:
    """How many unpaid payments are set to this pay system; None where the answer shows that the
    server did not understand the condition.

    https://apidocs.bitrix24.com/api-reference/sale/payment/sale-payment-list.html
    """

    def parse(answer: Answer) -> int | None:
        rows = parsing.listed(answer.result, "payments")
        asked_for = all(
            row.get("paid") == "N" and parsing.identifier(row.get("paySystemId")) == pay_system_id
            for row in rows
        )
        if not asked_for:
            return None
        return len(rows) if answer.total is None else answer.total

    return Query(
        "sale.payment.list",
        parse,
        {
            "select": ["id", "paid", "paySystemId"],
            "filter": {"=paySystemId": pay_system_id, "=paid": "N"},
        },
    )


def settings(pay_system_id: int, *, person_type_id: int) -> Query[Mapping[str, Setting]]:
    """A pay system's settings by their codes, secrets in plain text; `person_type_id` 0 asks for
    those that hold where a payer type has none of its own. Refused with 403 for a pay system that
    is built in or another application's.

    https://apidocs.bitrix24.com/api-reference/pay-system/sale-pay-system-settings-get.html
    """
    return Query(
        "sale.paysystem.settings.get",
        _settings,
        {"ID": pay_system_id, "PERSON_TYPE_ID": person_type_id},
    )


def settings_of_payment(payment_id: int, *, pay_system_id: int) -> Query[Mapping[str, str]]:
    """What one payment would be paid with, secrets in plain text. Needs the right to orders; 403
    also means that the pay system is built in or another application's.

    https://apidocs.bitrix24.com/api-reference/pay-system/sale-pay-system-settings-payment-get.html
    """

    def parse(answer: Answer) -> Mapping[str, str]:
        return {code: _loose(value) for code, value in _object(answer.result).items()}

    return Query(
        "sale.paysystem.settings.payment.get",
        parse,
        {"PAY_SYSTEM_ID": pay_system_id, "PAYMENT_ID": payment_id},
    )


def _details(row: parsing.Row) -> PaySystemDetails:
    return PaySystemDetails(
        id=parsing.integer(row.get("ID")),
        name=parsing.text(row.get("NAME")),
        description=parsing.text(row.get("DESCRIPTION")),
        action_file=parsing.text(row.get("ACTION_FILE")),
        registry=parsing.text(row.get("ENTITY_REGISTRY_TYPE")),
        person_type_id=parsing.identifier(row.get("PERSON_TYPE_ID")),
        active=row.get("ACTIVE") == "Y",
        new_window=row.get("NEW_WINDOW") == "Y",
        xml_id=parsing.text(row.get("XML_ID")),
        sort=parsing.identifier(row.get("SORT")) or 0,
    )


def _handler(row: parsing.Row) -> Handler:
    return Handler(
        id=parsing.integer(row.get("ID")),
        name=parsing.text(row.get("NAME")),
        code=parsing.text(row.get("CODE")),
        sort=parsing.identifier(row.get("SORT")) or 0,
        settings=_object(row.get("SETTINGS")),
    )


def _settings(answer: Answer) -> Mapping[str, Setting]:
    return {
        code: Setting(parsing.text(value.get("TYPE")), _loose(value.get("VALUE")))
        for code, value in _object(answer.result).items()
        if isinstance(value, Mapping)
    }


def _object(value: object) -> Mapping[str, Any]:
    """An object that may be empty: the server writes `[]` or null then."""
    return {} if value in (None, []) else parsing.mapping(value)


def _loose(value: object) -> str:
    """A setting's value in whatever type its handler keeps it."""
    return "" if value is None else str(value)
