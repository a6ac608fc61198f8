"""Renders the list of applications, with Install and Remove, and each application's page."""

from __future__ import annotations

from sandbox.host.frame import (
    app_frame,
    application_of,
    application_path,
    may_use,
    present,
)
from sandbox.host.rendering import Html, join, render
from sandbox.host.shell import MARKET_PATH, notice, page
from sandbox.host.visit import Visit
from sandbox.wire.http import Response, redirect
from sandbox.world.installing import begin_installation, uninstall
from sandbox.world.world import Application, Installation

# Parameters for the portal itself; all others go to the application.
_OWN_PARAMETERS = frozenset({"IFRAME", "IFRAME_TYPE", "install_finished", "from", "from_app", "_r"})


def market(visit: Visit) -> Response:
    applications = visit.sandbox.world.applications.values()
    content = render("market", rows=join(_row(visit, application) for application in applications))
    return page(visit, "Marketplace", content)


def install(visit: Visit) -> Response:
    application = _asked_for(visit)
    if application is None:
        return _forbidden(visit)
    installation = begin_installation(visit.sandbox.world, visit.portal, application.client_id)
    return redirect(application_path(installation))


def remove(visit: Visit) -> Response:
    application = _asked_for(visit)
    if application is None or present(visit, application) is None:
        return _forbidden(visit)
    uninstall(visit.sandbox.world, visit.portal, application.client_id, user_id=visit.user.id)
    return redirect(MARKET_PATH)


def application_page(visit: Visit, installation_id: int) -> Response:
    for installation in visit.portal.installations.values():
        if installation.id == installation_id and not installation.removed:
            break
    else:
        return notice(visit, "Not found", "This application is not installed.", status=404)
    if not may_use(visit, installation):
        text = "You have no access to this application. Ask your administrator."
        return notice(visit, "Access denied", text, status=403)
    if installation.is_unpaid(visit.sandbox.world.now()):
        text = "The trial or the subscription of this application has ended."
        return notice(visit, "Application not paid for", text, status=200)
    if not installation.finished and not visit.user.is_admin:
        text = (
            "The installation of this application is not finished. "
            "Ask your administrator to open it and to finish the installation."
        )
        return notice(visit, "Installation not finished", text, status=200)
    return page(visit, application_of(visit, installation).title, _frame(visit, installation))


def _frame(visit: Visit, installation: Installation) -> Html:
    application = application_of(visit, installation)
    if installation.finished:
        frame = app_frame(
            visit, installation, url=application.url, options=_placement_options(visit)
        )
    else:
        frame = app_frame(visit, installation, url=application.install_url, installing=True)
    return render("app_page", title=application.title, frame=frame)


def _placement_options(visit: Visit) -> dict[str, str]:
    return {
        name: value
        for name, value in visit.request.query.items()
        if name not in _OWN_PARAMETERS and not name.startswith("bx24_") and isinstance(value, str)
    }


def _asked_for(visit: Visit) -> Application | None:
    """Returns the application in the form, or None if this person may not install and remove."""
    if not visit.user.is_admin:
        return None
    client_id = str(visit.request.form.get("client_id", ""))
    return visit.sandbox.world.applications.get(client_id)


def _forbidden(visit: Visit) -> Response:
    text = "Only an administrator can install and remove applications."
    return notice(visit, "Access denied", text, status=403)


def _row(visit: Visit, application: Application) -> Html:
    installation = present(visit, application)
    if installation is None:
        state, action, address = "Not installed", "Install", f"{MARKET_PATH}install/"
    else:
        state = "Installed" if installation.finished else "Installation not finished"
        action, address = "Remove", f"{MARKET_PATH}remove/"
    buttons = Html("")
    if visit.user.is_admin:
        buttons = render(
            "market_button",
            address=address,
            client_id=application.client_id,
            action=action,
            kind="button small" if installation else "button small primary",
        )
    return render(
        "market_row",
        title=application.title,
        open=application_path(installation) if installation else MARKET_PATH,
        scopes=", ".join(application.scopes),
        pill="pill success" if installation and installation.finished else "pill",
        state=state,
        buttons=buttons,
    )
