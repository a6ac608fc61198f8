"""Creates and removes Manual settlement, the app's own provider for a portal without an acquirer.

Its handler is a checkout whose address is a page of this app. The page tells the buyer how to pay;
it moves no money and marks nothing as paid.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext as _

from b24app.errors import OutcomeUnknown
from b24app.models import Portal
from b24app.rest.client import Client
from payments.gateway import setup_reads, setup_writes
from payments.gateway.setup_types import Mode, PersonType, Registry, Setting
from payments.setup.checkout import proof_of
from payments.setup.conflicts import NOT_THERE, NotSaved, refusals_as_not_saved
from payments.setup.inventory import HandlerUse, Setup, System, read_setup
from payments.setup.pay_system_settings import EVERY_PAYER

CODE = "payforbitrix24manual"
# The XML_ID of its pay system for a payer type.
_XML_ID = "payforbitrix24-manual-{}"
_SORT = 500


@dataclass(frozen=True)
class Provider:
    """The parts of Manual settlement that a portal has."""

    use: HandlerUse | None
    systems: tuple[System, ...]
    missing: tuple[PersonType, ...]  # Payer types without a pay system of it.

    @property
    def is_there(self) -> bool:
        return self.use is not None

    @property
    def is_complete(self) -> bool:
        return self.is_there and not self.missing


def find(setup: Setup) -> Provider:
    """Returns the parts of Manual settlement that the setup has."""
    use = setup.handler_with_code(CODE)
    systems = tuple(one for one in setup.systems if one.details.action_file == CODE)
    covered = {one.details.person_type_id for one in systems}
    types = setup.person_types.get(Registry.ORDER, ())
    return Provider(use, systems, tuple(one for one in types if one.id not in covered))


def create(client: Client, portal: Portal) -> None:
    """Creates and updates the parts that are missing or wrong. After a failure, call it again.

    Raises NotSaved, SettingsRightMissing, or the B24Error of a request without an answer.
    """
    setup = read_setup(client)
    found = find(setup)
    if found.use is None:
        _add_handler(client, portal)
    elif found.use.handler.action_uri != address():
        _move_handler(client, portal, found.use)
    _renew_keys(client, portal, found.systems)
    for person_type in found.missing:
        _add_system(client, portal, person_type)


def remove(client: Client) -> None:
    """Deletes its pay systems, then its handler: the server keeps a handler that is in use.

    Raises NotSaved, SettingsRightMissing, or the B24Error of a request without an answer. After a
    failure, call it again.
    """
    found = find(read_setup(client))
    for system in found.systems:
        with refusals_as_not_saved({}):
            setup_writes.delete_pay_system(client, system.details.id)
    if found.use is not None:
        with refusals_as_not_saved({}):
            setup_writes.delete_handler(client, found.use.handler.id)


def address() -> str:
    """Returns the address of the checkout."""
    return f"{settings.APP_URL}{reverse('checkout')}"


def _add_handler(client: Client, portal: Portal) -> None:
    try:
        with refusals_as_not_saved({}):
            setup_writes.add_handler(
                client,
                name=_("Manual settlement"),
                code=CODE,
                sort=_SORT,
                settings=_handler_settings(portal),
            )
    except OutcomeUnknown as error:
        if read_setup(client).handler_with_code(CODE) is None:
            raise NotSaved(NOT_THERE) from error


def _move_handler(client: Client, portal: Portal, use: HandlerUse) -> None:
    """Updates the handler after the app's address has changed."""
    fields = {"NAME": use.handler.name, "SETTINGS": _handler_settings(portal)}
    with refusals_as_not_saved({}):
        setup_writes.update_handler(client, use.handler.id, fields)


def _renew_keys(client: Client, portal: Portal, systems: Iterable[System]) -> None:
    """Updates the key in the pay systems' settings: it changes with the app's SECRET_KEY."""
    wanted = _key(portal)
    batch = client.batch()
    asked = {
        system.details.id: batch.add(
            setup_reads.settings(system.details.id, person_type_id=EVERY_PAYER)
        )
        for system in systems
    }
    batch.run()
    for number, pending in asked.items():
        stored = pending.get()
        if any(stored.get(code) != setting for code, setting in wanted.items()):
            with refusals_as_not_saved({}):
                setup_writes.update_settings(
                    client, number, person_type_id=EVERY_PAYER, settings=wanted
                )


def _key(portal: Portal) -> dict[str, Setting]:
    return {
        "PROOF_KEY": Setting("VALUE", proof_of(portal)),
        "MEMBER_ID": Setting("VALUE", portal.member_id),
    }


def _add_system(client: Client, portal: Portal, person_type: PersonType) -> None:
    xml_id = _XML_ID.format(person_type.id)
    try:
        with refusals_as_not_saved({}):
            setup_writes.add_pay_system(
                client,
                name=_("Manual settlement"),
                handler_code=CODE,
                person_type_id=person_type.id,
                registry=Registry.ORDER,
                active=True,
                description=_(
                    "You are shown how to pay. The seller records the payment when the money has "
                    "arrived."
                ),
                xml_id=xml_id,
                settings={
                    "INSTRUCTIONS": Setting("VALUE", _default_instructions()),
                    **_key(portal),
                    "NUMBER": Setting("PAYMENT", "ACCOUNT_NUMBER"),
                },
            )
    except OutcomeUnknown as error:
        if xml_id not in {one.details.xml_id for one in read_setup(client).systems}:
            raise NotSaved(NOT_THERE) from error


def _default_instructions() -> str:
    return _(
        "Please transfer the sum to the account on your contract or bill, and name the number "
        "above. The manager notes the payment when the money has arrived."
    )


def _handler_settings(portal: Portal) -> Mapping[str, Any]:
    return {
        "CLIENT_TYPE": "b2c",
        "CODES": {
            "INSTRUCTIONS": {
                "NAME": _("What the buyer is told"),
                "DESCRIPTION": _("At most 500 characters; shown below the sum and the number."),
                "SORT": "100",
            },
            "NUMBER": {
                "NAME": _("Number of the payment"),
                "SORT": "200",
                "DEFAULT": {"PROVIDER_KEY": "PAYMENT", "PROVIDER_VALUE": "ACCOUNT_NUMBER"},
            },
            "MEMBER_ID": {
                "NAME": _("This Bitrix24"),
                "DESCRIPTION": _("Set by the app; leave it as it is."),
                "SORT": "900",
                "DEFAULT": {"PROVIDER_KEY": "VALUE", "PROVIDER_VALUE": portal.member_id},
            },
            "PROOF_KEY": {
                "NAME": _("Key of this Bitrix24"),
                "DESCRIPTION": _("Set by the app; leave it as it is."),
                "SORT": "910",
            },
        },
        Mode.CHECKOUT.value: {
            "ACTION_URI": address(),
            "FIELDS": {
                "instructions": {"CODE": "INSTRUCTIONS"},
                "number": {"CODE": "NUMBER"},
                "portal": {"CODE": "MEMBER_ID"},
                "proof": {"CODE": "PROOF_KEY"},
            },
        },
    }
