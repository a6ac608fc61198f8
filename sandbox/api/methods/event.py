"""`event.bind`, `.unbind`, `.get`, `.test` and `events`.

https://apidocs.bitrix24.com/api-reference/events/ ; checks follow `rest/lib/api/event.php`. The
sandbox has no queue for offline events: it lists such a binding and never delivers to it.
"""

from __future__ import annotations

from typing import Any

from sandbox.api.methods.placement import check_handler_url
from sandbox.api.methods.refusals import access_denied, check_application, empty_argument
from sandbox.api.methods.scopes import is_chosen
from sandbox.api.registry import Call, RestError, method
from sandbox.wire.loose import mapping, to_int, to_text, upper_keys
from sandbox.world import events
from sandbox.world.event_names import BY_SCOPE, OFFLINE_EVENT
from sandbox.world.world import Installation

_ONLINE, _OFFLINE = "online", "offline"


@method("events")
def list_events(call: Call) -> list[str]:
    """Lists the events of the token's scopes, of the one in SCOPE, or with FULL of all scopes."""
    check_application(call)
    return [name for scope, names in BY_SCOPE.items() if is_chosen(call, scope) for name in names]


@method("event.bind")
def bind(call: Call) -> bool:
    """Binds an event; only an administrator may bind for all people or for another person."""
    installation = _installation(call)
    params = upper_keys(call.params, deep=False)
    auth_type = to_int(params.get("AUTH_TYPE"))
    if not call.user.is_admin:
        if auth_type not in (0, call.user.id):
            raise access_denied("Event binding with AUTH_TYPE requires administrator access rights")
        auth_type = call.user.id
    event = to_text(params.get("EVENT")).upper()
    if event == "":
        raise empty_argument("EVENT")
    handler = to_text(params.get("HANDLER"))
    if _type(params) == _OFFLINE:
        if not call.user.is_admin:
            raise access_denied("Offline events binding requires administrator access rights")
        handler, auth_type = "", 0
    elif handler == "":
        raise empty_argument("HANDLER")
    else:
        check_handler_url(handler)
    if event not in _available(call):
        raise RestError("ERROR_EVENT_NOT_FOUND", "Event not found")
    if handler == "" and event == OFFLINE_EVENT:
        raise RestError("ERROR_ARGUMENT", "Offline event cannot be registered for this event.")
    key = (event, handler, auth_type)
    if key in [(row["event"], row["handler"], row["auth_type"]) for row in installation.events]:
        raise RestError("ERROR_CORE", "Unable to set event handler: Handler already binded")
    installation.events.append(
        {"id": call.world.next_id(), "event": event, "handler": handler, "auth_type": auth_type}
    )
    return True


@method("event.unbind")
def unbind(call: Call) -> dict[str, int]:
    installation = _installation(call)
    params = upper_keys(call.params, deep=False)
    event = to_text(params.get("EVENT")).upper()
    if event == "":
        raise empty_argument("EVENT")
    handler = "" if _type(params) == _OFFLINE else to_text(params.get("HANDLER"))
    if handler == "" and _type(params) == _ONLINE:
        raise empty_argument("HANDLER")
    sent = params.get("AUTH_TYPE")
    owner = None if sent is None else to_int(sent)
    if not call.user.is_admin:
        # The server compares with `!==`: a form's text is not the number, even if it is their own.
        if sent is not None and (isinstance(sent, bool) or sent != call.user.id):
            raise access_denied(
                "Event unbinding with AUTH_TYPE requires administrator access rights"
            )
        owner = call.user.id
    kept = [
        row
        for row in installation.events
        if (row["event"], row["handler"]) != (event, handler)
        or owner not in (None, row["auth_type"])
    ]
    count = len(installation.events) - len(kept)
    installation.events[:] = kept
    return {"count": count}


@method("event.get")
def get_events(call: Call) -> list[dict[str, Any]]:
    """Lists this application's bindings; only an administrator sees those of other people."""
    return [
        {
            "event": row["event"],
            "handler": row["handler"],
            "auth_type": str(row["auth_type"]),
            "offline": 0,
        }
        if row["handler"]
        else {"event": row["event"], "connector_id": "", "offline": 1}
        for row in _installation(call).events
        if call.user.is_admin or row["auth_type"] == call.user.id
    ]


@method("event.test")
def test(call: Call) -> int:
    data = {"QUERY": mapping(call.params), "LANGUAGE_ID": call.portal.language}
    events.queue_for(
        call.world, call.portal, _installation(call), "ONAPPTEST", data, user_id=call.user.id
    )
    return 1


def _installation(call: Call) -> Installation:
    check_application(call)
    if call.installation is None:
        raise access_denied()
    return call.installation


def _available(call: Call) -> list[str]:
    return [
        name
        for scope, names in BY_SCOPE.items()
        if scope is None or scope in call.scopes
        for name in names
    ]


def _type(params: dict[str, Any]) -> str:
    kind = to_text(params.get("EVENT_TYPE")).lower() or _ONLINE
    if kind not in (_ONLINE, _OFFLINE):
        raise RestError(
            "ERROR_ARGUMENT",
            f"Value must be one of {{{_ONLINE}|{_OFFLINE}}}",
            argument="EVENT_TYPE",
        )
    return kind
