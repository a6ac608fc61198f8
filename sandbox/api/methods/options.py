"""`app.option.*` and `user.option.*`: what an application stores for itself or for a person.

https://apidocs.bitrix24.com/api-reference/common/settings/ ; results and checks follow
`rest/classes/general/rest_provider.php`. The options of BX24.js are others.
"""

from __future__ import annotations

from typing import Any

from sandbox.api.methods.refusals import access_denied, empty_argument
from sandbox.api.registry import Call, method
from sandbox.wire.loose import is_given, mapping, to_text


@method("app.option.get")
def app_option_get(call: Call) -> Any:
    return _read(call, call.portal.app_options.get(_client_id(call), {}))


@method("app.option.set")
def app_option_set(call: Call) -> bool:
    """Only an administrator may change what the application stores for all."""
    client_id, options = _client_id(call), _options(call)
    if not call.user.is_admin:
        raise access_denied("Administrator authorization required")
    call.portal.app_options.setdefault(client_id, {}).update(options)
    return True


@method("user.option.get")
def user_option_get(call: Call) -> Any:
    return _read(call, call.portal.user_options.get((_client_id(call), call.user.id), {}))


@method("user.option.set")
def user_option_set(call: Call) -> bool:
    key = (_client_id(call), call.user.id)
    call.portal.user_options.setdefault(key, {}).update(_options(call))
    return True


def _client_id(call: Call) -> str:
    if call.installation is None:
        raise access_denied("Application context required")
    return call.client_id


def _read(call: Call, stored: dict[str, Any]) -> Any:
    """Returns one option, null if it is not stored; without `option` all of them."""
    if not is_given(call.params, "option"):
        return dict(stored)
    return stored.get(to_text(call.params["option"]))


def _options(call: Call) -> dict[str, Any]:
    """Returns the parameter `options`; without it, all parameters are options."""
    options = mapping(call.params["options"]) if is_given(call.params, "options") else call.params
    if not options:
        raise empty_argument("options")
    return options
