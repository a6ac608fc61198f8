"""Knows methods that the server has and the sandbox does not play, by scope.

The server checks a token's scope after it has found the method: one that exists is refused with
401 insufficient_scope. With the scope, the sandbox says 501, which no server does.
A selection of https://apidocs.bitrix24.com/api-reference/ : each scope has a few.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

from sandbox.api.registry import Call, Method, RestError

_NOT_PLAYED = RestError("NOT_PLAYED", "The sandbox does not play this method", 501)


def _of(things: str, verbs: str = "add delete fields get list update") -> Iterator[str]:
    """Yields `a.add`, `a.get` and so on for each thing named in the text."""
    yield from (f"{thing}.{verb}" for thing in things.split() for verb in verbs.split())


_NAMES: dict[str | None, tuple[str, ...]] = {
    None: ("access.name", *_of("event.offline", "clear error get list")),
    "crm": (
        *_of("crm.deal crm.lead crm.contact crm.company crm.quote crm.activity crm.category"),
        *_of("crm.product crm.currency crm.status crm.requisite crm.type"),
        *_of("crm.item", "add delete fields update"),
        *_of("crm.timeline.comment", "delete fields get update"),
        *_of("crm.orderentity", "add deletebyfilter"),
        "crm.duplicate.findbycomm",
        "crm.enum.ownertype",
        "crm.persontype.fields",
    ),
    "sale": (
        *_of("sale.order sale.persontype", "add delete update"),
        *_of("sale.basketitem sale.shipment sale.property", "add delete get list update"),
        *_of("sale.paymentitembasket", "add delete get list update"),
        *_of("sale.status", "add delete get list update"),
    ),
    "pay_system": ("sale.paysystem.settings.invoice.get",),
    "placement": tuple(_of("userfieldtype", "add delete list update")),
    "user_brief": ("user.counters", "user.fields", "user.online", "user.search"),
    "user": ("user.add", "user.update"),
    "bizproc": (
        *_of("bizproc.activity bizproc.robot", "add delete list update"),
        "bizproc.event.send",
        "bizproc.workflow.start",
    ),
    "calendar": tuple(_of("calendar.event", "add delete get update")),
    "cashbox": tuple(_of("sale.cashbox", "add delete list update")),
    "catalog": tuple(_of("catalog.product catalog.price", "add delete get list update")),
    "delivery": tuple(_of("sale.delivery.extra.service", "add delete get update")),
    "department": tuple(_of("department", "add fields get update")),
    "disk": ("disk.file.get", "disk.folder.get", "disk.storage.getlist"),
    "documentgenerator": tuple(_of("documentgenerator.document", "add delete get list")),
    "entity": tuple(_of("entity entity.item", "add delete get update")),
    "im": ("im.chat.add", "im.message.add", "im.notify.personal.add", "im.notify.system.add"),
    "imbot": ("imbot.register", "imbot.unregister"),
    "lists": tuple(_of("lists lists.element", "add delete get update")),
    "log": ("log.blogpost.add", "log.blogpost.get"),
    "messageservice": tuple(_of("messageservice.sender", "add delete list update")),
    "sonet_group": tuple(_of("sonet_group", "create get update")),
    "task": tuple(_of("tasks.task", "add complete delete get list update")),
    "telephony": ("telephony.externalcall.finish", "telephony.externalcall.register"),
    "timeman": ("timeman.close", "timeman.open", "timeman.status"),
}


def _refuse(_: Call) -> NoReturn:
    raise _NOT_PLAYED


SCOPES = tuple(scope for scope in _NAMES if scope is not None)
UNPLAYED: dict[str, Method] = {
    name: Method(name, scope, _refuse) for scope, names in _NAMES.items() for name in names
}
