"""`app.info`, `profile`, `user.*`, `scope`, `methods`, `method.get`, `feature.get`, `server.time`.

https://apidocs.bitrix24.com/api-reference/common/system/ ; results follow
`rest/classes/general/rest_provider.php`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sandbox.api.methods.scopes import is_chosen
from sandbox.api.registry import METHODS, Call, Method, RestError, method
from sandbox.api.unplayed import SCOPES, UNPLAYED
from sandbox.wire.loose import flag, is_empty, mapping, server_zone, to_text, upper_keys

_LICENSE_TYPE, _LICENSE_FAMILY = "ent250", "ent"
_ALL_USERS, _AUTHORIZED = "G2", "AU"

# Methods of controllers are found by their class; `methods` has no list of these.
_CONTROLLERS = ("crm.item.", "crm.orderentity.", "sale.order.", "sale.payment.", "sale.persontype.")


@method("app.info")
def app_info(call: Call) -> dict[str, Any]:
    """The portal's `app.info`: unlike the OAuth server's, without client and user."""
    licence = f"{call.portal.language}_{_LICENSE_TYPE}"
    now = call.world.now()
    if call.installation is None:
        return {"SCOPE": list(call.scopes), "LICENSE": licence}
    return {
        "ID": call.installation.id,
        "CODE": call.world.applications[call.client_id].code,
        "VERSION": call.installation.version,
        "STATUS": call.installation.status,
        "INSTALLED": call.installation.finished,
        "PAYMENT_EXPIRED": "Y" if call.installation.is_payment_expired(now) else "N",
        "DAYS": call.installation.days_left(now),
        "LANGUAGE_ID": call.portal.language,
        "LICENSE": licence,
        "LICENSE_TYPE": _LICENSE_TYPE,
        "LICENSE_FAMILY": _LICENSE_FAMILY,
    }


@method("profile")
def profile(call: Call) -> dict[str, Any]:
    return {
        "ID": str(call.user.id),
        "ADMIN": call.user.is_admin,
        "NAME": call.user.name,
        "LAST_NAME": call.user.last_name,
        "PERSONAL_GENDER": "",
        "TIME_ZONE": call.user.time_zone,
    }


@method("user.admin")
def user_admin(call: Call) -> bool:
    return call.user.is_admin


@method("user.access")
def user_access(call: Call) -> bool:
    """Returns whether the user has one of the access codes; an administrator has all of them."""
    asked = upper_keys(call.params, deep=False).get("ACCESS")
    codes = mapping(asked).values() if isinstance(asked, dict | list) else [asked]
    own = {f"U{call.user.id}", _ALL_USERS, _AUTHORIZED}
    return call.user.is_admin or not own.isdisjoint(map(to_text, codes))


@method("user.current", "user_brief")
def user_current(call: Call) -> dict[str, Any]:
    """Without address and telephone, which the scope user_brief does not include."""
    return {
        "ID": str(call.user.id),
        "ACTIVE": True,
        "NAME": call.user.name,
        "LAST_NAME": call.user.last_name,
        "IS_ONLINE": "Y",
        "PERSONAL_GENDER": "",
        "WORK_POSITION": "",
        "UF_DEPARTMENT": list(call.user.departments),
    }


@method("scope")
def scope(call: Call) -> list[str]:
    """The scopes of this token; with FULL, all scopes of the portal."""
    wants_all = not is_empty(upper_keys(call.params, deep=False).get("FULL"))
    return list(SCOPES if wants_all else call.scopes)


@method("methods")
def list_methods(call: Call) -> list[str]:
    """Lists the methods of the token's scopes, of the one in SCOPE, or with FULL of all scopes."""
    named = [("batch", None), *((each.name, each.scope) for each in _existing().values())]
    return [
        name
        for name, scope in named
        if is_chosen(call, scope) and not name.startswith(_CONTROLLERS)
    ]


@method("method.get")
def method_get(call: Call) -> dict[str, bool]:
    """Whether the portal has the method, played here or not, and whether the token may call it."""
    found = _existing().get(to_text(call.params.get("name")).lower())
    return {
        "isExisting": found is not None,
        "isAvailable": found is not None and found.scope in (None, *call.scopes),
    }


@method("feature.get")
def feature_get(call: Call) -> dict[str, str]:
    """Every feature is in every commercial plan."""
    if is_empty(upper_keys(call.params, deep=False).get("CODE")):
        raise RestError("CODE_EMPTY", "CODE can't be empty")
    return {"value": flag(call.portal.commercial_plan)}


@method("server.time")
def server_time(call: Call) -> str:
    """The time in whole seconds, with the portal's offset from UTC."""
    return datetime.fromtimestamp(int(call.world.now()), server_zone()).isoformat()


def _existing() -> dict[str, Method]:
    """Returns the server's methods, played here or not."""
    return {**UNPLAYED, **METHODS}
