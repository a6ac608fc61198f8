"""Tabs and events that a portal has dropped are bound again by the next administrator's page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from b24app import models
from b24app.install.bindings import EVENTS, PLACEMENTS
from b24app.models import CHECK_BINDINGS_AFTER
from b24app.rest import operating
from sandbox.api.faults import Fault
from sandbox.api.methods import placement
from sandbox.server.app import Sandbox
from sandbox.world import installing, seed
from sandbox.world.events import form_body
from sandbox.world.world import Installation, Portal, Role
from tests.b24app.portal_posts import FORM, install, opening_fields, post
from tests.b24app.test_install import ALL, bindings

pytestmark = pytest.mark.django_db


@pytest.fixture
def portal(client: Client, sandbox: Sandbox, alpha: Portal) -> models.Portal:
    known = install(client, sandbox, alpha)
    sandbox.world.outbox.clear()
    return known


@pytest.fixture
def installation(alpha: Portal, portal: models.Portal) -> Installation:
    return alpha.installations[seed.OUR_CLIENT_ID]


def open_app(
    client: Client, sandbox: Sandbox, portal: Portal, user_id: int = seed.ADMIN, **changes: str
) -> Any:
    page = post(client, "/", opening_fields(sandbox, portal, user_id, **changes))
    assert page.status_code == 200
    return page


def asks_to_bind(page: Any) -> bool:
    return 'hx-post="/bindings/" hx-trigger="load"' in page.content.decode()


def bind(client: Client, page: Any) -> int:
    headers = {"x-frame-session": page.context["frame_session"], "hx-request": "true"}
    status: int = client.post("/bindings/", headers=headers).status_code
    return status


def update(client: Client, sandbox: Sandbox, portal: Portal, *, heard: bool = True) -> None:
    """Installs a newer version of the app, which drops its event bindings."""
    installing.update(sandbox.world, portal, seed.OUR_CLIENT_ID, user_id=seed.ADMIN, dropped=EVENTS)
    fields = sandbox.world.outbox.pop().fields
    if heard:
        assert client.post("/event/", form_body(fields), content_type=FORM).status_code == 200


def placed_and_heard(sandbox: Sandbox, since: int) -> list[str]:
    return [call.method for call in sandbox.log[since:] if call.method.endswith(".bind")]


def test_after_an_update_an_administrators_page_binds_again_once(
    client: Client, sandbox: Sandbox, alpha: Portal, installation: Installation
) -> None:
    assert not asks_to_bind(open_app(client, sandbox, alpha))
    update(client, sandbox, alpha)
    assert bindings(installation) != ALL
    page = open_app(client, sandbox, alpha)
    assert asks_to_bind(page)
    since = len(sandbox.log)
    assert bind(client, page) == 204
    assert bindings(installation) == ALL
    assert placed_and_heard(sandbox, since) == ["event.bind"] * 4
    assert not asks_to_bind(open_app(client, sandbox, alpha))
    since = len(sandbox.log)
    assert bind(client, page) == 204
    assert len(sandbox.log) == since
    assert bindings(installation) == ALL


def test_the_opening_itself_does_not_wait_for_it(
    client: Client, sandbox: Sandbox, alpha: Portal, installation: Installation
) -> None:
    open_app(client, sandbox, alpha)
    since = len(sandbox.log)
    open_app(client, sandbox, alpha)
    usual = [sorted(call.methods) for call in sandbox.log[since:]]
    update(client, sandbox, alpha)
    since = len(sandbox.log)
    open_app(client, sandbox, alpha)
    assert sorted(sorted(call.methods) for call in sandbox.log[since:]) == sorted(usual)


def test_a_managers_opening_does_nothing(
    client: Client, sandbox: Sandbox, alpha: Portal, installation: Installation
) -> None:
    update(client, sandbox, alpha)
    left = bindings(installation)
    page = open_app(client, sandbox, alpha, seed.MANAGER)
    assert not asks_to_bind(page)
    assert bind(client, page) == 403
    assert bindings(installation) == left
    assert models.Portal.objects.get().bindings_are_due


def test_without_a_session_nothing_is_bound(client: Client, portal: models.Portal) -> None:
    assert client.post("/bindings/").status_code == 401


def test_an_administrator_who_did_not_install_it_will_do(
    client: Client, sandbox: Sandbox, alpha: Portal, installation: Installation
) -> None:
    alpha.users[seed.MANAGER].role = Role.PORTAL_ADMIN
    update(client, sandbox, alpha)
    assert bind(client, open_app(client, sandbox, alpha, seed.MANAGER)) == 204
    assert bindings(installation) == ALL


def test_an_update_without_its_event_shows_by_its_new_token(
    client: Client, sandbox: Sandbox, alpha: Portal, installation: Installation
) -> None:
    update(client, sandbox, alpha, heard=False)
    installation.application_token = "new"
    page = open_app(client, sandbox, alpha)
    assert asks_to_bind(page)
    bind(client, page)
    assert bindings(installation) == ALL
    assert models.Portal.objects.get().application_token == "new"


def test_dropped_bindings_are_found_within_a_day(
    client: Client, sandbox: Sandbox, alpha: Portal, installation: Installation
) -> None:
    update(client, sandbox, alpha, heard=False)
    installation.placements.clear()
    assert not asks_to_bind(open_app(client, sandbox, alpha))
    yesterday = timezone.now() - CHECK_BINDINGS_AFTER - timedelta(seconds=1)
    models.Portal.objects.update(bindings_checked_at=yesterday)
    page = open_app(client, sandbox, alpha)
    assert asks_to_bind(page)
    bind(client, page)
    assert bindings(installation) == ALL


@pytest.mark.parametrize("kind", ["drop", "operation_limit", "html502"])
def test_a_failure_is_for_the_log_and_the_next_opening(
    client: Client,
    sandbox: Sandbox,
    alpha: Portal,
    installation: Installation,
    caplog: pytest.LogCaptureFixture,
    kind: str,
) -> None:
    update(client, sandbox, alpha)
    page = open_app(client, sandbox, alpha)
    sandbox.faults.add(Fault(kind, method="event.bind", times=None))
    assert bind(client, page) == 204
    assert "were not restored" in caplog.text
    sandbox.faults.clear()
    operating.forget()  # the block has ended
    page = open_app(client, sandbox, alpha)
    assert asks_to_bind(page)
    assert bind(client, page) == 204
    assert bindings(installation) == ALL


@pytest.mark.parametrize("method", ["profile", "event.bind"])
def test_two_tabs_opened_at_once_bind_once(
    client: Client, sandbox: Sandbox, alpha: Portal, installation: Installation, method: str
) -> None:
    update(client, sandbox, alpha)
    one, two = open_app(client, sandbox, alpha), open_app(client, sandbox, alpha)
    assert asks_to_bind(one)
    assert asks_to_bind(two)
    statuses: list[int] = []
    # The other tab's request comes while this one is about to bind, or binding.
    fault = sandbox.faults.add(Fault("delay", method=method, seconds=0))
    fault.on_hit = lambda: statuses.append(bind(client, two))
    since = len(sandbox.log)
    statuses.append(bind(client, one))
    assert statuses == [204, 204]
    assert placed_and_heard(sandbox, since) == ["event.bind"] * 4
    assert sum("event.get" in call.batch for call in sandbox.log[since:]) == 2
    assert bindings(installation) == ALL


def test_an_update_installed_by_another_administrator(
    client: Client, sandbox: Sandbox, alpha: Portal, installation: Installation
) -> None:
    """Another person walks through the new version's installer, and nothing is bound twice."""
    alpha.users[seed.MANAGER].role = Role.PORTAL_ADMIN
    update(client, sandbox, alpha)
    page = post(client, "/install/", opening_fields(sandbox, alpha, seed.MANAGER))
    session = page.context["frame_session"]
    for _ in range(2):
        finished = client.post("/install/finish/", headers={"x-frame-session": session})
        assert finished.json() == {"ok": True}
    assert bindings(installation) == ALL
    assert models.Portal.objects.count() == 1
    serving = models.UserToken.objects.get(serves_portal=True)
    assert serving.user_id == seed.MANAGER
    assert not asks_to_bind(open_app(client, sandbox, alpha, seed.ADMIN))


