"""Reads parameters and checks rights for the methods of pay systems and handlers."""

from __future__ import annotations

from typing import Any

from sandbox.api.methods.refusals import access_denied
from sandbox.api.registry import Call, RestError
from sandbox.wire.loose import upper_keys
from sandbox.world.world import Handler, PaySystem, Portal

# Old names that the server accepts, at the first level and inside FIELDS.
_ALIASES = {"LOGOTYPE": "LOGOTIP", "TARIFF": "TARIF"}

# Kinds of payers: 1 and 2 of orders, 3 and 4 of the old invoices.
PERSON_TYPES = {1: "ORDER", 2: "ORDER", 3: "CRM_INVOICE", 4: "CRM_INVOICE"}


def incoming(params: dict[str, Any], *, deep: bool = True) -> dict[str, Any]:
    """Returns the parameters with keys in upper case; for a handler only the first level."""
    upper: dict[str, Any] = upper_keys(params, deep=deep)
    for target in (upper, upper.get("FIELDS")):
        if isinstance(target, dict):
            for name, alias in _ALIASES.items():
                if name in target:
                    target[alias] = target.pop(name)
    return upper


def check_configure(call: Call) -> None:
    """Checks the right to modify CRM settings."""
    if not call.user.may_configure_crm:
        raise access_denied()


def handler_of(portal: Portal, code: object) -> Handler | None:
    return next((handler for handler in portal.handlers.values() if handler.code == code), None)


def check_handler(call: Call, handler: Handler) -> None:
    """Only the application that registered a handler may change it. A webhook may change every
    handler, and every application one that a webhook registered."""
    if call.client_id and handler.app_id and handler.app_id != call.client_id:
        raise access_denied()


def check_access(call: Call, system: PaySystem) -> None:
    """Refuses built-in pay systems and those of another application's handler."""
    handler = handler_of(call.portal, system.action_file)
    if handler is None:
        raise access_denied()
    check_handler(call, handler)


def check_person_type(person_type_id: int, registry: object) -> None:
    if PERSON_TYPES.get(person_type_id) != registry:
        raise RestError("ERROR_PERSON_TYPE_NOT_FOUND", "Incorrect person type id!")
