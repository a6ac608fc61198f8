"""Renders a portal's first page: the choice of a person to sign in as."""

from __future__ import annotations

from sandbox.host.rendering import Html, join, render
from sandbox.host.shell import DEALS_PATH, bare_page, full_name, initials, role_name
from sandbox.host.visit import cookie_name, signed_in
from sandbox.wire.http import Request, Response
from sandbox.wire.loose import number_in
from sandbox.world.users import Level
from sandbox.world.world import Portal, Role, User

_NOTES = {
    Role.PORTAL_ADMIN: "Installs applications, sees and may do everything.",
    Role.CRM_SETTINGS_ADMIN: "Sets up the CRM and its payment systems, pays too.",
    Role.MANAGER: "May add and change orders, and so may pay.",
    Role.READER: "Reads deals and payments, may not pay.",
    Role.EXTRANET: "A partner from outside; the CRM is closed to them.",
    Role.DISMISSED: "Has left; cannot sign in.",
}
_LEVELS = {
    Level.NONE: "none",
    Level.OWN: "their own",
    Level.DEPARTMENT: "their department's",
    Level.SUB_DEPARTMENTS: "those of their department and below",
    Level.OPEN: "those of their department and below",
    Level.ALL: "all",
}


def chooser(portal: Portal, request: Request, others: list[Portal]) -> Response:
    current = signed_in(portal, request)
    people = join(_person(user, chosen=user == current) for user in portal.users.values())
    links = join(
        render("link", address=f"{other.url}/", text=other.title, current=Html(""))
        for other in others
    )
    back = _inside(request.params.get("back", DEALS_PATH))
    content = render("chooser", portal=portal.title, people=people, back=back, others=links)
    return bare_page(portal, "Who are you?", content)


def sign_in(portal: Portal, request: Request) -> Response:
    """Stores the choice in a cookie of the portal's own host."""
    user = portal.users.get(number_in(str(request.form.get("user_id", ""))) or 0)
    if user is None:
        return Response(302, b"", {"Location": "/"})
    return Response(
        302,
        b"",
        {
            "Location": _inside(request.form.get("back", DEALS_PATH)),
            "Set-Cookie": f"{cookie_name(portal)}={user.id}; Path=/; HttpOnly; SameSite=Lax",
        },
    )


def _person(user: User, *, chosen: bool) -> Html:
    return render(
        "person",
        id=user.id,
        initials=initials(user),
        name=full_name(user),
        role=role_name(user),
        note=_note(user),
        chosen="true" if chosen else "false",
    )


def _note(user: User) -> str:
    rights = user.order_rights
    if rights is not None and not user.is_admin:
        return (
            f"Orders: reads {_LEVELS[rights.read]}, adds {_LEVELS[rights.add]}, "
            f"changes {_LEVELS[rights.update]}."
        )
    return _NOTES[user.role] if user.sees_all else "May pay, and sees their own deals only."


def _inside(path: object) -> str:
    """Returns the text if it is a path on this portal, else the list of deals."""
    text = str(path)
    return text if text.startswith("/") and not text.startswith(("//", "/\\")) else DEALS_PATH
