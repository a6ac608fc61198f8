"""Renders the page around every page: left menu, signed-in person, sandbox panel."""

from __future__ import annotations

from sandbox.host.frame import application_of, application_path, may_use, present
from sandbox.host.panel import panel
from sandbox.host.rendering import Html, join, render
from sandbox.host.visit import Visit
from sandbox.wire.http import Response, html_response
from sandbox.world.world import Installation, Portal, Role, User

DEALS_PATH = "/crm/deal/"
INVOICES_PATH = "/crm/type/31/list/"
MARKET_PATH = "/marketplace/"
_EMPTY = Html("")


def page(visit: Visit, title: str, content: Html, *, status: int = 200) -> Response:
    return html_response(
        render(
            "shell",
            language=visit.portal.language,
            title=title,
            portal=visit.portal.title,
            mode="in-slider" if visit.in_slider else "whole",
            menu=_EMPTY if visit.in_slider else _menu(visit),
            content=content,
            panel=_EMPTY if visit.in_slider else panel(visit),
        ),
        status,
    )


def notice(visit: Visit, title: str, text: str, *, status: int) -> Response:
    """Renders a page with a title and one sentence."""
    return page(visit, title, render("notice", title=title, text=text), status=status)


def bare_page(portal: Portal, title: str, content: Html, *, status: int = 200) -> Response:
    """Renders a page without menu and panel, for visitors who are not signed in."""
    return html_response(
        render(
            "shell",
            language=portal.language,
            title=title,
            portal=portal.title,
            mode="in-slider",
            menu=_EMPTY,
            content=content,
            panel=_EMPTY,
        ),
        status,
    )


def initials(user: User) -> str:
    return f"{user.name[:1]}{user.last_name[:1]}"


def full_name(user: User) -> str:
    return f"{user.name} {user.last_name}"


def role_name(user: User) -> str:
    if user.role is Role.MANAGER and not user.sees_all:
        return "Manager of own deals only"
    role = str(user.role)
    return role[:1].upper() + role[1:]


def _menu(visit: Visit) -> Html:
    path = visit.request.path
    applications = [
        _link(application_path(installation), application_of(visit, installation).title, path)
        for installation in _shown_installations(visit)
    ]
    if visit.user.is_admin:
        applications += [
            render("menu_install", client_id=application.client_id, title=application.title)
            for application in visit.sandbox.world.applications.values()
            if present(visit, application) is None
        ]
    return render(
        "menu",
        portal=visit.portal.title,
        crm=join([_link(DEALS_PATH, "Deals", path), _link(INVOICES_PATH, "Invoices", path)]),
        market=_link(MARKET_PATH, "Marketplace", path),
        applications=join(applications),
        initials=initials(visit.user),
        name=full_name(visit.user),
        role=role_name(visit.user),
    )


def _link(address: str, text: str, current: str) -> Html:
    inside = current.startswith(address) and (address != MARKET_PATH or current == address)
    marked = Html(' aria-current="page"') if inside else _EMPTY
    return render("menu_link", address=address, text=text, current=marked)


def _shown_installations(visit: Visit) -> list[Installation]:
    """Returns the installations in this person's left menu."""
    return [
        installation
        for installation in visit.portal.installations.values()
        if not installation.removed and may_use(visit, installation)
    ]
