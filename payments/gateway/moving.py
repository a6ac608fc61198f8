"""Which methods can change whether something is paid: one list, for whoever must not call them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# The server takes a name in any case, with an ending and with a slash behind it.
_ENDING = re.compile(r"(\.(json|xml))?/*$")
_NAME = re.compile(r"[a-z][a-z0-9_.]*")

_READS = ("get", "list", "getfields", "fields", "getexternallink")
# Of these, all but what only reads: an order and a payment can be saved together with PAID, and a
# legacy invoice is paid by its status.
_MOVING = (
    "sale.paysystem.pay.",
    "crm.item.payment.",
    "sale.payment.",
    "sale.order.",
    "crm.invoice.",
)
_HARMLESS = ("crm.invoice.userfield.",)
# These let a workflow or a robot go on, which can do either.
_RUNNING = (
    "bizproc.workflow.start",
    "bizproc.event.send",
    "bizproc.task.complete",
    "crm.automation.trigger",
    "crm.automation.trigger.execute",
)
# They carry other methods inside.
_CARRIERS = ("batch", "event.test")
# Of a new invoice these can set the stage, one of which is that it is paid.
_SAVING_ITEMS = ("crm.item.add", "crm.item.update", "crm.item.import", "crm.item.batchimport")
_SMART_INVOICE = 31
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")


def spelled(method: str) -> str | None:
    """The method as the server understands it; None for what is no method's name."""
    name = _ENDING.sub("", method.strip().lower())
    return name if _NAME.fullmatch(name) else None


def may_move_money(method: str, parameters: Mapping[str, Any]) -> bool:
    """Whether this method, by the name that `spelled` gives, can make something paid or unpaid."""
    if method in _CARRIERS or method in _RUNNING:
        return True
    if method in _SAVING_ITEMS:
        return _may_be_invoice(parameters) and _has_stage(parameters)
    last = method.rpartition(".")[2]
    return method.startswith(_MOVING) and not method.startswith(_HARMLESS) and last not in _READS


def _may_be_invoice(parameters: Mapping[str, Any]) -> bool:
    """Also where the server could read another number than we do, and where none is named."""
    kinds = [value for name, value in parameters.items() if name.lower() == "entitytypeid"]
    plain = [str(kind) for kind in kinds if _NUMBER.fullmatch(str(kind))]
    return not kinds or len(plain) < len(kinds) or str(_SMART_INVOICE) in plain


def _has_stage(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(
            "stage" in str(name).lower() or _has_stage(inner) for name, inner in value.items()
        )
    return False
