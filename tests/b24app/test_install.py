"""Installation: what it stores and binds, that a second one is the same, and how it fails."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client, override_settings

from b24app import models
from b24app.install.bindings import EVENTS, PLACEMENTS
from b24app.models import UserToken
from b24app.rest import operating
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import installing, seed
from sandbox.world.world import Installation, Portal
from tests.b24app.portal_posts import (
    begin,
    install,
    opening_fields,
    post,
    session_of,
    stored,
)
from tests.conftest import APP_URL

pytestmark = pytest.mark.django_db


@pytest.fixture
def installation(sandbox: Sandbox, alpha: Portal) -> Installation:
    begin(sandbox, alpha)
    return alpha.installations[seed.OUR_CLIENT_ID]


def bindings(installation: Installation) -> list[tuple[str, str]]:
    tabs = [(row["placement"], row["handler"]) for row in installation.placements]
    return sorted(tabs + [(row["event"], row["handler"]) for row in installation.events])


ALL = sorted(
    [(code, f"{APP_URL}/") for code in PLACEMENTS]
    + [(code, f"{APP_URL}/event/") for code in EVENTS]
)


def start(client: Client, sandbox: Sandbox, portal: Portal, **changes: str) -> Any:
    return post(client, "/install/", opening_fields(sandbox, portal, seed.ADMIN, **changes))


def finish(client: Client, session: str) -> Any:
    return client.post("/install/finish/", headers={"x-frame-session": session})


def test_the_portal_is_known_by_what_the_oauth_server_says(
    client: Client, sandbox: Sandbox, alpha: Portal, installation: Installation
) -> None:
    portal = install(client, sandbox, alpha)
    assert portal.client_endpoint == "https://alpha.example.com/rest/"
    assert portal.domain == "alpha.example.com"
    assert (portal.app_id, portal.app_code) == (installation.id, seed.OUR_CLIENT_ID)
    assert portal.application_token == installation.application_token
    assert portal.scopes == frozenset(seed.OUR_SCOPES)
    assert portal.installed_at is not None
    row = UserToken.objects.get(portal=portal)
    assert (row.user_id, row.serves_portal) == (seed.ADMIN, True)


def test_each_place_is_bound_once(
    client: Client, sandbox: Sandbox, alpha: Portal, installation: Installation
) -> None:
    install(client, sandbox, alpha)
    assert bindings(installation) == ALL


def test_the_page_has_the_session_and_no_token(
    client: Client, sandbox: Sandbox, alpha: Portal, installation: Installation
) -> None:
    fields = opening_fields(sandbox, alpha, seed.ADMIN)
    page = post(client, "/install/", fields)
    shown = page.content.decode()
    assert f'data-session="{page.context["frame_session"]}"' in shown
    assert 'data-finish-url="/install/finish/"' in shown
    for name in ("AUTH_ID", "REFRESH_ID", "APPLICATION_TOKEN"):
        assert fields[name] not in shown
    assert "Set-Cookie" not in page


def test_nothing_is_installed_before_everything_is_bound(
    client: Client, sandbox: Sandbox, alpha: Portal, installation: Installation
) -> None:
    page = start(client, sandbox, alpha)
    assert models.Portal.objects.get().installed_at is None
    sandbox.faults.add(Fault("operation_limit", method="placement.bind", times=None))
    answer = finish(client, page.context["frame_session"])
    assert answer.status_code == 409
    assert answer.json()["error"] == "OPERATION_TIME_LIMIT"
    assert "ten minutes" in answer.json()["sentence"]
    assert models.Portal.objects.get().installed_at is None
    sandbox.faults.clear()
    operating.forget()  # the block has ended
    assert finish(client, page.context["frame_session"]).json() == {"ok": True}
    assert bindings(installation) == ALL
    assert models.Portal.objects.get().installed_at is not None


@pytest.mark.parametrize("kind", ["drop", "status500", "broken_json"])
def test_a_lost_answer_is_found_by_trying_again(
    client: Client, sandbox: Sandbox, alpha: Portal, installation: Installation, kind: str
) -> None:
    page = start(client, sandbox, alpha)
    sandbox.faults.add(Fault(kind, method="placement.bind", when="after"))
    assert finish(client, page.context["frame_session"]).status_code == 504
    assert finish(client, page.context["frame_session"]).json() == {"ok": True}
    assert bindings(installation) == ALL


def test_two_clicks_at_once_bind_once(
    client: Client, sandbox: Sandbox, alpha: Portal, installation: Installation
) -> None:
    page = start(client, sandbox, alpha)
    session = page.context["frame_session"]
    answers: list[Any] = []
    # The other click comes after this one has read the bindings, and finishes first.
    fault = sandbox.faults.add(Fault("delay", method="placement.bind", seconds=0))
    fault.on_hit = lambda: answers.append(finish(client, session))
    answers.append(finish(client, session))
    assert [answer.json() for answer in answers] == [{"ok": True}, {"ok": True}]
    assert bindings(installation) == ALL


def test_installing_twice_changes_nothing_but_the_tokens(
    client: Client, sandbox: Sandbox, alpha: Portal, installation: Installation
) -> None:
    first = install(client, sandbox, alpha)
    before = UserToken.objects.get()
    second = install(client, sandbox, alpha)
    assert second.pk == first.pk
    assert second.installed_at == first.installed_at
    assert UserToken.objects.get().access != before.access
    assert bindings(installation) == ALL


def test_installing_again_after_removal(
    client: Client, sandbox: Sandbox, alpha: Portal, installation: Installation
) -> None:
    first = install(client, sandbox, alpha)
    installing.uninstall(sandbox.world, alpha, seed.OUR_CLIENT_ID, user_id=seed.ADMIN)
    models.Portal.objects.update(uninstalled_at=first.installed_at, session_generation=1)
    begin(sandbox, alpha)
    start(client, sandbox, alpha)
    between = models.Portal.objects.get()
    assert (between.installed_at, between.uninstalled_at) == (None, None)
    second = install(client, sandbox, alpha)
    assert second.pk == first.pk
    assert second.installed_at is not None
    assert second.session_generation == 1
    reinstalled = alpha.installations[seed.OUR_CLIENT_ID]
    assert second.application_token == reinstalled.application_token
    assert bindings(reinstalled) == ALL


def test_an_address_that_the_app_had_before_is_replaced(
    client: Client, sandbox: Sandbox, alpha: Portal, installation: Installation
) -> None:
    with override_settings(APP_URL="https://old.example.com"):
        install(client, sandbox, alpha)
    assert len(bindings(installation)) == len(ALL)
    install(client, sandbox, alpha)
    assert bindings(installation) == ALL


def test_places_of_others_and_of_other_kinds_are_left_alone(
    client: Client, sandbox: Sandbox, alpha: Portal, installation: Installation
) -> None:
    menu = {"placement": "LEFT_MENU", "handler": "https://old.example.com/"}
    installation.placements.append(menu)
    installation.events.append(
        {"id": 1, "event": "ONPAYMENTENTITYSAVED", "handler": "", "auth_type": 0}
    )
    install(client, sandbox, alpha)
    assert menu in installation.placements
    assert len(installation.events) == len(EVENTS) + 1


@pytest.mark.parametrize("user_id", [seed.MANAGER, seed.SETTINGS_ADMIN, seed.READER])
def test_only_an_administrator_installs(
    client: Client, sandbox: Sandbox, alpha: Portal, installation: Installation, user_id: int
) -> None:
    answer = post(client, "/install/", opening_fields(sandbox, alpha, user_id))
    assert answer.status_code == 403
    assert "Only an administrator" in answer.content.decode()
    assert not models.Portal.objects.exists()


def test_only_the_installer_finishes(
    client: Client, sandbox: Sandbox, alpha: Portal, installation: Installation
) -> None:
    install(client, sandbox, alpha)
    session = session_of(client, sandbox, alpha, seed.MANAGER)
    sandbox.log.clear()
    assert finish(client, session).status_code == 403
    assert sandbox.log == []


def test_a_missing_permission_is_named(
    client: Client, sandbox: Sandbox, alpha: Portal, installation: Installation
) -> None:
    installation.scopes = ("crm", "sale", "placement")
    answer = start(client, sandbox, alpha)
    assert answer.status_code == 403
    assert "pay_system, user_brief" in answer.content.decode()
    assert not models.Portal.objects.exists()


@pytest.mark.parametrize("host", ["oauth.bitrix.info", "alpha.example.com"])
@pytest.mark.parametrize("kind", ["drop", "status500", "html502", "broken_json"])
def test_an_outage_gives_a_page_to_try_again_and_stores_nothing(
    client: Client,
    sandbox: Sandbox,
    alpha: Portal,
    installation: Installation,
    host: str,
    kind: str,
) -> None:
    sandbox.faults.add(Fault(kind, host=host))
    answer = start(client, sandbox, alpha)
    assert answer.status_code == 504
    assert answer.context["retry"] is True
    assert not models.Portal.objects.exists()
    assert start(client, sandbox, alpha).status_code == 200


def test_an_older_portal_sends_no_application_token(
    client: Client, sandbox: Sandbox, alpha: Portal, installation: Installation
) -> None:
    page = start(client, sandbox, alpha, APPLICATION_TOKEN="", SERVER_ENDPOINT="")
    assert page.status_code == 200
    assert models.Portal.objects.get().application_token == ""


def test_a_portal_that_runs_no_batch_is_installed_all_the_same(
    client: Client, sandbox: Sandbox, alpha: Portal, installation: Installation
) -> None:
    alpha.batch_forbidden = frozenset({"app.info", "placement.get", "event.get"})
    install(client, sandbox, alpha)
    assert bindings(installation) == ALL


def test_a_forged_installation_changes_nothing_of_one_that_is_there(
    client: Client, sandbox: Sandbox, alpha: Portal, beta: Portal
) -> None:
    install(client, sandbox, alpha)
    begin(sandbox, beta)
    kept = stored()
    fields = opening_fields(sandbox, beta, seed.ADMIN, member_id=alpha.member_id)
    assert post(client, "/install/", fields).status_code == 403
    assert stored() == kept


@pytest.mark.parametrize("method", ["get", "head"])
@pytest.mark.parametrize("path", ["/", "/install/"])
def test_a_plain_browser_is_shown_where_the_app_is(client: Client, method: str, path: str) -> None:
    answer = getattr(client, method)(path)
    assert answer.status_code == 200
    assert "frame-ancestors" in answer["Content-Security-Policy"]
    if method == "get":
        assert "Bitrix24" in answer.content.decode()


def test_finishing_takes_two_readings_and_each_binding(
    client: Client, sandbox: Sandbox, alpha: Portal, installation: Installation
) -> None:
    page = start(client, sandbox, alpha)
    sandbox.log.clear()
    finish(client, page.context["frame_session"])
    assert len(sandbox.log) == len(ALL) + 2
    sandbox.log.clear()
    finish(client, page.context["frame_session"])
    assert len(sandbox.log) == 1
    assert json.dumps([call.batch for call in sandbox.log]) == (
        '[["placement.list", "placement.get", "event.get"]]'
    )
