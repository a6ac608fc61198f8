"""Requests a portal's pages and reads their frames, forms and tabs."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sandbox.host.visit import cookie_name
from sandbox.server.app import Sandbox
from sandbox.tools.elements import Element, read
from sandbox.wire.http import Request, Response
from sandbox.world import seed
from sandbox.world.world import Installation, Portal
from tests.sandbox.wire import APP_URL, in_process

HANDLER = f"{APP_URL}/"
DEAL_PATH = f"/crm/deal/details/{seed.DEAL}/"
DEAL_TAB = {"placement": "CRM_DEAL_DETAIL_TAB", "handler": HANDLER, "title": "Payments"}
INVOICE_TAB = {**DEAL_TAB, "placement": "CRM_SMART_INVOICE_DETAIL_TAB"}


def a_stage() -> Sandbox:
    """Returns a sandbox with our application installed on both portals, its tabs bound."""
    stage = in_process().sandbox
    for portal in stage.world.portals.values():
        ours(portal).placements += [dict(DEAL_TAB), dict(INVOICE_TAB)]
    return stage


def ours(portal: Portal) -> Installation:
    return portal.installations[seed.OUR_CLIENT_ID]


def ask(
    sandbox: Sandbox,
    path: str,
    *,
    user: int | None,
    form: dict[str, Any] | None = None,
    portal: str = seed.ALPHA,
) -> Response:
    """Sends a GET, or a POST if there is a `form`, with the portal's cookie of `user`."""
    at = sandbox.world.portals[portal]
    parts = urlsplit(path)
    return sandbox.respond(
        Request(
            method="GET" if form is None else "POST",
            host=urlsplit(at.url).netloc,
            path=parts.path,
            query={name: values[0] for name, values in parse_qs(parts.query).items()},
            form=form or {},
            headers={"cookie": f"{cookie_name(at)}={user}"} if user else {},
        ),
        lambda seconds: None,
    )


def page(sandbox: Sandbox, path: str, *, user: int, portal: str = seed.ALPHA) -> Element:
    return read(ask(sandbox, path, user=user, portal=portal).body.decode())


def tab_of(sandbox: Sandbox, path: str, *, user: int = seed.MANAGER) -> Element:
    return page(sandbox, f"{path}?tab=rest_1", user=user)


def app_page(sandbox: Sandbox, *, user: int, more: str = "") -> Element:
    number = ours(sandbox.world.portals[seed.ALPHA]).id
    return page(sandbox, f"/marketplace/app/{number}/{more}", user=user)


def form_of(tree: Element) -> Element:
    form = tree.first("form", target=frame_of(tree).attributes["name"])
    assert form is not None
    return form


def frame_of(tree: Element) -> Element:
    frame = tree.first("iframe")
    assert frame is not None, tree.text
    return frame


def layout_of(tree: Element) -> dict[str, Any]:
    script = tree.first("script", id="layout")
    assert script is not None
    layout: dict[str, Any] = json.loads(script.text)
    return layout


def query(sandbox: Sandbox, tree: Element, action: str, *, user: int, **form: str) -> Response:
    return ask(sandbox, f"/_host/layout/{layout_of(tree)['sid']}/{action}", user=user, form=form)


def tabs(sandbox: Sandbox, *, user: int = seed.MANAGER) -> list[str]:
    navigation = page(sandbox, DEAL_PATH, user=user).first("nav", aria_label="Tabs")
    assert navigation is not None
    return [link.text for link in navigation.all("a")]
