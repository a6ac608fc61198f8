"""Serves the control addresses of the OAuth port, for the demo, `make smoke` and the bench."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sandbox.api import other_saves
from sandbox.api.faults import Fault
from sandbox.wire.http import Request, Response, json_response
from sandbox.wire.loose import number_in
from sandbox.world.removed import RemovedOAuth, RemovedRest
from sandbox.world.world import Order, Portal

if TYPE_CHECKING:
    from sandbox.api.state import State

PREFIX = "/_sandbox/"
LONGEST_STEP = 10 * 366 * 24 * 3600  # seconds the clock moves at once; no token lives ten years
# The fields of a fault that a request may set; `on_hit` and `release` are for tests in-process.
_FAULT_FIELDS = ("kind", "method", "when", "times", "seconds", "user_id", "host", "url")
_ORDER_WANTED = "portal is a member_id or a host, order and user are numbers"


def respond(sandbox: State, request: Request) -> Response:
    """Serves `log`, `faults`, `payment`, `advance`, `bucket`, `removal`, `save` and `lock`, all as
    JSON."""
    asked = (request.method, request.path.removeprefix(PREFIX).rstrip("/"))
    match asked:
        case ("GET", "log"):
            return _log(sandbox, request)
        case ("GET", "faults"):
            return json_response({"faults": [_shown(f) for f in sandbox.faults.waiting()]})
        case ("POST", "faults"):
            return _add_fault(sandbox, request)
        case ("DELETE", "faults"):
            sandbox.faults.clear()
            return json_response({"faults": []})
        case ("GET", "payment"):
            return _payment(sandbox, request)
        case ("POST", "advance"):
            return _advance(sandbox, request)
        case ("POST", "bucket"):
            return _bucket(sandbox, request)
        case ("POST", "removal"):
            return _removal(sandbox, request)
        case ("POST", "save"):
            return _save(sandbox, request)
        case ("POST", "lock"):
            return _lock(sandbox, request)
    return _refused("unknown control address", 404)


def _log(sandbox: State, request: Request) -> Response:
    since = number_in(str(request.query.get("since", "0")))
    if since is None:
        return _refused("since is the number of calls already seen")
    calls = sandbox.log[since:]
    return json_response({"calls": [asdict(call) for call in calls], "next": since + len(calls)})


def _add_fault(sandbox: State, request: Request) -> Response:
    if not set(request.form) <= set(_FAULT_FIELDS):
        return _refused(f"a fault has {', '.join(_FAULT_FIELDS)}")
    try:
        fault = Fault(**{name: _read(name, value) for name, value in request.form.items()})
    except (OverflowError, TypeError, ValueError) as error:
        return _refused(str(error))
    sandbox.faults.add(fault)
    return json_response(_shown(fault))


def _read(name: str, value: Any) -> Any:
    """Converts a form's text to the field's type."""
    if value is None:
        return None
    if name in ("times", "user_id"):
        return int(value)
    return float(value) if name == "seconds" else str(value)


def _payment(sandbox: State, request: Request) -> Response:
    with sandbox.world.lock:
        portal = _portal(sandbox, str(request.query.get("portal", "")))
        payment_id = number_in(str(request.query.get("id", "")))
        if portal is None or payment_id is None:
            return _refused("portal is a member_id or a host, id a payment's number")
        payment = portal.payments.get(payment_id)
        if payment is None:
            return _refused("no such payment", 404)
        return json_response(
            {
                "id": payment.id,
                "account_number": payment.account_number,
                "order_id": payment.order_id,
                "sum": str(payment.sum),
                "currency": payment.currency,
                "pay_system_id": payment.pay_system_id,
                "paid": payment.paid,
                "date_paid": payment.date_paid.isoformat() if payment.date_paid else None,
                "emp_paid_id": payment.emp_paid_id,
                "times_paid": payment.times_paid,
            }
        )


def _advance(sandbox: State, request: Request) -> Response:
    try:
        seconds = float(str(request.params.get("seconds", "")))
    except ValueError:
        return _refused("seconds is a number")
    if not abs(seconds) <= LONGEST_STEP:
        return _refused(f"seconds is a number up to {LONGEST_STEP}")
    with sandbox.world.lock:
        sandbox.world.advance(seconds)
        return json_response({"now": sandbox.world.now()})


def _bucket(sandbox: State, request: Request) -> Response:
    """Sets how many requests every portal accepts at once."""
    size = number_in(str(request.params.get("size", "")))
    if size is None:
        return _refused("size is a number of requests")
    with sandbox.world.lock:
        for portal in sandbox.world.portals.values():
            portal.bucket_size = size
    return json_response({"size": size})


def _removal(sandbox: State, request: Request) -> Response:
    """Sets the replies of a portal and of the OAuth server after an application is removed."""
    try:
        rest = RemovedRest(str(request.params.get("rest", RemovedRest.APPLICATION_NOT_FOUND)))
        oauth = RemovedOAuth(str(request.params.get("oauth", RemovedOAuth.NOT_INSTALLED)))
    except ValueError as error:
        return _refused(str(error))
    with sandbox.world.lock:
        portal = _portal(sandbox, str(request.params.get("portal", "")))
        if portal is None:
            return _refused("portal is a member_id or a host")
        portal.removed_rest, portal.removed_oauth = rest, oauth
    return json_response({"rest": rest, "oauth": oauth})


def _save(sandbox: State, request: Request) -> Response:
    """Begins or ends another person's save of an order; `do` next: it begins, and ends right after
    the next save by REST. With `rows` it writes the payments' whole rows."""
    with sandbox.world.lock:
        portal, order = _order(sandbox, request)
        user_id, do = str(request.params.get("user", "")), request.params.get("do")
        if portal is None or order is None or not user_id.isdigit():
            return _refused(_ORDER_WANTED)
        begun = [save for save in portal.other_saves if save.order_id == order.id]
        if do in ("begin", "next"):
            other_saves.begin(
                portal,
                order.id,
                user_id=int(user_id),
                whole_rows=bool(request.params.get("rows")),
                ends_after_next=do == "next",
            )
        elif do == "end" and begun:
            other_saves.end(sandbox.world, portal, begun[0])
        else:
            return _refused("do is begin, next, or end of a save that was begun")
        return json_response({"saves": len(portal.other_saves)})


def _lock(sandbox: State, request: Request) -> Response:
    """Locks an order by a person, as an open page of the shop's administration does; without
    `user` it is free again."""
    with sandbox.world.lock:
        portal, order = _order(sandbox, request)
        user_id = str(request.params.get("user", "0"))
        if portal is None or order is None or not user_id.isdigit():
            return _refused(_ORDER_WANTED)
        order.locked_by = int(user_id) or None
        return json_response({"locked_by": order.locked_by})


def _order(sandbox: State, request: Request) -> tuple[Portal | None, Order | None]:
    portal = _portal(sandbox, str(request.params.get("portal", "")))
    number = str(request.params.get("order", ""))
    if portal is None or not number.isdigit():
        return portal, None
    return portal, portal.orders.get(int(number))


def _portal(sandbox: State, name: str) -> Portal | None:
    for portal in sandbox.world.portals.values():
        if name in (portal.member_id, urlsplit(portal.url).netloc):
            return portal
    return None


def _shown(fault: Fault) -> dict[str, Any]:
    return {name: getattr(fault, name) for name in (*_FAULT_FIELDS, "hits")}


def _refused(reason: str, status: int = 400) -> Response:
    return json_response({"error": reason}, status)