def test_a_portal_of_before_gets_the_new_places_by_its_daily_look(
    client: Client, sandbox: Sandbox, alpha: Portal, installation: Installation
) -> None:
    """It was installed when there were two tabs and no more."""
    old = ("CRM_DEAL_DETAIL_TAB", "CRM_SMART_INVOICE_DETAIL_TAB")
    installation.placements[:] = [row for row in installation.placements if row["placement"] in old]
    yesterday = timezone.now() - CHECK_BINDINGS_AFTER - timedelta(seconds=1)
    models.Portal.objects.update(bindings_checked_at=yesterday)
    since = len(sandbox.log)
    assert bind(client, open_app(client, sandbox, alpha)) == 204
    assert bindings(installation) == ALL
    assert placed_and_heard(sandbox, since) == ["placement.bind"] * (len(PLACEMENTS) - len(old))
    titles = {row["placement"]: row["title"] for row in installation.placements}
    assert titles["CRM_DEAL_LIST_MENU"] == titles["CRM_SMART_INVOICE_LIST_MENU"] == "Pay…"
    assert titles["CRM_ORDER_DETAIL_TAB"] == "Payments"


def test_what_a_portal_does_not_offer_is_not_missed(
    client: Client,
    sandbox: Sandbox,
    alpha: Portal,
    installation: Installation,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An older box knows neither an order's tab nor an invoice's menu."""
    kept = ("CRM_DEAL_DETAIL_TAB", "CRM_SMART_INVOICE_DETAIL_TAB", "CRM_DEAL_LIST_MENU")
    monkeypatch.setitem(placement.BY_SCOPE, "crm", kept)
    installation.placements.clear()
    models.Portal.objects.update(bindings_checked_at=None)
    assert bind(client, open_app(client, sandbox, alpha)) == 204
    assert {row["placement"] for row in installation.placements} == set(kept)
    assert not models.Portal.objects.get().bindings_are_due


def test_existing_bindings_are_kept_if_the_portal_does_not_say_what_it_offers(
    client: Client, sandbox: Sandbox, alpha: Portal, installation: Installation
) -> None:
    models.Portal.objects.update(bindings_checked_at=None)
    sandbox.faults.add(Fault("operation_limit", method="placement.list", times=None))
    assert bind(client, open_app(client, sandbox, alpha)) == 204
    assert bindings(installation) == ALL
