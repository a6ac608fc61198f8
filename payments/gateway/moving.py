"""Which methods can change whether something is paid: one list, for whoever must not call them."""

from __future__ import annotations

import re

# The server takes a name in any case, with an ending and with a slash behind it.
_ENDING = re.compile(r"(\.(json|xml))?/*$")
_NAME = re.compile(r"[a-z][a-z0-9_.]*")

_READS = ("get", "list", "getfields", "fields")
# Of these, all but what only reads: an order and a payment can be saved together with PAID, a
# legacy invoice is paid by its status, and a document of a workflow can do either.
_MOVING = (
    "sale.paysystem.pay.",
    "crm.item.payment.",
    "sale.payment.",
    "sale.order.",
    "crm.invoice.",
    "bizproc.workflow.",
)
# They carry other methods inside.
_CARRIERS = ("batch", "event.test")


def spelled(method: str) -> str | None:
    """The method as the server understands it; None for what is no method's name."""
    name = _ENDING.sub("", method.strip().lower())
    return name if _NAME.fullmatch(name) else None


def may_move_money(method: str) -> bool:
    """Whether this method, by the name that `spelled` gives, can make something paid or unpaid."""
    if method in _CARRIERS:
        return True
    last = method.rpartition(".")[2]
    return method.startswith(_MOVING) and last not in _READS
