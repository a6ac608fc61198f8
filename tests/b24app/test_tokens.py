"""Renewal of pairs: once for all that wait, and without losing what the server returned."""

from __future__ import annotations

import logging
import threading
import time
from datetime import timedelta

import pytest
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from b24app import models
from b24app.errors import B24Error, ChainBroken, NeverSent, OutcomeUnknown, Refused, TokenRejected
from b24app.rest import transport
from b24app.tokens import oauth, store
from b24app.tokens.clients import portal_client, user_client
from sandbox.api.faults import Fault
from sandbox.server.adapter import SandboxAdapter
from sandbox.server.app import Sandbox
from sandbox.world import installing, seed
from sandbox.world.installing import begin_installation, uninstall
from sandbox.world.world import Portal
from tests.b24app.rows import calls, installed, pair_of

# A renewal commits before it is used, so these tests cannot live in a transaction of their own.
pytestmark = pytest.mark.django_db(transaction=True)

SOON = timedelta(seconds=119)
PAST = timedelta(seconds=-1)


@pytest.fixture
def portal(sandbox: Sandbox, alpha: Portal) -> models.Portal:
    return installed(sandbox, alpha)


@pytest.fixture
def row(sandbox: Sandbox, alpha: Portal, portal: models.Portal) -> models.UserToken:
    """The manager's pair."""
    return store.store_user_pair(portal, pair_of(sandbox, alpha, seed.MANAGER))


def renewed(row: models.UserToken) -> str:
    return store.StoredCredentials(row).renew(row.access)


# Storing


def test_a_pair_is_kept_in_place_of_the_older_one(
    sandbox: Sandbox, alpha: Portal, portal: models.Portal, row: models.UserToken
) -> None:
    row.failure_code = "invalid_grant"
    row.save()
    newer = pair_of(sandbox, alpha, seed.MANAGER)

    store.store_user_pair(portal, newer)

    kept = models.UserToken.objects.get()
    assert (kept.access, kept.refresh) == (newer.access, newer.refresh)
    assert kept.failure_code == ""


