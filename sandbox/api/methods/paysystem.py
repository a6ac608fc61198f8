"""`sale.paysystem.add`, `.update` and `.delete`.

https://apidocs.bitrix24.com/api-reference/pay-system/ ; checks and their order are those of
`sale/lib/paysystem/restservice.php`.
"""

from __future__ import annotations

from typing import Any

from sandbox.api.methods.paysystem_access import (
    check_access,
    check_configure,
    check_handler,
    check_person_type,
    handler_of,
    incoming,
)
from sandbox.api.methods.refusals import check_failure
from sandbox.api.registry import Call, RestError, method
from sandbox.wire.loose import is_empty, is_given, mapping, to_int, to_text
from sandbox.world.world import PaySystem

_BUILT_IN = frozenset({"cash", "bill", "cashondelivery", "orderdocument", "inner", "paypal"})


@method("sale.paysystem.add", "pay_system")
def add_pay_system(call: Call) -> int:
    """Adds a pay system; without ENTITY_REGISTRY_TYPE one of old invoices, not of orders."""
    check_configure(call)
    params = incoming(call.params)
    registry = params.get("ENTITY_REGISTRY_TYPE") or "CRM_INVOICE"
    if is_empty(params.get("BX_REST_HANDLER")):
        raise check_failure("Parameter BX_REST_HANDLER is not defined")
    handler = handler_of(call.portal, params["BX_REST_HANDLER"])
    if handler is None:
        raise RestError("ERROR_HANDLER_NOT_FOUND", "Handler not found")
    check_handler(call, handler)
    if params.get("NAME") in (None, ""):
        raise check_failure("Parameter NAME is not defined")
    check_person_type(to_int(params.get("PERSON_TYPE_ID")), registry)
    system = PaySystem(
        id=max(call.portal.pay_systems, default=0) + 1,
        name=to_text(params["NAME"]),
        action_file=handler.code,
        person_type_id=to_int(params["PERSON_TYPE_ID"]),
        active=params.get("ACTIVE") == "Y",
        registry=to_text(registry),
        description=to_text(params.get("DESCRIPTION")),
        xml_id=to_text(params.get("XML_ID")),
        new_window=params.get("NEW_WINDOW") == "Y",
        settings={code: mapping(value) for code, value in mapping(params.get("SETTINGS")).items()},
    )
    call.portal.pay_systems[system.id] = system
    return system.id


@method("sale.paysystem.update", "pay_system")
def update_pay_system(call: Call) -> bool:
    check_configure(call)
    params = incoming(call.params)
    fields = mapping(params.get("FIELDS"))
    code = fields.get("BX_REST_HANDLER")
    if call.portal.older_build and (is_empty(code) or not is_given(fields, "PERSON_TYPE_ID")):
        missing = "BX_REST_HANDLER" if is_empty(code) else "PERSON_TYPE_ID"
        raise check_failure(f"Parameter {missing} is not defined")
    if code and handler_of(call.portal, code) is None and to_text(code) not in _BUILT_IN:
        raise RestError("ERROR_HANDLER_NOT_FOUND", "Handler not found")
    system = _existing(call, params)
    check_access(call, system)
    if is_given(fields, "PERSON_TYPE_ID"):
        check_person_type(to_int(fields["PERSON_TYPE_ID"]), system.registry)
    _change(system, fields, older=call.portal.older_build)
    return True


@method("sale.paysystem.delete", "pay_system")
def delete_pay_system(call: Call) -> bool:
    check_configure(call)
    system = _existing(call, incoming(call.params))
    check_access(call, system)
    del call.portal.pay_systems[system.id]
    return True


def _existing(call: Call, params: dict[str, Any]) -> PaySystem:
    pay_system_id = to_int(params.get("ID"))
    if pay_system_id == 0:
        raise check_failure("Parameter ID is not defined")
    system = call.portal.pay_systems.get(pay_system_id)
    if system is None:
        raise RestError("ERROR_PAY_SYSTEM_NOT_FOUND", "Pay system not found")
    return system


def _change(system: PaySystem, fields: dict[str, Any], *, older: bool) -> None:
    given = {name: value for name, value in fields.items() if value is not None}
    system.name = to_text(given.get("NAME", system.name))
    system.person_type_id = to_int(given.get("PERSON_TYPE_ID", system.person_type_id))
    system.action_file = to_text(given.get("BX_REST_HANDLER", system.action_file))
    if "NEW_WINDOW" in given:
        system.new_window = given["NEW_WINDOW"] == "Y"
    if "ACTIVE" in given:
        system.active = given["ACTIVE"] == "Y"
    if not older:
        system.description = to_text(given.get("DESCRIPTION", system.description))
        system.xml_id = to_text(given.get("XML_ID", system.xml_id))
