"""Adds, changes and deletes handlers."""

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
    refusals_as_not_saved,
)
from payments.setup.handler_settings import plain, settings_from
from payments.setup.inventory import HandlerUse, Setup, read_setup

_FIELDS = {
    "NAME": "name",
    "CODE": "code",
    "ERROR_HANDLER_ALREADY_EXIST": "code",
    "SETTINGS[FORM_DATA][ACTION_URI]": "action_uri",
    # For a checkout the server names IFRAME_DATA.
    "SETTINGS[IFRAME_DATA][ACTION_URI]": "action_uri",
    "SETTINGS[CHECKOUT_DATA][ACTION_URI]": "action_uri",
    "SETTINGS[FORM_DATA]": "mode",
    "SETTINGS[CLIENT_TYPE]": "client_type",
}


def add(client: Client, setup: Setup, values: Mapping[str, Any]) -> None:
    """Adds a handler. Raises NotSaved, or the B24Error of a request without an answer."""
    check_free(setup, values)
    settings = settings_from(values, before={})
    try:
        with refusals_as_not_saved(_FIELDS):
            setup_writes.add_handler(
                client,
                name=values["name"],
                code=values["code"],
                sort=values["sort"],
                settings=settings,
            )
    except OutcomeUnknown as error:
        if read_setup(client).handler_with_code(values["code"]) is None:
            raise NotSaved(NOT_THERE) from error


def change(client: Client, setup: Setup, use: HandlerUse, values: Mapping[str, Any]) -> None:
    """Changes a handler; `use` is as it is stored now.

    Raises NotSaved, also if another person changed the handler meanwhile, or if its code should
    change while pay systems use it: they refer to their handler by the code.
    """
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
        with refusals_as_not_saved(_FIELDS):
            setup_writes.update_handler(client, handler.id, fields)
    except OutcomeUnknown as error:
        now = read_setup(client).handler(handler.id).handler
        saved = (now.name, now.sort, plain(now.settings))
        if saved != (fields["NAME"], fields["SORT"], plain(fields["SETTINGS"])):
            raise NotSaved(NOT_THERE) from error


def delete(client: Client, use: HandlerUse) -> None:
    """Deletes a handler. Raises NotSaved, with the names of the pay systems that use it."""
    if use.used_by:
        raise NotSaved(in_use(use))
    try:
        with refusals_as_not_saved({}):
            setup_writes.delete_handler(client, use.handler.id)
    except Refused as error:
        if error.code.upper() != "ERROR_PAY_SYSTEM_DELETE":
            raise
        # A pay system began to use it a moment ago.
        raise NotSaved(in_use(read_setup(client).handler(use.handler.id))) from error
    except OutcomeUnknown as error:
        if read_setup(client).has_handler(use.handler.id):
            raise NotSaved(_("Bitrix24 did not answer clearly, and it is still there.")) from error


def facts(handler: Handler) -> tuple[Any, ...]:
    """Returns what the form shows and saves."""
    return handler.name, handler.code, handler.sort, handler.settings


def in_use(use: HandlerUse) -> str:
    return _(
        "Payment systems use it: %(names)s. Its code can be changed, and it can be deleted, once "
        "they use another one or are deleted."
    ) % {"names": use.names_of_users}


def check_free(setup: Setup, values: Mapping[str, Any], *, besides: int | None = None) -> None:
    """Raises NotSaved if another handler has the name or the code. Sends nothing."""
    for use in setup.handlers:
        if use.handler.id == besides:
            continue
        if use.handler.code.lower() == values["code"].lower():
            raise NotSaved(HANDLER_TAKEN, field="code")
        if use.handler.name.strip().lower() == values["name"].strip().lower():
            raise NotSaved(
                _("A handler with this name is there already. Choose another."), field="name"
            )
