"""Maps addresses to the portal's own pages, and serves the BX24 script."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from sandbox.host import cards, lists, market, panel, payments, people, places, queries
from sandbox.host.card_types import CARD_TYPES, CardType
from sandbox.host.checkout import ask_provider, request_fields
from sandbox.host.rendering import render, static_file
from sandbox.host.shell import INVOICES_PATH, MARKET_PATH, bare_page
from sandbox.host.visit import Visit, signed_in
from sandbox.wire.http import Request, Response, html_response, redirect
from sandbox.world.world import DEAL, SMART_INVOICE, Portal, Role

if TYPE_CHECKING:
    from sandbox.api.state import State

_ASSETS = "/_host/assets/"
_BUYERS_PAGE = re.compile(r"/pay/([0-9]{1,9})/")
_NO_STORE = {"Cache-Control": "no-store"}
_OUTSIDERS = {
    Role.DISMISSED: "This person has left the company. Their account cannot sign in.",
    Role.EXTRANET: "People from outside the company cannot open the CRM and its applications.",
}

Page = Callable[[Visit, re.Match[str]], Response]


def respond(sandbox: State, portal: Portal, request: Request) -> Response | None:
    """Returns the page, or None if the portal has no page at this address."""
    if request.path.startswith(_ASSETS):
        return static_file(request.path.removeprefix(_ASSETS))
    if found := _BUYERS_PAGE.fullmatch(request.path):
        return _buyers_page(sandbox, portal, int(found[1]))
    with sandbox.world.lock:
        answer = _respond(sandbox, portal, request)
    if answer is None:
        return None
    return Response(answer.status, answer.body, {**_NO_STORE, **answer.headers}, answer.close)


def _buyers_page(sandbox: State, portal: Portal, payment_id: int) -> Response:
    """Redirects a buyer to the provider's page, or shows the provider's errors."""
    with sandbox.world.lock:
        payment = portal.payments.get(payment_id)
        asked = request_fields(portal, payment) if payment else None
    if asked is None:
        return html_response(render("notice", title="Not found", text="Nothing to pay here."), 404)
    page, errors = ask_provider(*asked)
    if page:
        return redirect(page)
    return html_response(render("notice", title="Not paid", text=" ".join(errors)), 409)


def script(request: Request) -> Response:
    """Returns the script that Bitrix24 serves at api.bitrix24.com/api/v1/."""
    return static_file("bx24.js") or html_response("", 404)


def _respond(sandbox: State, portal: Portal, request: Request) -> Response | None:
    if request.path == "/":
        others = [other for other in sandbox.world.portals.values() if other is not portal]
        return people.chooser(portal, request, others)
    if request.path == "/sign-in/" and request.method == "POST":
        return people.sign_in(portal, request)
    for pattern, method, page in _PAGES:
        found = pattern.fullmatch(request.path)
        if found and request.method in (method, "HEAD" if method == "GET" else method):
            return _for_person(sandbox, portal, request, found, page)
    return None


def _for_person(
    sandbox: State, portal: Portal, request: Request, found: re.Match[str], page: Page
) -> Response:
    user = signed_in(portal, request)
    if user is None:
        return redirect(f"/?{urlencode({'back': request.path})}")
    if user.role in _OUTSIDERS:
        content = render("refused", title="Access denied", text=_OUTSIDERS[user.role])
        return bare_page(portal, "Access denied", content, status=403)
    return page(Visit(sandbox, portal, request, user), found)


def _page(path: str, page: Page, *, method: str = "GET") -> tuple[re.Pattern[str], str, Page]:
    return re.compile(path), method, page


def _card_page(card_type: CardType) -> tuple[re.Pattern[str], str, Page]:
    return _page(
        card_type.path.format(r"([0-9]{1,9})"),
        lambda visit, found: cards.card(visit, card_type.type_id, int(found[1])),
    )


_PAGES = (
    _page("/crm/|/crm/deal/(list/)?", lambda visit, _: lists.item_list(visit, DEAL)),
    _page(INVOICES_PATH, lambda visit, _: lists.item_list(visit, SMART_INVOICE)),
    *(_card_page(card_type) for card_type in CARD_TYPES.values()),
    _page(
        r"/crm/type/([0-9]{1,9})/menu/([0-9]{1,9})/([0-9]{1,9})/",
        lambda visit, found: places.menu_page(visit, int(found[1]), int(found[2]), int(found[3])),
    ),
    _page(MARKET_PATH, lambda visit, _: market.market(visit)),
    _page(f"{MARKET_PATH}install/", lambda visit, _: market.install(visit), method="POST"),
    _page(f"{MARKET_PATH}remove/", lambda visit, _: market.remove(visit), method="POST"),
    _page(
        MARKET_PATH + r"app/([0-9]{1,9})/",
        lambda visit, found: market.application_page(visit, int(found[1])),
    ),
    _page("/_host/payments", lambda visit, _: payments.payments_json(visit)),
    _page(
        "/_host/layout/([0-9a-f]+)/([a-z-]+)",
        lambda visit, found: queries.respond(visit, found[1], found[2]),
        method="POST",
    ),
    _page("/_host/panel", lambda visit, _: panel.panel_json(visit)),
    _page("/_host/panel/arm", lambda visit, _: panel.arm(visit), method="POST"),
    _page("/_host/panel/disarm", lambda visit, _: panel.disarm(visit), method="POST"),
)
