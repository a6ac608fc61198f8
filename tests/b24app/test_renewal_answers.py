"""The answers that the OAuth server may give to a renewal: stored, shown, retried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from b24app import models
from b24app.errors import ChainBroken
from b24app.identity import session
from b24app.identity.session import Person
from b24app.rest import transport
from b24app.tokens import oauth, store
from b24app.tokens.clients import user_client
from b24app.tokens.failures import TRIED_AGAIN_AFTER
from b24app.tokens.proof import PROFILE
from sandbox.api.faults import Fault
from sandbox.server.adapter import SandboxAdapter
from sandbox.server.app import Sandbox
from sandbox.world import installing, seed
from sandbox.world.world import Portal
from tests.b24app.rows import calls, installed, pair_of

pytestmark = pytest.mark.django_db(transaction=True)


@dataclass
class Stage:
    sandbox: Sandbox
    alpha: Portal
    settings: Settings
    row: models.UserToken

    def spend(self) -> None:
        oauth.refresh(self.row.refresh)
        self.sandbox.log.clear()

    def stop_paying(self) -> None:
        installing.end_trial(self.alpha, seed.OUR_CLIENT_ID)

    def remove(self) -> None:
        self.alpha.installations[seed.OUR_CLIENT_ID].removed = True

    def mistype_client_id(self) -> None:
        self.settings.B24_CLIENT_ID = "local.wrong"

    def answer_a_page(self) -> None:
        self.sandbox.faults.add(Fault("html502", "oauth.token", times=None))

    def answer_half(self) -> None:
        self.sandbox.faults.add(Fault("broken_json", "oauth.token", times=None))

    def die(self) -> None:
        adapter = transport.mounted_adapter()
        assert isinstance(adapter, SandboxAdapter)
        adapter.unreachable_hosts.add("oauth.bitrix.info")


@pytest.fixture
def stage(sandbox: Sandbox, alpha: Portal, settings: Settings) -> Stage:
    """A manager whose token has expired, by both clocks."""
    pair = pair_of(sandbox, alpha, seed.MANAGER, expires_in=timedelta(hours=-1))
    sandbox.world.tokens[pair.access].expires = sandbox.world.now() - 1
    row = store.store_user_pair(installed(sandbox, alpha), pair)
    return Stage(sandbox, alpha, settings, row)


def page(client: Client, portal: models.Portal) -> str:
    """Returns the page that the manager reads when their token expired while a page was open."""
    person = Person(portal, seed.MANAGER, proved_at=timezone.now())
    answer = client.get("/payments/", headers={session.HEADER: session.issue(person)})
    assert answer.status_code >= 400
    return answer.content.decode()


# `asked` counts the calls of the OAuth server for two tries; `hour_later` for a third.
@pytest.mark.parametrize(
    ("happens", "kept", "read", "asked", "hour_later"),
    [
        (Stage.spend, "invalid_grant", "Close the app and open it again", 1, 1),
        (Stage.stop_paying, "PAYMENT_REQUIRED", "subscription in this portal has ended", 1, 2),
        (Stage.remove, "NOT_INSTALLED", "The app is not installed in this portal", 1, 1),
        (Stage.mistype_client_id, "", "The people who run the app can correct it", 2, 3),
        (Stage.answer_a_page, "", "did not answer clearly", 2, 3),
        (Stage.answer_half, "", "did not answer clearly", 2, 3),
        (Stage.die, "", "could not be reached", 0, 0),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_each_is_told_apart(
    client: Client,
    stage: Stage,
    happens: Callable[[Stage], None],
    kept: str,
    read: str,
    asked: int,
    hour_later: int,
) -> None:
    happens(stage)
    portal = stage.row.portal

    for _ in range(2):
        assert read in page(client, portal)
    row = models.UserToken.objects.get()
    assert row.failure_code == kept
    assert (row.access, row.refresh) == (stage.row.access, stage.row.refresh)
    assert calls(stage.sandbox, "oauth.token") == asked

    models.UserToken.objects.update(failed_at=timezone.now() - TRIED_AGAIN_AFTER)
    assert read in page(client, portal)
    assert calls(stage.sandbox, "oauth.token") == hour_later


def test_a_renewed_subscription_is_noticed_within_the_hour(stage: Stage) -> None:
    stage.stop_paying()
    portal = stage.row.portal
    with pytest.raises(ChainBroken):
        user_client(portal, seed.MANAGER).read(PROFILE)
    stage.alpha.installations[seed.OUR_CLIENT_ID].paid_until = None
    with pytest.raises(ChainBroken):
        user_client(portal, seed.MANAGER).read(PROFILE)

    models.UserToken.objects.update(failed_at=timezone.now() - TRIED_AGAIN_AFTER)
    assert user_client(portal, seed.MANAGER).read(PROFILE).user_id == seed.MANAGER
    row = models.UserToken.objects.get()
    assert (row.failure_code, row.failed_at) == ("", None)


def test_a_server_that_comes_back_needs_no_repair(client: Client, stage: Stage) -> None:
    stage.answer_a_page()
    page(client, stage.row.portal)
    stage.sandbox.faults.clear()

    assert user_client(stage.row.portal, seed.MANAGER).read(PROFILE).user_id == seed.MANAGER
