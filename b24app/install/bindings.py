"""Binds the app's places and events in a portal, each exactly once."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.utils import translation

from b24app.errors import B24Error, OutcomeUnknown, Refused
from b24app.localization import languages
from b24app.rest.client import Answer, Client, Pending, Query

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """A place in the portal where the app appears, with the texts that the portal shows there."""

    title: StrOrPromise
    description: StrOrPromise
    # Every portal that this app supports offers a required place; the others are bound only where
    # the portal offers them.
    required: bool = False


# By code. The application's own rooms add theirs when Django starts.
PLACEMENTS: dict[str, Place] = {}


def add_place(code: str, place: Place) -> None:
    PLACEMENTS[code] = place


# https://apidocs.bitrix24.com/api-reference/sale/events/on-payment-entity-saved.html
EVENTS = ("ONAPPINSTALL", "ONAPPUPDATE", "ONAPPUNINSTALL", "ONPAYMENTENTITYSAVED")


@dataclass(frozen=True)
class Binding:
    """A placement or an event, and the address of the app that handles it."""

    kind: str  # "placement" or "event", as in the names of the methods
    code: str
    handler: str


@dataclass(frozen=True)
class Bound:
    """The bindings in a portal's list."""

    all: frozenset[Binding]
    is_whole: bool  # False if a row of the list could not be read


def bind_all(client: Client) -> None:
    """Binds what is not bound yet, and unbinds what points to an old address of the app.

    Needs an administrator's client. The portal lists only this application's bindings, so each
    handler that is not the present one is an old one. Raises the portal's error; a second call
    goes on where the first one stopped.
    https://apidocs.bitrix24.com/api-reference/widgets/placement-bind.html
    https://apidocs.bitrix24.com/api-reference/events/event-bind.html
    """
    wanted, bound = _wanted_and_bound(client)
    if missing := wanted - bound.all:
        # Binds the new ones before it unbinds the old ones, so that no tab is missing in between.
        refusals = [error for binding in missing if (error := _bind(client, binding))]
        _, bound = _wanted_and_bound(client)
        # A refusal does not matter if the binding is in the list: another click of the installer
        # may have been faster. If a row cannot be read, it may be the missing one.
        if wanted - bound.all and bound.is_whole:
            raise refusals[0] if refusals else OutcomeUnknown("bound, but not in the list")
    for binding in _old(bound.all):
        _unbind(client, binding)


def compare(client: Client) -> tuple[frozenset[Binding], frozenset[Binding]]:
    """Returns the missing bindings, and those that point to an old address of the app."""
    wanted, bound = _wanted_and_bound(client)
    return wanted - bound.all, _old(bound.all)


def _old(bound: frozenset[Binding]) -> frozenset[Binding]:
    """Returns the bindings to an old address.

    A binding to the present address is not old, even if the portal no longer offers its place.
    """
    return bound - _wanted(frozenset(PLACEMENTS))


def _wanted_and_bound(client: Client) -> tuple[frozenset[Binding], Bound]:
    """Returns the bindings that the app needs and those that the portal has, in one request.

    https://apidocs.bitrix24.com/api-reference/widgets/placement-list.html
    https://apidocs.bitrix24.com/api-reference/widgets/placement-get.html
    https://apidocs.bitrix24.com/api-reference/events/event-get.html
    """
    batch = client.batch()
    offered, tabs, events = (
        batch.add(_PLACEMENT_LIST),
        batch.add(_PLACEMENT_GET),
        batch.add(_EVENT_GET),
    )
    batch.run()
    places, handlers = tabs.get(), events.get()
    bound = Bound(
        frozenset(
            [binding for binding in places.all if binding.code in PLACEMENTS]
            + [binding for binding in handlers.all if binding.code in EVENTS]
        ),
        is_whole=places.is_whole and handlers.is_whole,
    )
    return _wanted(_codes_offered(offered)), bound


def _codes_offered(offered: Pending[frozenset[str]]) -> frozenset[str]:
    """Returns the codes of the places that the portal offers; empty if it does not answer.

    Then only the required places are bound.
    """
    try:
        return offered.get()
    except B24Error as error:
        logger.warning("the portal's places could not be read: %s", error)
        return frozenset()


def _wanted(offered: frozenset[str]) -> frozenset[Binding]:
    places = {
        Binding("placement", code, f"{settings.APP_URL}/")
        for code, place in PLACEMENTS.items()
        if place.required or code in offered
    }
    events = {Binding("event", code, f"{settings.APP_URL}/event/") for code in EVENTS}
    return frozenset(places | events)


def _offered(answer: Answer) -> frozenset[str]:
    return frozenset(code for code in _listed(answer) if isinstance(code, str))


def _placements(answer: Answer) -> Bound:
    return _bound("placement", _listed(answer))


def _events(answer: Answer) -> Bound:
    # An offline subscription has no handler; the app makes none.
    online = (row for row in _listed(answer) if not isinstance(row, dict) or "handler" in row)
    return _bound("event", online)


def _listed(answer: Answer) -> list[Any]:
    if not isinstance(answer.result, list):
        raise OutcomeUnknown("handlers or places: no list")
    return answer.result


def _bound(kind: str, rows: Iterable[Any]) -> Bound:
    found: list[Binding] = []
    is_whole = True
    for row in rows:
        code, handler = (row.get(kind), row.get("handler")) if isinstance(row, dict) else (0, 0)
        if isinstance(code, str) and isinstance(handler, str) and handler:
            found.append(Binding(kind, code.upper(), handler))
        else:
            is_whole = False
            logger.warning("a row of %s.get cannot be read", kind)
    return Bound(frozenset(found), is_whole)


# https://apidocs.bitrix24.com/api-reference/widgets/placement-list.html
_PLACEMENT_LIST = Query("placement.list", _offered)
# https://apidocs.bitrix24.com/api-reference/widgets/placement-get.html
_PLACEMENT_GET = Query("placement.get", _placements)
# https://apidocs.bitrix24.com/api-reference/events/event-get.html
_EVENT_GET = Query("event.get", _events)


def _bind(client: Client, binding: Binding) -> Refused | None:
    """Binds one; returns a refusal, which does not matter if the portal's list has the binding.

    https://apidocs.bitrix24.com/api-reference/widgets/placement-bind.html
    https://apidocs.bitrix24.com/api-reference/events/event-bind.html
    """
    params: dict[str, Any] = _address(binding)
    if binding.kind == "placement":
        place = PLACEMENTS[binding.code]
        params |= _titles(place) | {"LANG_ALL": _titles_by_language(place)}
    try:
        client.write(f"{binding.kind}.bind", params)
    except Refused as error:
        return error
    return None


def _titles(place: Place) -> dict[str, Any]:
    return {"TITLE": str(place.title), "DESCRIPTION": str(place.description)}


def _titles_by_language(place: Place) -> dict[str, Any]:
    """Returns the texts of a place by language: each person sees them in their own language."""
    titles = {}
    for code, language in languages.BY_PORTALS_CODE.items():
        with translation.override(language):
            titles[code] = _titles(place)
    return titles


def _unbind(client: Client, binding: Binding) -> None:
    """Unbinds one.

    https://apidocs.bitrix24.com/api-reference/widgets/placement-unbind.html
    https://apidocs.bitrix24.com/api-reference/events/event-unbind.html
    """
    client.write(f"{binding.kind}.unbind", _address(binding))


def _address(binding: Binding) -> dict[str, Any]:
    return {binding.kind.upper(): binding.code, "HANDLER": binding.handler}
