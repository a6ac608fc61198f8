"""`sale.paysystem.settings.get`, `.update` and `.payment.get`, with the merchants' secrets.

https://apidocs.bitrix24.com/api-reference/pay-system/sale-pay-system-settings-payment-get.html ;
checks and error codes follow `sale/lib/paysystem/restservice.php`.
"""

from __future__ import annotations

from typing import Any

from sandbox.api.methods.paying import check_order_right, find_payment
from sandbox.api.methods.paysystem_access import (
    check_access,
    check_configure,
    handler_of,
    incoming,
)
from sandbox.api.methods.refusals import check_failure
from sandbox.api.registry import Call, RestError, method
from sandbox.wire.loose import is_empty, is_given, mapping, to_int, to_text
from sandbox.world.world import Order, Payment, PaySystem


@method("sale.paysystem.settings.get", "pay_system")
def get_settings(call: Call) -> dict[str, dict[str, Any] | None]:
    """Returns every setting of the handler by its code, null where it was never set."""
    check_configure(call)
    params = incoming(call.params)
    for name in ("PERSON_TYPE_ID", "ID"):
        if not is_given(params, name):
            raise check_failure(f"Parameter {name} is not defined")
    system = _found(call, params["ID"])
    check_access(call, system)
    handler = handler_of(call.portal, system.action_file)
    described = {} if handler is None else mapping(handler.settings.get("CODES"))
    stored = settings_for(system, to_int(params["PERSON_TYPE_ID"]))
    return dict.fromkeys(described) | {
        code: {"TYPE": setting.get("TYPE"), "VALUE": setting.get("VALUE")}
        for code, setting in stored.items()
    }


@method("sale.paysystem.settings.update", "pay_system")
def update_settings(call: Call) -> bool:
    check_configure(call)
    params = incoming(call.params)
    if not is_given(params, "ID"):
        raise check_failure("Parameter ID is not defined")
    system = _found(call, params["ID"])
    settings = mapping(params.get("SETTINGS"))
    if is_empty(settings):
        # The server's own code.
        raise RestError("ERROR_HANDLER_NOT_FOUND", "Parameter SETTINGS is not defined or empty")
    check_access(call, system)
    payer = to_int(params.get("PERSON_TYPE_ID"))
    kept = system.settings_of_payers.setdefault(payer, {}) if payer else system.settings
    for code, value in settings.items():
        if not isinstance(value, dict):
            raise check_failure(f"The value of SETTINGS[{code}] is not valid")
        kept[code] = {"TYPE": value.get("TYPE"), "VALUE": value.get("VALUE")}
    return True


@method("sale.paysystem.settings.payment.get", "pay_system")
def get_payment_settings(call: Call) -> dict[str, Any]:
    check_order_right(call)
    params = incoming(call.params)
    if is_empty(params.get("PAY_SYSTEM_ID")):
        raise check_failure("Empty field PAY_SYSTEM_ID!")
    if is_empty(params.get("PAYMENT_ID")):
        raise check_failure("Empty field PAYMENT_ID")
    system = _found(call, params["PAY_SYSTEM_ID"])
    check_access(call, system)
    payment = find_payment(call, params)
    order = call.portal.orders.get(payment.order_id)
    if order is None:
        raise RestError("ERROR_INTERNAL_ORDER_NOT_FOUND", f"Order #{payment.order_id} not found")
    settings = settings_for(system, order.person_type_id)
    return {code: setting_value(setting, payment, order) for code, setting in settings.items()}


def settings_for(system: PaySystem, person_type_id: int) -> dict[str, dict[str, Any]]:
    """Returns the settings of all payer types, overridden by those of this one."""
    return {**system.settings, **system.settings_of_payers.get(person_type_id, {})}


def _found(call: Call, pay_system_id: object) -> PaySystem:
    system = call.portal.pay_systems.get(to_int(pay_system_id))
    if system is None:
        raise check_failure("Pay system not found")
    return system


def setting_value(setting: dict[str, Any], payment: Payment, order: Order) -> Any:
    """Returns a setting's value: its own, or that of a field of the payment or the order."""
    known = {
        ("PAYMENT", "ID"): payment.id,
        ("PAYMENT", "ACCOUNT_NUMBER"): payment.account_number,
        ("PAYMENT", "SUM"): payment.sum,
        ("PAYMENT", "CURRENCY"): payment.currency,
        ("ORDER", "ID"): order.id,
        ("ORDER", "ACCOUNT_NUMBER"): order.account_number,
        ("ORDER", "USER_ID"): order.user_id,
    }
    source, name = to_text(setting.get("TYPE")), to_text(setting.get("VALUE"))
    return known.get((source, name), setting.get("VALUE"))
