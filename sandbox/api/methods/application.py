"""`app.info`, `profile`, `user.current`, `scope`, `method.get` and `server.time`.

https://apidocs.bitrix24.com/api-reference/common/system/ ; results follow
`rest/classes/general/rest_provider.php`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sandbox.api.registry import METHODS, Call, method
from sandbox.wire.loose import server_zone, to_text, upper_keys

_LICENSE_TYPE, _LICENSE_FAMILY = "ent250", "ent"

SCOPES = ("crm", "sale", "pay_system", "placement", "user", "user_brief")


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
    wants_all = upper_keys(call.params).get("FULL")
    return list(SCOPES if wants_all else call.scopes)


@method("method.get")
def method_get(call: Call) -> dict[str, bool]:
    found = METHODS.get(to_text(call.params.get("name")).lower())
    return {
        "isExisting": found is not None,
        "isAvailable": found is not None and found.scope in (None, *call.scopes),
    }


@method("server.time")
def server_time(call: Call) -> str:
    """The time in whole seconds, with the portal's offset from UTC."""
    return datetime.fromtimestamp(int(call.world.now()), server_zone()).isoformat()
