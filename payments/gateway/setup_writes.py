"""Changes pay systems, handlers and settings. Each call is sent once, as the acting administrator.

All functions raise NeverSent, Refused, or OutcomeUnknown if the call may have been carried out: the
caller then reads the lists to find out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from b24app.rest.client import Client
from payments.gateway import parsing
from payments.gateway.setup_types import Registry, Setting


def add_handler(
    client: Client, *, name: str, code: str, sort: int, settings: Mapping[str, Any]
) -> int:
    """Creates a handler and returns its id. `settings` has CODES, one Mode with its ACTION_URI,
    CLIENT_TYPE and CURRENCY.

    https://apidocs.bitrix24.com/api-reference/pay-system/sale-pay-system-handler-add.html
    """
    answer = client.write(
        "sale.paysystem.handler.add",
        {"NAME": name, "CODE": code, "SORT": sort, "SETTINGS": settings},
    )
    return parsing.integer(answer.result)


def update_handler(client: Client, handler_id: int, fields: Mapping[str, Any]) -> None:
    """Changes a handler. `fields` are NAME, CODE, SORT and SETTINGS; SETTINGS replaces all old
    settings.

    https://apidocs.bitrix24.com/api-reference/pay-system/sale-pay-system-handler-update.html
    """
    parsing.expect_true(
        client.write("sale.paysystem.handler.update", {"ID": handler_id, "FIELDS": fields})
    )


def delete_handler(client: Client, handler_id: int) -> None:
    """Deletes a handler. Refused as ERROR_PAY_SYSTEM_DELETE while a pay system uses it.

    https://apidocs.bitrix24.com/api-reference/pay-system/sale-pay-system-handler-delete.html
    """
    parsing.expect_true(client.write("sale.paysystem.handler.delete", {"ID": handler_id}))


def add_pay_system(
    client: Client,
    *,
    name: str,
    handler_code: str,
    person_type_id: int,
    registry: Registry,
    active: bool,
    description: str = "",
    new_window: bool = False,
    xml_id: str = "",
    settings: Mapping[str, Setting] | None = None,
) -> int:
    """Creates a pay system and returns its id.

    The registry is always sent: with the method's default, deals and new invoices would not show
    the pay system.

    https://apidocs.bitrix24.com/api-reference/pay-system/sale-pay-system-add.html
    """
    answer = client.write(
        "sale.paysystem.add",
        {
            "NAME": name,
            "DESCRIPTION": description,
            "BX_REST_HANDLER": handler_code,
            "PERSON_TYPE_ID": person_type_id,
            "ENTITY_REGISTRY_TYPE": registry.value,
            "ACTIVE": _flag(active),
            "NEW_WINDOW": _flag(new_window),
            "XML_ID": xml_id,
            "SETTINGS": _settings(settings or {}),
        },
    )
    return parsing.integer(answer.result)


def update_pay_system(client: Client, pay_system_id: int, fields: Mapping[str, Any]) -> None:
    """Changes a pay system. `fields` has the server's names.

    An older build demands BX_REST_HANDLER and PERSON_TYPE_ID in every change, so callers always
    send both.

    https://apidocs.bitrix24.com/api-reference/pay-system/sale-pay-system-update.html
    """
    parsing.expect_true(
        client.write("sale.paysystem.update", {"ID": pay_system_id, "FIELDS": fields})
    )


def delete_pay_system(client: Client, pay_system_id: int) -> None:
    """https://apidocs.bitrix24.com/api-reference/pay-system/sale-pay-system-delete.html"""
    parsing.expect_true(client.write("sale.paysystem.delete", {"ID": pay_system_id}))


def update_settings(
    client: Client, pay_system_id: int, *, person_type_id: int, settings: Mapping[str, Setting]
) -> None:
    """Changes these settings of one payer type (0: the defaults); other settings stay.

    Bitrix24 refuses an empty mapping with the code ERROR_HANDLER_NOT_FOUND.

    https://apidocs.bitrix24.com/api-reference/pay-system/sale-pay-system-settings-update.html
    """
    parsing.expect_true(
        client.write(
            "sale.paysystem.settings.update",
            {
                "ID": pay_system_id,
                "PERSON_TYPE_ID": person_type_id,
                "SETTINGS": _settings(settings),
            },
        )
    )


def _settings(settings: Mapping[str, Setting]) -> dict[str, dict[str, str]]:
    return {
        code: {"TYPE": setting.type, "VALUE": setting.value} for code, setting in settings.items()
    }


def _flag(value: bool) -> str:
    return "Y" if value else "N"