def test_a_persons_pair_and_the_portals_pair_are_two(
    sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    own = store.store_user_pair(portal, pair_of(sandbox, alpha, seed.ADMIN))
    serving = store.store_portal_pair(portal, pair_of(sandbox, alpha, seed.ADMIN))

    assert own.pk != serving.pk
    assert store.user_credentials(portal, seed.ADMIN).access_token() == own.access
    assert store.portal_credentials(portal).access_token() == serving.access


def test_another_administrators_pair_takes_over_the_portal(
    sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    store.store_portal_pair(portal, pair_of(sandbox, alpha, seed.ADMIN))
    store.store_portal_pair(portal, pair_of(sandbox, alpha, seed.SETTINGS_ADMIN))

    assert models.UserToken.objects.get(serves_portal=True).user_id == seed.SETTINGS_ADMIN


def test_without_a_pair_there_is_no_client(portal: models.Portal) -> None:
    with pytest.raises(ChainBroken) as told:
        portal_client(portal)
    assert "not installed" in str(told.value.sentence)
    with pytest.raises(ChainBroken) as told:
        user_client(portal, seed.MANAGER)
    assert "open it again" in str(told.value.sentence)


# Renewing


def test_a_renewed_pair_is_kept_encrypted(sandbox: Sandbox, row: models.UserToken) -> None:
    access = renewed(row)

    kept = models.UserToken.objects.get()
    issued = sandbox.world.tokens[access]
    assert (kept.access, kept.refresh) == (access, issued.refresh)
    assert kept.expires_at > timezone.now() + timedelta(minutes=59)
    assert kept.refreshed_at > row.refreshed_at
    with connection.cursor() as cursor:
        cursor.execute("SELECT access, refresh FROM b24app_usertoken")
        assert not {access, issued.refresh} & set(cursor.fetchone())


def test_a_token_that_outlives_the_call_is_not_renewed(
    sandbox: Sandbox, row: models.UserToken
) -> None:
    assert store.StoredCredentials(row).access_token() == row.access
    assert calls(sandbox, "oauth.token") == 0


@pytest.mark.parametrize("left", [SOON, PAST])
def test_a_token_about_to_expire_is_renewed_first(
    sandbox: Sandbox, row: models.UserToken, left: timedelta
) -> None:
    row.expires_at = timezone.now() + left
    credentials = store.StoredCredentials(row)

    access = credentials.access_token()

    assert access != row.access
    assert credentials.access_token() == access
    assert calls(sandbox, "oauth.token") == 1


@pytest.mark.parametrize(("left", "still_good"), [(SOON, True), (PAST, False)])
def test_the_old_token_serves_while_it_lasts_where_no_new_one_can_be_had(
    sandbox: Sandbox, row: models.UserToken, left: timedelta, still_good: bool
) -> None:
    row.expires_at = timezone.now() + left
    door = SandboxAdapter(sandbox)
    door.unreachable_hosts.add("oauth.bitrix.info")
    with transport.use_adapter(door):
        if still_good:
            assert store.StoredCredentials(row).access_token() == row.access
        else:
            with pytest.raises(NeverSent):
                store.StoredCredentials(row).access_token()


def test_who_comes_late_uses_the_pair_that_is_there(
    sandbox: Sandbox, row: models.UserToken
) -> None:
    early, late = store.StoredCredentials(row), store.StoredCredentials(row)

    assert early.renew(row.access) == late.renew(row.access)
    assert calls(sandbox, "oauth.token") == 1


def test_threads_renew_once(sandbox: Sandbox, row: models.UserToken) -> None:
    sandbox.faults.add(Fault("delay", "oauth.token", seconds=0.1, times=None))
    together = threading.Barrier(8)
    found: list[str] = []

    def renew() -> None:
        credentials = store.StoredCredentials(row)
        together.wait()
        found.append(credentials.renew(row.access))
        connections.close_all()

    threads = [threading.Thread(target=renew) for _ in range(together.parties)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == together.parties
    assert len(set(found)) == 1
    assert calls(sandbox, "oauth.token") == 1
    assert models.UserToken.objects.get().access == found[0]


def test_a_renewal_inside_a_transaction_is_refused(row: models.UserToken, sandbox: Sandbox) -> None:
    # Were that transaction rolled back, the pair would be lost for good.
    with pytest.raises(RuntimeError), transaction.atomic():
        renewed(row)
    assert calls(sandbox, "oauth.token") == 0


# Not renewed


def test_a_broken_chain_is_kept_in_mind(
    sandbox: Sandbox, alpha: Portal, row: models.UserToken
) -> None:
    uninstall(sandbox.world, alpha, seed.OUR_CLIENT_ID, user_id=seed.ADMIN)
    for _ in range(2):
        with pytest.raises(ChainBroken) as told:
            renewed(row)
        assert told.value.code == "NOT_INSTALLED"

    assert models.UserToken.objects.get().failure_code == "NOT_INSTALLED"
    assert calls(sandbox, "oauth.token") == 1


@pytest.mark.parametrize("why", ["spent", "unpaid"])
def test_each_way_to_lose_a_chain_is_kept_on_the_row(
    sandbox: Sandbox, alpha: Portal, row: models.UserToken, why: str
) -> None:
    if why == "spent":
        oauth.refresh(row.refresh)
    else:
        installing.end_trial(alpha, seed.OUR_CLIENT_ID)

    with pytest.raises(ChainBroken):
        renewed(row)
    kept = models.UserToken.objects.get()
    assert kept.failure_code == {"spent": "invalid_grant", "unpaid": "PAYMENT_REQUIRED"}[why]


@pytest.mark.parametrize("setting", ["B24_CLIENT_ID", "B24_CLIENT_SECRET"])
def test_our_own_mistake_breaks_no_chain(
    row: models.UserToken, settings: Settings, setting: str
) -> None:
    right = getattr(settings, setting)
    setattr(settings, setting, "wrong")
    with pytest.raises(Refused):
        renewed(row)

    setattr(settings, setting, right)
    assert renewed(row)


@pytest.mark.parametrize("kind", ["html502", "status500", "query_limit", "broken_json", "drop"])
def test_an_unclear_answer_changes_nothing(
    sandbox: Sandbox, row: models.UserToken, kind: str
) -> None:
    sandbox.faults.add(Fault(kind, "oauth.token"))
    with pytest.raises(B24Error):
        renewed(row)

    kept = models.UserToken.objects.get()
    assert (kept.access, kept.refresh, kept.failure_code) == (row.access, row.refresh, "")
    assert renewed(row)


def test_who_waited_while_the_server_was_silent_does_not_wait_for_it_again(
    sandbox: Sandbox, row: models.UserToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.faults.add(Fault("drop", "oauth.token"))
    with pytest.raises(OutcomeUnknown):
        renewed(row)

    with monkeypatch.context() as earlier:
        moment = time.time() - 5
        earlier.setattr(time, "time", lambda: moment)  # has been waiting for the lock since
        with pytest.raises(NeverSent):
            renewed(row)
    assert calls(sandbox, "oauth.token") == 1
    assert renewed(row)


def test_another_portals_pair_is_not_kept(
    sandbox: Sandbox, beta: Portal, row: models.UserToken, caplog: pytest.LogCaptureFixture
) -> None:
    begin_installation(sandbox.world, beta, seed.OUR_CLIENT_ID).finished = True
    foreign = sandbox.world.issue(seed.OUR_CLIENT_ID, beta.member_id, seed.MANAGER)
    row.refresh = foreign.refresh
    row.save()

    with caplog.at_level(logging.ERROR), pytest.raises(TokenRejected):
        renewed(row)

    kept = models.UserToken.objects.get()
    assert (kept.access, kept.refresh) == (row.access, foreign.refresh)
    assert models.Portal.objects.get().domain == "alpha.example.com"
    assert [record.name for record in caplog.records] == ["b24app.security"]
    assert seed.BETA in caplog.text


def test_another_persons_pair_is_not_kept(
    sandbox: Sandbox, alpha: Portal, row: models.UserToken
) -> None:
    row.refresh = sandbox.world.issue(seed.OUR_CLIENT_ID, alpha.member_id, seed.ADMIN).refresh
    row.save()

    with pytest.raises(TokenRejected):
        renewed(row)
    assert models.UserToken.objects.get().access == row.access


def test_a_deleted_row_is_a_broken_chain(row: models.UserToken) -> None:
    credentials = store.StoredCredentials(row)
    models.UserToken.objects.all().delete()

    with pytest.raises(ChainBroken):
        credentials.renew(row.access)


# The portal's address


def test_a_renamed_portal_is_found_by_a_renewal(
    alpha: Portal, row: models.UserToken, portal: models.Portal
) -> None:
    alpha.url = "https://renamed.example.com"

    renewed(row)

    portal.refresh_from_db()
    assert portal.client_endpoint == "https://renamed.example.com/rest/"
    assert portal.domain == "renamed.example.com"


def test_an_unchanged_address_is_not_written(row: models.UserToken) -> None:
    with CaptureQueriesContext(connection) as statements:
        renewed(row)

    written = [line["sql"] for line in statements if line["sql"].startswith("UPDATE")]
    assert len(written) == 1
    assert "b24app_usertoken" in written[0]
