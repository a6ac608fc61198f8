"""What an administrator may read of pay systems; all but the last need the right to change CRM
settings."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeVar

from b24app.errors import AccessDenied, OutcomeUnknown, Refused
from b24app.rest.client import Answer, Query
from b24app.untrusted.clean_json import OversizedNumber
from b24app.untrusted.numbers import whole
from b24app.untrusted.text import REPLACEMENT, cut
from payments.gateway import parsing
from payments.gateway.setup_types import Handler, PaySystemDetails, PersonType, Registry, Setting
from payments.gateway.types import NAME_LENGTH, Rows, UnreadableRow

T = TypeVar("T")

# As long as its column: it goes back to the server with other changes, so it is not shortened.
_DESCRIPTION_LENGTH = 65_535
# Of a value that is only looked at.
_VALUE_LENGTH = 4000
# SETTINGS of a handler nest five deep.
_DEEPEST = 20

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


def pay_systems_in_detail() -> Query[Rows[PaySystemDetails]]:
    """All of the portal, whatever their registry and whoever made them.

    https://apidocs.bitrix24.com/api-reference/pay-system/sale-pay-system-list.html
    """
    return Query(
        "sale.paysystem.list",
        lambda answer: parsing.rows(answer.result, _details, known=_unreadable),
        {"SELECT": _DETAILS, "ORDER": {"SORT": "ASC"}},
    )


def handlers() -> Query[Rows[Handler]]:
    """Those of every application: none of them says whose it is.

    https://apidocs.bitrix24.com/api-reference/pay-system/sale-pay-system-handler-list.html
    """
    return Query(
        "sale.paysystem.handler.list",
        lambda answer: parsing.rows(answer.result, _handler, known=_unreadable),
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
            lambda answer: (
                parsing.rows(
                    answer.result,
                    lambda row: _person_type(row.get("id"), row.get("name")),
                    key="personTypes",
                ).read
            ),
            {"select": ["id", "name", "sort"], "order": {"sort": "asc", "id": "asc"}},
        )
    return Query(
        "crm.persontype.list",
        lambda answer: (
            parsing.rows(
                answer.result, lambda row: _person_type(row.get("ID"), row.get("NAME"))
            ).read
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
    """How many unpaid payments are set to this pay system; None where a row shows that the server
    did not understand the condition, or cannot be read.

    https://apidocs.bitrix24.com/api-reference/sale/payment/sale-payment-list.html
    """

    def parse(answer: Answer) -> int | None:
        def is_asked_for(row: parsing.Row) -> bool:
            bound_to = parsing.identifier(row.get("paySystemId"))
            return row.get("paid") == "N" and bound_to == pay_system_id

        rows = parsing.rows(answer.result, is_asked_for, key="payments")
        if rows.unreadable or not all(rows.read):
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
        return {code: _shown(value) for code, value in _object(answer.result).items()}

    return Query(
        "sale.paysystem.settings.payment.get",
        parse,
        {"PAY_SYSTEM_ID": pay_system_id, "PAYMENT_ID": payment_id},
    )


def _details(row: parsing.Row) -> PaySystemDetails:
    return PaySystemDetails(
        id=parsing.integer(row.get("ID")),
        name=parsing.text(row.get("NAME"), NAME_LENGTH),
        description=parsing.text(row.get("DESCRIPTION"), _DESCRIPTION_LENGTH),
        action_file=parsing.text(row.get("ACTION_FILE"), NAME_LENGTH),
        registry=parsing.text(row.get("ENTITY_REGISTRY_TYPE"), NAME_LENGTH),
        person_type_id=parsing.identifier(row.get("PERSON_TYPE_ID")),
        active=parsing.flag(row.get("ACTIVE")),
        new_window=row.get("NEW_WINDOW") == "Y",
        xml_id=parsing.text(row.get("XML_ID"), NAME_LENGTH),
        sort=parsing.place(row.get("SORT")),
    )


def _handler(row: parsing.Row) -> Handler:
    return Handler(
        id=parsing.integer(row.get("ID")),
        name=parsing.text(row.get("NAME"), NAME_LENGTH),
        code=parsing.text(row.get("CODE"), NAME_LENGTH),
        sort=parsing.place(row.get("SORT")),
        settings=_returnable(_object(row.get("SETTINGS"))),
    )


def _unreadable(row: parsing.Row) -> UnreadableRow:
    name = parsing.text_if_known(row.get("NAME"), NAME_LENGTH)
    return UnreadableRow(whole(row.get("ID"), least=1), name)


def _person_type(id_: object, name: object) -> PersonType:
    return PersonType(parsing.integer(id_), parsing.text_if_known(name, NAME_LENGTH))


def _settings(answer: Answer) -> Mapping[str, Setting]:
    return {code: _setting(value) for code, value in _object(answer.result).items()}


def _setting(value: object) -> Setting:
    try:
        row = parsing.mapping(value)
        return Setting(
            parsing.text(row.get("TYPE"), NAME_LENGTH), _returnable(_loose(row.get("VALUE")))
        )
    except OutcomeUnknown:
        return Setting("", "", is_readable=False)


def _returnable(value: T, depth: int = 0) -> T:
    """The value, if it can go back to the server as it came. Raises OutcomeUnknown where a number
    was too long to be read, or where its nesting is too deep to be written."""
    if depth > _DEEPEST or isinstance(value, OversizedNumber):
        raise OutcomeUnknown("settings that cannot be kept as they are")
    for inner in value.values() if isinstance(value, Mapping) else ():
        _returnable(inner, depth + 1)
    for inner in value if isinstance(value, list) else ():
        _returnable(inner, depth + 1)
    return value


def _shown(value: object) -> str:
    try:
        return cut(_loose(value), _VALUE_LENGTH)
    except OutcomeUnknown:
        return REPLACEMENT


def _object(value: object) -> Mapping[str, Any]:
    """An object that may be empty: the server writes `[]` or null then."""
    return {} if value in (None, []) else parsing.mapping(value)


def _loose(value: object) -> str:
    """A setting's value in whatever scalar type its handler keeps it."""
    if value is None:
        return ""
    if isinstance(value, str | int | Decimal):
        return str(value)
    raise OutcomeUnknown(f"a value was expected, not {type(value).__name__}")
