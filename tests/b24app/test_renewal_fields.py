"""Renewals and sign-ins whose answers lack fields: no chain is lost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from b24app import models
from b24app.errors import NeverSent, TokenRejected
from b24app.rest import transport
from b24app.tokens import store
from sandbox.api import oauth as server
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.b24app.portal_posts import install
from tests.b24app.rows import calls, installed, pair_of
from tests.b24app.servers import Telling
from tests.b24app.test_oauth_flow import authorize, start

# A renewal commits before it is used, so these tests cannot live in a transaction of their own.
pytestmark = pytest.mark.django_db(transaction=True)

ABSENT = object()
OPTIONAL = ("user_id", "expires_in", "client_endpoint", "member_id", "scope", "status", "expires")
ODD = [ABSENT, None, "", "null", [], {}, True, 1.5, "soon", -1, 10**12, 10**30, "\ufffd", "\x00"]


@pytest.fixture
def row(sandbox: Sandbox, alpha: Portal) -> models.UserToken:
    return store.store_user_pair(installed(sandbox, alpha), pair_of(sandbox, alpha, seed.MANAGER))


def answer_with(monkeypatch: pytest.MonkeyPatch, **changes: object) -> None:
    """Makes the OAuth server issue pairs as usual and return them with these fields changed."""
    usual = server._pair

    def changed(*args: Any) -> dict[str, Any]:
        fields = {**usual(*args), **changes}
        return {name: value for name, value in fields.items() if value is not ABSENT}

    monkeypatch.setattr(server, "_pair", changed)


def renew(row: models.UserToken) -> str:
    return store.StoredCredentials(row).renew(row.access)


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: repr(odd)[:20])
def test_the_chain_goes_on_without_what_is_missing_or_absurd(
    sandbox: Sandbox, row: models.UserToken, monkeypatch: pytest.MonkeyPatch, odd: object
) -> None:
    for name in OPTIONAL:
        if name == "member_id" and isinstance(odd, str) and odd:
            continue  # It names another portal.
        if name == "user_id" and odd == 10**12:
            continue  # It names another person.
        with monkeypatch.context() as patch:
            answer_with(patch, **{name: odd})
            old = models.UserToken.objects.get()
            renew(old)
        kept = models.UserToken.objects.select_related("portal").get()
        assert (kept.user_id, kept.failure_code) == (seed.MANAGER, "")
        assert sandbox.world.tokens[kept.access].refresh == kept.refresh != old.refresh
        left = kept.expires_at - timezone.now()
        assert timedelta(minutes=59) < left < timedelta(hours=1, seconds=5)
        assert kept.portal.client_endpoint == "https://alpha.example.com/rest/"


def test_all_that_is_optional_may_be_missing_at_once(
    sandbox: Sandbox, row: models.UserToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_with(monkeypatch, **dict.fromkeys(OPTIONAL, ABSENT))
    access = renew(row)
    assert sandbox.world.tokens[access].user_id == seed.MANAGER


@pytest.mark.parametrize(
    "change", [{"user_id": seed.ADMIN}, {"user_id": str(seed.ADMIN)}, {"member_id": seed.BETA}]
)
def test_a_pair_that_names_another_person_or_portal_is_refused(
    row: models.UserToken, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    answer_with(monkeypatch, **change)
    with pytest.raises(TokenRejected):
        renew(row)
    assert models.UserToken.objects.get().access == row.access


@pytest.mark.parametrize("odd", [ABSENT, None, "", 5, "two words", "\ufffd"])
def test_a_refresh_token_alone_is_kept_and_renewed_once_more(
    sandbox: Sandbox, row: models.UserToken, monkeypatch: pytest.MonkeyPatch, odd: object
) -> None:
    with monkeypatch.context() as patch:
        answer_with(patch, access_token=odd)
        with pytest.raises(NeverSent):
            renew(row)
    kept = models.UserToken.objects.get()
    assert kept.refresh != row.refresh
    access = store.StoredCredentials(kept).access_token()
    assert sandbox.world.tokens[access].user_id == seed.MANAGER
    assert calls(sandbox, "oauth.token") == 2


@pytest.mark.parametrize("missing", ["user_id", "member_id"])
@pytest.mark.parametrize("user_id", [seed.MANAGER, seed.ADMIN])
def test_a_sign_in_whose_answer_names_no_person_asks_whose_it_is(
    client: Client,
    sandbox: Sandbox,
    alpha: Portal,
    monkeypatch: pytest.MonkeyPatch,
    missing: str,
    user_id: int,
) -> None:
    portal = install(client, sandbox, alpha)
    answer_with(monkeypatch, **{missing: ABSENT, "client_endpoint": ABSENT, "expires_in": None})
    back = authorize(sandbox, start(client)["Location"], user_id)
    assert client.get("/oauth/callback/", back).status_code == 200
    own = portal.tokens.get(user_id=user_id, serves_portal=False)
    assert sandbox.world.tokens[own.access].user_id == user_id


def test_a_sign_in_that_brings_no_access_token_and_no_name_keeps_nothing(
    client: Client, sandbox: Sandbox, alpha: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    portal = install(client, sandbox, alpha)
    answer_with(monkeypatch, user_id=ABSENT, access_token=ABSENT)
    back = authorize(sandbox, start(client)["Location"], seed.MANAGER)
    assert client.get("/oauth/callback/", back).status_code == 504
    assert not portal.tokens.filter(user_id=seed.MANAGER).exists()


def test_a_sign_in_for_another_portal_is_refused_also_where_it_has_to_be_asked(
    client: Client, sandbox: Sandbox, alpha: Portal, beta: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    portal = install(client, sandbox, alpha)
    other = install(client, sandbox, beta)
    answer_with(monkeypatch, member_id=ABSENT)
    began = start(client)
    state = authorize(sandbox, began["Location"], seed.MANAGER)["state"]
    address = began["Location"].replace("alpha.example.com", "beta.example.com")
    code = authorize(sandbox, address, seed.MANAGER)["code"]
    answer = client.get("/oauth/callback/", {"code": code, "state": state})
    assert answer.status_code == 403
    for row in (portal, other):
        assert not row.tokens.filter(user_id=seed.MANAGER).exists()


def test_an_absurd_answer_is_not_an_internal_error(
    client: Client, sandbox: Sandbox, row: models.UserToken
) -> None:
    bodies: list[Any] = [{}, {"refresh_token": "x" * 3000}, {"access_token": "a"}, []]
    for body in bodies:
        with transport.use_adapter(Telling(body)), pytest.raises(Exception) as told:
            renew(row)
        assert type(told.value).__module__ == "b24app.errors"
