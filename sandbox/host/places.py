"""Renders an application's places in the CRM: tabs of a card, items in the menu of a row."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from sandbox.host.card_types import CARD_TYPES
from sandbox.host.frame import app_frame, application_of, may_use
from sandbox.host.rendering import Html, join, render
from sandbox.host.shell import notice, page
from sandbox.host.visit import Visit
from sandbox.wire.http import Response
from sandbox.world.world import Installation

Bound = tuple[Installation, dict[str, Any]]


def bound_at(visit: Visit, code: str) -> list[Bound]:
    """Returns the bindings at a placement that this person may use, the oldest first."""
    return [
        (installation, bound)
        for installation in visit.portal.installations.values()
        if installation.finished and not installation.removed and may_use(visit, installation)
        for bound in installation.placements
        if bound["placement"] == code
    ]


def tabs_at(visit: Visit, code: str) -> dict[str, Bound]:
    """Returns the tabs of a card by their name in the address."""
    return {f"rest_{place}": pair for place, pair in enumerate(bound_at(visit, code), start=1)}


def tab_links(visit: Visit, path: str, tabs: dict[str, Bound]) -> Html:
    chosen = chosen_tab(visit)
    links = [_tab_link(path, "", "General", chosen if chosen in tabs else "")]
    links += [
        _tab_link(path, key, str(bound.get("title") or "Application"), chosen)
        for key, (_, bound) in tabs.items()
    ]
    return join(links)


def chosen_tab(visit: Visit) -> str:
    return str(visit.request.query.get("tab", ""))


def frame_at(visit: Visit, at: Bound, *, code: str, item_id: int, path: str) -> Html:
    """Renders the application's frame, with the item's id and the page's path in its options."""
    installation, bound = at
    return app_frame(
        visit,
        installation,
        url=str(bound["handler"]),
        placement=code,
        options={"ID": str(item_id), "URI": uri_of(path)},
    )


def uri_of(path: str) -> str:
    """Returns the Referer of a frame on this page: a portal opens cards in a slider.

    https://apidocs.bitrix24.com/api-reference/widgets/index.html
    """
    _, found, rest = path.partition("/details/")
    if not found:
        return path
    query = {"any": f"details/{rest}", "IFRAME": "Y", "IFRAME_TYPE": "SIDE_SLIDER"}
    return f"{path}?{urlencode(query)}"


def row_menu(visit: Visit, type_id: int, item_id: int) -> Html:
    """Renders the menu of a row; empty if no application is bound there."""
    items = [
        render(
            "row_menu_item",
            address=f"/crm/type/{type_id}/menu/{place}/{item_id}/",
            text=str(bound.get("title") or "Application"),
        )
        for place, (_, bound) in enumerate(bound_at(visit, CARD_TYPES[type_id].list_menu))
    ]
    return render("row_menu", items=join(items), number=item_id) if items else Html("")


def menu_page(visit: Visit, type_id: int, place: int, item_id: int) -> Response:
    """Renders the page that a menu item opens in a slider over the list."""
    card_type = CARD_TYPES.get(type_id)
    found = bound_at(visit, card_type.list_menu) if card_type else []
    if card_type is None or place >= len(found):
        return notice(visit, "Not found", "There is no such item in the menu.", status=404)
    frame = frame_at(
        visit,
        found[place],
        code=card_type.list_menu,
        item_id=item_id,
        path=card_type.list_path,
    )
    title = application_of(visit, found[place][0]).title
    return page(visit, title, render("app_page", title=title, frame=frame))


def _tab_link(path: str, key: str, title: str, chosen: str) -> Html:
    current = Html(' aria-current="page"') if key == chosen else Html("")
    address = f"{path}?tab={key}" if key else path
    return render("link", address=address, text=title, current=current)
