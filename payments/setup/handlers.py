"""Adding, changing and deleting a handler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _

from b24app.errors import OutcomeUnknown, Refused
from b24app.rest.client import Client
from payments.gateway import setup_writes
from payments.gateway.setup_types import Handler
from payments.setup.conflicts import (
    HANDLER_TAKEN,
    NOT_THERE,
    NotSaved,
    check_unchanged,
    told_beside,
)
from payments.setup.handler_settings import plain, settings_from
from payments.setup.inventory import HandlerUse, Setup, read_setup

_FIELDS = {
    "NAME": "name",
    "CODE": "code",
    "ERROR_HANDLER_ALREADY_EXIST": "code",
    "SETTINGS[FORM_DATA][ACTION_URI]": "action_uri",
    # Of a checkout the server names the wrong part.
    "SETTINGS[IFRAME_DATA][ACTION_URI]": "action_uri",
    "SETTINGS[CHECKOUT_DATA][ACTION_URI]": "action_uri",
    "SETTINGS[FORM_DATA]": "mode",
    "SETTINGS[CLIENT_TYPE]": "client_type",
}


def add(client: Client, setup: Setup, values: Mapping[str, Any]) -> None:
    """Raises NotSaved, or the B24Error of what did not answer."""
    check_free(setup, values)
    settings = settings_from(values, before={})
    try:
        with told_beside(_FIELDS):
            setup_writes.add_handler(
                client,
                name=values["name"],
                code=values["code"],
                sort=values["sort"],
                settings=settings,
            )
    except OutcomeUnknown as error:
        if read_setup(client).handler_coded(values["code"]) is None:
            raise NotSaved(NOT_THERE) from error


def change(client: Client, setup: Setup, use: HandlerUse, values: Mapping[str, Any]) -> None:
    """`use` as it is now. A code in use stays: pay systems name their handler by it. Raises
    NotSaved, also where the handler is not what the editor was shown."""
    handler = use.handler
    check_unchanged(values["shown"], *facts(handler))
    check_free(setup, values, besides=handler.id)
    if use.used_by and values["code"] != handler.code:
        raise NotSaved(in_use(use), field="code")
    fields = {
        "NAME": values["name"],
        "CODE": values["code"],
        "SORT": values["sort"],
        "SETTINGS": settings_from(values, before=handler.settings),
    }
    if fields["CODE"] == handler.code:
        del fields["CODE"]
    try:
        with told_beside(_FIELDS):
            setup_writes.update_handler(client, handler.id, fields)
    except OutcomeUnknown as error:
        now = read_setup(client).handler(handler.id).handler
        saved = (now.name, now.sort, plain(now.settings))
        if saved != (fields["NAME"], fields["SORT"], plain(fields["SETTINGS"])):
            raise NotSaved(NOT_THERE) from error


def delete(client: Client, use: HandlerUse) -> None:
    """Raises NotSaved where it is still there: a handler in use says by which pay systems."""
    if use.used_by:
        raise NotSaved(in_use(use))
    try:
        with told_beside({}):
            setup_writes.delete_handler(client, use.handler.id)
    except Refused as error:
        if error.code.upper() != "ERROR_PAY_SYSTEM_DELETE":
            raise
        # Somebody has just begun to use it.
        raise NotSaved(in_use(read_setup(client).handler(use.handler.id))) from error
    except OutcomeUnknown as error:
        if read_setup(client).has_handler(use.handler.id):
            raise NotSaved(_("Bitrix24 did not answer clearly, and it is still there.")) from error


def facts(handler: Handler) -> tuple[Any, ...]:
    """What an editor is shown of it, and saves."""
    return handler.name, handler.code, handler.sort, handler.settings


def in_use(use: HandlerUse) -> str:
    return _(
        "Payment systems use it: %(names)s. Its code can be changed, and it can be deleted, once "
        "they use another one or are deleted."
    ) % {"names": use.names_of_users}


def check_free(setup: Setup, values: Mapping[str, Any], *, besides: int | None = None) -> None:
    """Names and codes that clash, before anything is sent. Raises NotSaved."""
    for use in setup.handlers:
        if use.handler.id == besides:
            continue
        if use.handler.code.lower() == values["code"].lower():
            raise NotSaved(HANDLER_TAKEN, field="code")
        if use.handler.name.strip().lower() == values["name"].strip().lower():
            raise NotSaved(
                _("A handler with this name is there already. Choose another."), field="name"
            )
