"""`sale.paysystem.handler.*`: an application's own payment handlers.

https://apidocs.bitrix24.com/api-reference/pay-system/sale-pay-system-handler-add.html ; checks and
texts follow `sale/lib/paysystem/restservice.php`. Only keys of the first level are converted to
upper case: inside SETTINGS the case matters.
"""

from __future__ import annotations

from typing import Any

from sandbox.api.methods.paysystem_access import (
    check_configure,
    check_handler,
    handler_of,
    incoming,
)
from sandbox.api.methods.refusals import check_failure
from sandbox.api.registry import Call, RestError, method
from sandbox.wire.loose import is_empty, is_given, mapping, to_int, to_text
from sandbox.world.world import Handler

_MODES = ("FORM_DATA", "CHECKOUT_DATA", "IFRAME_DATA")
# The part that the server reports for a missing address; for one of them it is the wrong one.
_REPORTED = {"FORM_DATA": "FORM_DATA", "CHECKOUT_DATA": "IFRAME_DATA", "IFRAME_DATA": "IFRAME_DATA"}
_CLIENT_TYPES = ("b2c", "b2b")


@method("sale.paysystem.handler.add", "pay_system")
def add_handler(call: Call) -> int:
    check_configure(call)
    params = incoming(call.params, deep=False)
    for name in ("NAME", "CODE", "SETTINGS"):
        if not is_given(params, name):
            raise check_failure(f"Parameter {name} is not defined")
    settings = mapping(params["SETTINGS"])
    _check_settings(settings)
    _check_code(call, params["CODE"])
    handler = Handler(
        id=max(call.portal.handlers, default=0) + 1,
        code=to_text(params["CODE"]),
        name=to_text(params["NAME"]),
        app_id=call.client_id,
        sort=to_int(params.get("SORT", 100)),
        settings=settings,
        client_type=settings.get("CLIENT_TYPE", "b2c"),
    )
    call.portal.handlers[handler.id] = handler
    return handler.id


@method("sale.paysystem.handler.update", "pay_system")
def update_handler(call: Call) -> bool:
    check_configure(call)
    params = incoming(call.params, deep=False)
    fields = params.get("FIELDS")
    if not isinstance(fields, dict | list):
        raise check_failure("Parameter FIELDS is not defined")
    _check_client_type(mapping(params.get("SETTINGS")))
    handler = _existing(call, params)
    given = mapping(fields)
    if is_given(given, "CODE"):
        _check_code(call, given["CODE"], besides=handler)
    handler.code = to_text(given.get("CODE", handler.code))
    handler.name = to_text(given.get("NAME", handler.name))
    handler.sort = to_int(given.get("SORT", handler.sort))
    if "SETTINGS" in given:
        handler.settings = mapping(given["SETTINGS"])
    return True


@method("sale.paysystem.handler.delete", "pay_system")
def delete_handler(call: Call) -> bool:
    check_configure(call)
    handler = _existing(call, incoming(call.params, deep=False))
    if any(system.action_file == handler.code for system in call.portal.pay_systems.values()):
        raise RestError(
            "ERROR_PAY_SYSTEM_DELETE", f"Pay system with handler {handler.code.upper()} exists!"
        )
    del call.portal.handlers[handler.id]
    return True


@method("sale.paysystem.handler.list", "pay_system")
def list_handlers(call: Call) -> list[dict[str, Any]]:
    """Lists the handlers of all applications, as in the database: numbers are strings."""
    check_configure(call)
    return [
        {
            "ID": str(handler.id),
            "NAME": handler.name,
            "CODE": handler.code,
            "SORT": str(handler.sort),
            "SETTINGS": handler.settings,
        }
        for handler in call.portal.handlers.values()
    ]


def _existing(call: Call, params: dict[str, Any]) -> Handler:
    handler = call.portal.handlers.get(to_int(params.get("ID")))
    if handler is None:
        raise RestError("ERROR_HANDLER_NOT_FOUND", "Handler not found")
    check_handler(call, handler)
    return handler


def _check_settings(settings: dict[str, Any]) -> None:
    if not is_given(settings, "CODES"):
        raise check_failure("Parameter SETTINGS[CODES] is not defined")
    if all(is_empty(settings.get(mode)) for mode in _MODES):
        wanted = " or ".join(f"SETTINGS[{mode}]" for mode in _MODES)
        raise check_failure(f"Parameter {wanted} is not defined")
    for mode in _MODES:
        if not is_empty(settings.get(mode)) and is_empty(mapping(settings[mode]).get("ACTION_URI")):
            raise check_failure(f"Parameter SETTINGS[{_REPORTED[mode]}][ACTION_URI] is not defined")
    _check_client_type(settings)


def _check_client_type(settings: dict[str, Any]) -> None:
    if is_given(settings, "CLIENT_TYPE") and settings["CLIENT_TYPE"] not in _CLIENT_TYPES:
        raise check_failure("Parameter value SETTINGS[CLIENT_TYPE] is invalid")


def _check_code(call: Call, code: object, *, besides: Handler | None = None) -> None:
    """Checks that the code is unique on the whole portal."""
    taken = handler_of(call.portal, to_text(code))
    if taken is not None and taken is not besides:
        raise RestError("ERROR_HANDLER_ALREADY_EXIST", "Handler already exists!")
