"""Where the app stands in a portal: its tabs and its events, each bound exactly once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils import translation
from django.utils.translation import gettext

from b24app import languages
from b24app.client import Answer, Client, Query
from b24app.errors import OutcomeUnknown, Refused

# https://apidocs.bitrix24.com/api-reference/widgets/crm/detail-tab.html
PLACEMENTS = ("CRM_DEAL_DETAIL_TAB", "CRM_SMART_INVOICE_DETAIL_TAB")
# https://apidocs.bitrix24.com/api-reference/sale/events/on-payment-entity-saved.html
EVENTS = ("ONAPPINSTALL", "ONAPPUPDATE", "ONAPPUNINSTALL", "ONPAYMENTENTITYSAVED")


@dataclass(frozen=True)
class Binding:
    """A placement or an event, and the address of ours that serves it."""

    kind: str  # "placement" or "event", as the methods are called
    code: str
    handler: str


def bind_all(client: Client) -> None:
    """Bind what is not bound yet, and remove what points to an old address of this app.

    Takes an administrator's client. Both lists are this application's own, so a handler in them
    that is not the present one is one that we had before. Raises what the portal answers; a second
    call takes up where the first one stopped.
    """
    wanted, bound = _wanted(), _bound(client)
    if missing := wanted - bound:
        # First the new, then the old: a tab is never missing in between.
        refusals = [error for binding in missing if (error := _bind(client, binding))]
        bound = _bound(client)
        # Binding twice is refused: another click of the installer's may have been faster.
        if wanted - bound:
            raise refusals[0] if refusals else OutcomeUnknown("bound, but not in the list")
    for binding in bound - wanted:
        _unbind(client, binding)


def standing(client: Client) -> tuple[frozenset[Binding], frozenset[Binding]]:
    """What is not bound and should be, and what is and points to an old address of this app."""
    wanted, bound = _wanted(), _bound(client)
    return wanted - bound, bound - wanted


def _wanted() -> frozenset[Binding]:
    tabs = {Binding("placement", code, f"{settings.APP_URL}/") for code in PLACEMENTS}
    events = {Binding("event", code, f"{settings.APP_URL}/event/") for code in EVENTS}
    return frozenset(tabs | events)


def _bound(client: Client) -> frozenset[Binding]:
    """The handlers of our placements and events, in one request."""
    batch = client.batch()
    tabs, events = batch.add(_PLACEMENT_GET), batch.add(_EVENT_GET)
    batch.run()
    return frozenset(
        [binding for binding in tabs.get() if binding.code in PLACEMENTS]
        + [binding for binding in events.get() if binding.code in EVENTS]
    )


def _rows(answer: Answer) -> Iterable[dict[str, Any]]:
    rows = answer.result
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise OutcomeUnknown("handlers: an unknown shape")
    return rows


def _placements(answer: Answer) -> list[Binding]:
    return [
        Binding("placement", str(row.get("placement")), str(row.get("handler")))
        for row in _rows(answer)
    ]


def _events(answer: Answer) -> list[Binding]:
    # An offline subscription has no handler, and is none of ours.
    return [
        Binding("event", str(row.get("event")).upper(), str(row["handler"]))
        for row in _rows(answer)
        if "handler" in row
    ]


# https://apidocs.bitrix24.com/api-reference/widgets/placement-get.html
_PLACEMENT_GET = Query("placement.get", _placements)
# https://apidocs.bitrix24.com/api-reference/events/event-get.html
_EVENT_GET = Query("event.get", _events)


def _bind(client: Client, binding: Binding) -> Refused | None:
    """Returns a refusal, for the list to tell whether it matters."""
    params: dict[str, Any] = _address(binding)
    if binding.kind == "placement":
        params |= _titles() | {"LANG_ALL": _titles_by_language()}
    try:
        client.write(f"{binding.kind}.bind", params)
    except Refused as error:
        return error
    return None


def _titles() -> dict[str, Any]:
    return {
        "TITLE": gettext("Payments"),
        "DESCRIPTION": gettext("What is due on this deal or invoice, and how to pay it."),
    }


def _titles_by_language() -> dict[str, Any]:
    """Each person reads the tab's name in the language of their own Bitrix24."""
    titles = {}
    for code, language in languages.BY_PORTALS_CODE.items():
        with translation.override(language):
            titles[code] = _titles()
    return titles


def _unbind(client: Client, binding: Binding) -> None:
    client.write(f"{binding.kind}.unbind", _address(binding))


def _address(binding: Binding) -> dict[str, Any]:
    return {binding.kind.upper(): binding.code, "HANDLER": binding.handler}
