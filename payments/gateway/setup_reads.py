"""Reads pay systems, handlers and settings for the screens that set them up.

All queries but `settings_of_payment` need the right to change CRM settings.
"""

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

# The length of the server's column: the description is sent back with other changes, so it must not
# be cut.
_DESCRIPTION_LENGTH = 65_535
# For a value that is only shown.
_VALUE_LENGTH = 4000
# SETTINGS of a handler have five levels.
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
    """All pay systems of the portal, of every registry and every application.

    https://apidocs.bitrix24.com/api-reference/pay-system/sale-pay-system-list.html
    """
    return Query(
        "sale.paysystem.list",
        lambda answer: parsing.rows(answer.result, _details, parse_unreadable=_unreadable),
        {"SELECT": _DETAILS, "ORDER": {"SORT": "ASC"}},
    )


def handlers() -> Query[Rows[Handler]]:
    """The handlers of every application; a handler does not name its application.

    https://apidocs.bitrix24.com/api-reference/pay-system/sale-pay-system-handler-list.html
    """
    return Query(
        "sale.paysystem.handler.list",
        lambda answer: parsing.rows(answer.result, _handler, parse_unreadable=_unreadable),
    )


def may_set_up() -> Query[bool]:
    """Whether this person may change CRM settings, the right that setting up pay systems needs.

    https://apidocs.bitrix24.com/api-reference/pay-system/sale-pay-system-handler-list.html
    """

    def parse_refusal(refusal: Refused) -> bool:
        if isinstance(refusal, AccessDenied):
            return False
        raise refusal

    return Query("sale.paysystem.handler.list", lambda answer: True, {}, parse_refusal)


def person_types(registry: Registry) -> Query[tuple[PersonType, ...]]:
    """The payer types that a pay system of this registry can have. Bitrix24 has no list for quotes.

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


def may_change(pay_system_id: int) -> Query[bool]:
    """Whether this application may change the pay system. It may not change a built-in one or
    another application's.

    The query asks for the settings of a payment that cannot exist: the server makes that check
    first, and no secret is read. A person without the right to pay orders is refused before it.
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


def count_unpaid_with(pay_system_id: int) -> Query[int | None]:
    """How many unpaid payments have this pay system; None if a row cannot be read, or shows that
    the server ignored the filter.

    https://apidocs.bitrix24.com/api-reference/sale/payment/sale-payment-list.html
    """

    def parse(answer: Answer) -> int | None:
        def matches(row: parsing.Row) -> bool:
            own_id = parsing.identifier(row.get("paySystemId"))
            return row.get("paid") == "N" and own_id == pay_system_id

        rows = parsing.rows(answer.result, matches, key="payments")
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
    """A pay system's settings by their codes, with secrets in plain text.

    `person_type_id` 0 asks for the defaults, which apply to payer types without their own settings.
    Refused with 403 for a built-in pay system or another application's.

    https://apidocs.bitrix24.com/api-reference/pay-system/sale-pay-system-settings-get.html
    """
    return Query(
        "sale.paysystem.settings.get",
        _settings,
        {"ID": pay_system_id, "PERSON_TYPE_ID": person_type_id},
    )


def settings_of_payment(payment_id: int, *, pay_system_id: int) -> Query[Mapping[str, str]]:
    """The settings that one payment would be paid with, with secrets in plain text.

    Needs the right to orders. 403 can also mean a built-in pay system or another application's.

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
        sort=parsing.sort_order(row.get("SORT")),
    )


def _handler(row: parsing.Row) -> Handler:
    return Handler(
        id=parsing.integer(row.get("ID")),
        name=parsing.text(row.get("NAME"), NAME_LENGTH),
        code=parsing.text(row.get("CODE"), NAME_LENGTH),
        sort=parsing.sort_order(row.get("SORT")),
        settings=_returnable(_object(row.get("SETTINGS"))),
    )


def _unreadable(row: parsing.Row) -> UnreadableRow:
    name = parsing.text_if_readable(row.get("NAME"), NAME_LENGTH)
    return UnreadableRow(whole(row.get("ID"), least=1), name)


def _person_type(id_: object, name: object) -> PersonType:
    return PersonType(parsing.integer(id_), parsing.text_if_readable(name, NAME_LENGTH))


def _settings(answer: Answer) -> Mapping[str, Setting]:
    # The newest build names the settings that were never set, too.
    given = _object(answer.result).items()
    return {code: _setting(value) for code, value in given if value is not None}


def _setting(value: object) -> Setting:
    try:
        row = parsing.mapping(value)
        return Setting(
            parsing.text(row.get("TYPE"), NAME_LENGTH), _returnable(_loose(row.get("VALUE")))
        )
    except OutcomeUnknown:
        return Setting("", "", is_readable=False)


def _returnable(value: T, depth: int = 0) -> T:
    """Returns the value if it can be sent back to the server unchanged.

    Raises OutcomeUnknown if it has a number that was too long to read, or too many levels.
    """
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
    """Returns an object; the server writes an empty one as `[]` or null."""
    return {} if value in (None, []) else parsing.mapping(value)


def _loose(value: object) -> str:
    """Returns a setting's value as text; its type depends on the handler."""
    if value is None:
        return ""
    if isinstance(value, str | int | Decimal):
        return str(value)
    raise OutcomeUnknown(f"a value was expected, not {type(value).__name__}")
