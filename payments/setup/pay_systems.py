"""Adds, changes and deletes pay systems."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from b24app.errors import OutcomeUnknown
from b24app.rest.client import Client
from payments.gateway import setup_writes
from payments.gateway.setup_types import Registry
from payments.setup.conflicts import (
    NOT_THERE,
    NotSaved,
    check_unchanged,
    fingerprint,
    refusals_as_not_saved,
)
from payments.setup.inventory import NoSuchPaySystem, Setup, System, Whose, read_setup

# The lengths of the columns in the portal's database.
_NAME_LENGTH = 255
_DESCRIPTION_LENGTH = 2000

_MEANINGS = {
    Registry.ORDER: _("Deals, new invoices, smart processes and orders"),
    Registry.OLD_INVOICE: _("Old invoices only: deals and new invoices do not show it"),
}
_FIELDS = {
    "NAME": "name",
    "DESCRIPTION": "description",
    "BX_REST_HANDLER": "handler",
    "ERROR_HANDLER_NOT_FOUND": "handler",
    "PERSON_TYPE_ID": "payer",
    "ERROR_PERSON_TYPE_NOT_FOUND": "payer",
}


class SystemForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=_NAME_LENGTH)
    description = forms.CharField(
        label=_("Description for the buyer"),
        max_length=_DESCRIPTION_LENGTH,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    handler = forms.ChoiceField(label=_("Handler"))
    # Registry and payer type in one value, such as "ORDER:1", so that they always match.
    payer = forms.ChoiceField(label=_("For which documents and payers"))
    active = forms.BooleanField(label=_("Switched on"), required=False)
    new_window = forms.BooleanField(label=_("Opens in a new window"), required=False)
    # Made with the form, so that pressing Save twice adds one pay system.
    xml_id = forms.CharField(max_length=64, widget=forms.HiddenInput)
    shown = forms.CharField(max_length=128, required=False, widget=forms.HiddenInput)

    def __init__(self, setup: Setup, system: System | None, data: Any = None) -> None:
        super().__init__(data, initial=_initial(system))
        self.fields["handler"].choices = _handlers(setup)  # type: ignore[attr-defined]
        self.fields["payer"].choices = _payers(setup, system)  # type: ignore[attr-defined]


def add(client: Client, setup: Setup, values: Mapping[str, Any]) -> int:
    """Returns the id of the new pay system, or of the one that the same form added before.

    Raises NotSaved, or the B24Error of a request without an answer.
    """
    made = _made_by(setup, values["xml_id"])
    if made is not None:
        return made
    registry, person_type_id = _chosen(values["payer"])
    try:
        with refusals_as_not_saved(_FIELDS):
            return setup_writes.add_pay_system(
                client,
                name=values["name"],
                description=values["description"],
                handler_code=values["handler"],
                person_type_id=person_type_id,
                registry=Registry(registry),
                active=values["active"],
                new_window=values["new_window"],
                xml_id=values["xml_id"],
            )
    except OutcomeUnknown as error:
        made = _made_by(read_setup(client), values["xml_id"])
        if made is None:
            raise NotSaved(NOT_THERE) from error
        return made


def change(client: Client, system: System, values: Mapping[str, Any]) -> None:
    """Changes a pay system; `system` is as it is stored now.

    Raises NotSaved, also if another person changed it meanwhile.
    """
    check_unchanged(values["shown"], system.details)
    _registry, person_type_id = _chosen(values["payer"])
    _update(
        client,
        system,
        {
            "NAME": values["name"],
            "DESCRIPTION": values["description"],
            "BX_REST_HANDLER": values["handler"],
            "PERSON_TYPE_ID": person_type_id,
            "ACTIVE": "Y" if values["active"] else "N",
            "NEW_WINDOW": "Y" if values["new_window"] else "N",
        },
    )


def switch(client: Client, system: System, *, on: bool) -> None:
    """Switches a pay system on or off. Raises NotSaved."""
    details = system.details
    _update(
        client,
        system,
        {
            # Older servers require these two in every update.
            "BX_REST_HANDLER": details.action_file,
            "PERSON_TYPE_ID": details.person_type_id,
            "ACTIVE": "Y" if on else "N",
        },
    )


def delete(client: Client, system: System) -> None:
    """Deletes a pay system. Raises NotSaved if it is still there."""
    number = system.details.id
    try:
        with refusals_as_not_saved({}):
            setup_writes.delete_pay_system(client, number)
    except OutcomeUnknown as error:
        if read_setup(client).has_system(number):
            raise NotSaved(_("Bitrix24 did not answer clearly, and it is still there.")) from error


def _update(client: Client, system: System, fields: Mapping[str, Any]) -> None:
    number = system.details.id
    try:
        with refusals_as_not_saved(_FIELDS):
            setup_writes.update_pay_system(client, number, fields)
    except OutcomeUnknown as error:
        try:
            now = read_setup(client).system(number)
        except NoSuchPaySystem as gone:
            raise NotSaved(NOT_THERE) from gone
        if not _matches(now, fields):
            raise NotSaved(NOT_THERE) from error


def _matches(system: System, fields: Mapping[str, Any]) -> bool:
    details = system.details
    stored = {
        "NAME": details.name,
        "DESCRIPTION": details.description,
        "BX_REST_HANDLER": details.action_file,
        "PERSON_TYPE_ID": details.person_type_id,
        "ACTIVE": "Y" if details.active else "N",
        "NEW_WINDOW": "Y" if details.new_window else "N",
    }
    return all(stored[name] == value for name, value in fields.items())


def _made_by(setup: Setup, xml_id: str) -> int | None:
    return next((one.details.id for one in setup.systems if one.details.xml_id == xml_id), None)


def _chosen(payer: str) -> tuple[str, int]:
    registry, _colon, person_type_id = payer.partition(":")
    return registry, int(person_type_id)


def _initial(system: System | None) -> dict[str, Any]:
    if system is None:
        return {"active": True, "xml_id": f"pay-{uuid.uuid4().hex}"}
    details = system.details
    return {
        "name": details.name,
        "description": details.description,
        "handler": details.action_file,
        "payer": f"{details.registry}:{details.person_type_id or 0}",
        "active": details.active,
        "new_window": details.new_window,
        "xml_id": details.xml_id or "-",
        "shown": fingerprint(details),
    }


def _handlers(setup: Setup) -> list[tuple[str, str]]:
    return [
        (use.handler.code, f"{use.handler.name} ({use.handler.code})")
        for use in setup.handlers
        if use.whose != Whose.ANOTHERS
    ]


def _payers(setup: Setup, system: System | None) -> list[tuple[Any, list[tuple[str, str]]]]:
    """Returns choices grouped by kind of document; a pay system's kind cannot be changed later."""
    registries = [one for one in setup.person_types if setup.person_types[one]]
    if system is not None:
        registries = [one for one in registries if one.value == system.details.registry]
    groups: list[tuple[Any, list[tuple[str, str]]]] = [
        (
            _MEANINGS[registry],
            [(f"{registry.value}:{one.id}", one.name) for one in setup.person_types[registry]],
        )
        for registry in registries
    ]
    if system is not None and not registries:
        details = system.details
        number = details.person_type_id or 0
        groups = [
            (details.registry, [(f"{details.registry}:{number}", system.payer or f"{number}")])
        ]
    return groups
