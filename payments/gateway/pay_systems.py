"""Reads the portal's pay systems and REST handlers, as far as paying needs them."""

from __future__ import annotations

from b24app.errors import OutcomeUnknown
from b24app.rest.client import Answer, Query
from payments.gateway import parsing, records
from payments.gateway.types import NAME_LENGTH, PaySystem, Rows

_FIELDS = [
    "ID",
    "NAME",
    "ACTIVE",
    "ENTITY_REGISTRY_TYPE",
    "PERSON_TYPE_ID",
    "ACTION_FILE",
    "IS_CASH",
    "SORT",
]


def pay_systems() -> Query[Rows[PaySystem]]:
    """All pay systems of the portal; needs the right to change CRM settings.

    The newest build ignores the operators of its filter, so the query has no filter.
    https://apidocs.bitrix24.com/api-reference/pay-system/sale-pay-system-list.html
    """
    return Query(
        "sale.paysystem.list",
        lambda answer: records.pay_systems(answer.result),
        {"SELECT": _FIELDS, "ORDER": {"SORT": "ASC"}},
        administrators_only=True,
    )


def rest_handlers() -> Query[frozenset[str]]:
    """The codes of the REST handlers of all apps: only their pay systems can be paid by a call.

    Raises OutcomeUnknown if one of them cannot be read: its pay systems would look built in.
    https://apidocs.bitrix24.com/api-reference/pay-system/sale-pay-system-handler-list.html
    """

    def parse(answer: Answer) -> frozenset[str]:
        found = parsing.rows(answer.result, lambda row: parsing.text(row.get("CODE"), NAME_LENGTH))
        if found.unreadable:
            raise OutcomeUnknown("a handler without a readable code")
        return frozenset(found.read)

    return Query("sale.paysystem.handler.list", parse)
