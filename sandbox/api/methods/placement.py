"""`placement.*`: binds an application to places on the portal's pages.

https://apidocs.bitrix24.com/api-reference/widgets/ ; checks follow `rest/lib/api/placement.php`.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from sandbox.api.methods.refusals import access_denied, check_application, empty_argument
from sandbox.api.registry import Call, RestError, method
from sandbox.wire.loose import mapping, to_int, to_text, upper_keys
from sandbox.world.world import Installation

# The placements that the sandbox has pages for, by scope.
BY_SCOPE: dict[str | None, tuple[str, ...]] = {
    None: ("LEFT_MENU", "REST_APP_URI"),
    "crm": (
        "CRM_DEAL_LIST_TOOLBAR",
        "CRM_DEAL_LIST_MENU",
        "CRM_DEAL_DETAIL_TOOLBAR",
        "CRM_DEAL_DETAIL_TAB",
        "CRM_SMART_INVOICE_LIST_TOOLBAR",
        "CRM_SMART_INVOICE_LIST_MENU",
        "CRM_SMART_INVOICE_DETAIL_TOOLBAR",
        "CRM_SMART_INVOICE_DETAIL_TAB",
        "CRM_COMPANY_DETAIL_TAB",
        "CRM_CONTACT_DETAIL_TAB",
        "CRM_ORDER_DETAIL_TAB",
    ),
}
_DEMO_HOST = "localhost"
_ONCE_ONLY = frozenset({"REST_APP_URI"})
_WRONG_CODE = "Argument 'The placement code has an incorrect value'"


@method("placement.list", "placement")
def list_placements(call: Call) -> list[str]:
    check_application(call)
    return _available(call)


@method("placement.bind", "placement")
def bind(call: Call) -> bool:
    installation = _check(call)
    params = upper_keys(call.params, deep=False)
    code = to_text(params.get("PLACEMENT")).upper()
    if code == "":
        raise _not_text()
    if code == "DEFAULT":
        raise RestError("ERROR_ARGUMENT", _WRONG_CODE, argument="PLACEMENT")
    handler = to_text(params.get("HANDLER"))
    if handler == "":
        raise empty_argument("HANDLER")
    check_handler_url(handler)
    if code not in _available(call):
        raise RestError("ERROR_PLACEMENT_NOT_FOUND", "Placement not found")
    bound = [row for row in installation.placements if row["placement"] == code]
    if to_int(params.get("USER_ID")):
        raise RestError("ERROR_PLACEMENT_USER_MODE", "User mode is not available.")
    if code in _ONCE_ONLY and bound:
        raise RestError("ERROR_PLACEMENT_MAX_COUNT", "Placement max count: 1")
    if any(row["handler"] == handler for row in bound):
        raise RestError("ERROR_CORE", "Unable to set placement handler: Handler already binded")
    installation.placements.append(_row(call, params, code, handler))
    return True


@method("placement.unbind", "placement")
def unbind(call: Call) -> dict[str, int]:
    """Unbinds one handler; without HANDLER, all of this application at the placement.

    The server counts each handler twice: when it finds it, and when it deletes it.
    """
    installation = _check(call)
    params = upper_keys(call.params, deep=False)
    code = to_text(params.get("PLACEMENT")).upper()
    if code == "":
        raise _not_text()
    handler = to_text(params.get("HANDLER"))
    kept = [
        row
        for row in installation.placements
        if row["placement"] != code or handler not in ("", row["handler"])
    ]
    count = len(installation.placements) - len(kept)
    installation.placements[:] = kept
    return {"count": 2 * count}


@method("placement.get", "placement")
def get_placements(call: Call) -> list[dict[str, Any]]:
    return list(_check(call).placements)


def check_handler_url(url: str) -> None:
    """Accepts any host with a dot over http or https; it need not be reachable.

    Unlike the server, it also accepts localhost, where the demo runs.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    host = parts.hostname or ""
    if host != _DEMO_HOST and host.find(".") < 1:
        raise RestError("ERROR_WRONG_HANDLER_URL", "Wrong handler URL")
    if parts.scheme not in ("http", "https"):
        raise RestError("ERROR_UNSUPPORTED_PROTOCOL", "Unsupported handler protocol")


def _check(call: Call) -> Installation:
    check_application(call)
    if call.installation is None or not call.user.is_admin:
        raise access_denied()
    return call.installation


def _not_text() -> RestError:
    text = "The value of an argument 'PLACEMENT' must be of type string"
    return RestError("ERROR_ARGUMENT", text, argument="PLACEMENT")


def _available(call: Call) -> list[str]:
    return [
        code
        for scope, codes in BY_SCOPE.items()
        if scope is None or scope in call.scopes
        for code in codes
    ]


def _row(call: Call, params: dict[str, Any], code: str, handler: str) -> dict[str, Any]:
    """Returns a binding as in placement.get; its default title is the application's."""
    texts = mapping(params.get("LANG_ALL")).get(call.portal.language) or params
    texts = upper_keys(mapping(texts), deep=False)
    title = to_text(texts.get("TITLE")).strip() or call.world.applications[call.client_id].title
    description = to_text(texts.get("DESCRIPTION")).strip()
    return {
        "id": call.world.next_id(),
        "placement": code,
        "userId": 0,
        "handler": handler,
        "options": [],
        "title": title,
        "description": description,
        "langAll": {
            call.portal.language: {
                "TITLE": title,
                "DESCRIPTION": description,
                "GROUP_NAME": to_text(texts.get("GROUP_NAME")).strip(),
            }
        },
    }
