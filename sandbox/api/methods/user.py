"""`user.get`: the people of a portal that the caller may see, with the fields of user_brief.

https://apidocs.bitrix24.com/api-reference/user/user-get.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.api.methods.filtering import condition, is_known, split_operator
from sandbox.api.methods.listing import paged
from sandbox.api.registry import Call, Listed, method
from sandbox.wire.loose import mapping, to_text, upper_keys
from sandbox.world.world import Role, User

# The fields of user_brief: no address, no telephone.
_FIELDS: dict[str, Callable[[User], Any]] = {
    "ID": lambda user: str(user.id),
    "ACTIVE": lambda user: user.role is not Role.DISMISSED,
    "NAME": lambda user: user.name,
    "LAST_NAME": lambda user: user.last_name,
    "SECOND_NAME": lambda user: "",
    "IS_ONLINE": lambda user: "N",
    "PERSONAL_GENDER": lambda user: "",
    "WORK_POSITION": lambda user: "",
    "UF_DEPARTMENT": lambda user: list(user.departments),
    "USER_TYPE": lambda user: "extranet" if user.role is Role.EXTRANET else "employee",
}
_MASK = "*"


@method("user.get", "user_brief")
def user_get(call: Call) -> Listed:
    """Lists people. Parameter names may be in any case; unknown fields are ignored."""
    params = upper_keys(call.params)
    users = call.portal.users.values()
    people = [user for user in users if not user.is_system and _is_seen(call.user, user)]
    conditions = {**params, **mapping(params.get("FILTER"))}
    for spelled, value in conditions.items():
        people = [user for user in people if _passes(user, spelled, value)]
    descending = to_text(params.get("ORDER")).upper() == "DESC"
    people.sort(key=_order_by(to_text(params.get("SORT")).upper()), reverse=descending)
    page, total, following = paged(people, {"start": params.get("START", 0)})
    columns = _columns(mapping(params.get("SELECT")))
    return Listed(
        [{name: _FIELDS[name](user) for name in columns} for user in page], total, following
    )


def _is_seen(viewer: User, user: User) -> bool:
    """An extranet user sees only themselves; the sandbox has no groups with other members."""
    return viewer.role is not Role.EXTRANET or viewer.id == user.id


def _passes(user: User, spelled: str, wanted: Any) -> bool:
    symbol, name = split_operator(spelled)
    if name not in _FIELDS or not is_known(symbol):
        return True
    if name == "ACTIVE":
        is_wanted = to_text(wanted).upper() in ("1", "Y", "TRUE")
        return (user.role is not Role.DISMISSED) == is_wanted
    actual = user.id if name == "ID" else _FIELDS[name](user)
    passes = condition(symbol, wanted)
    return any(passes(each) for each in (actual if isinstance(actual, list) else [actual]))


def _order_by(name: str) -> Callable[[User], Any]:
    if name in ("", "ID") or name not in _FIELDS:
        return lambda user: user.id
    return lambda user: to_text(_FIELDS[name](user)).casefold()


def _columns(select: dict[str, Any]) -> list[str]:
    wanted = {to_text(name).upper() for name in select.values()}
    if not wanted or _MASK in wanted:
        return list(_FIELDS)
    return [name for name in _FIELDS if name in wanted]
