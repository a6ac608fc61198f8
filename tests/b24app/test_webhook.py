"""Webhooks: how one is parsed, what it may do, and that its code appears in the request only."""

from __future__ import annotations

import io
import logging
import traceback
from contextlib import redirect_stderr

import pytest
from pytest_django import Settings

from b24app.errors import (
    AddressForbidden,
    B24Error,
    NeverSent,
    OutcomeUnknown,
    PortalMoved,
    TokenRejected,
)
from b24app.identity import webhook
from b24app.management.portals import NoSuchPortal, find_portal
from b24app.models import Portal as PortalRow
from b24app.rest import transport
from b24app.rest.client import Query
from b24app.tokens.proof import APP_INFO, PROFILE
from sandbox.api.faults import Fault
from sandbox.server.adapter import SandboxAdapter
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.b24app.rows import installed

ADDRESS = f"https://alpha.example.com/rest/{seed.ADMIN}/{seed.WEBHOOK_CODE}/"


@pytest.mark.parametrize(
    "address",
    [
        ADDRESS,
        ADDRESS.rstrip("/"),
        f" {ADDRESS}\n",
        f"https://Alpha.Example.com:443/rest/1/{seed.WEBHOOK_CODE}/",
    ],
)
def test_an_address_is_taken_apart(address: str) -> None:
    found = webhook.parse(address)
    assert (found.host, found.user_id) == ("alpha.example.com", seed.ADMIN)
    assert seed.WEBHOOK_CODE not in repr(found)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "alpha.example.com/rest/1/code/",
        "https://alpha.example.com/rest/",
        "https://alpha.example.com/rest/code/1/",
        "https://alpha.example.com/rest/0/code/",
        "https://alpha.example.com/rest/1/code/profile.json",
        "https://user:word@alpha.example.com/rest/1/code/",
        "https://alpha.example.com/rest/1/code/?x=1",
        "https://alpha.example.com/rest/1/../code/",
        "ftp://alpha.example.com/rest/1/code/",
        "https://alpha.example.com/rest/1/code/\nHost: evil",
    ],
)
def test_what_is_no_webhook_is_told_without_repeating_it(address: str) -> None:
    with pytest.raises(webhook.NotAWebhook) as told:
        webhook.parse(address)
    assert "code" not in str(told.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "169.254.169.254", "10.0.0.7"])
def test_an_address_inside_is_never_called(host: str) -> None:
    with pytest.raises(AddressForbidden):
        webhook.parse(f"https://{host}/rest/1/code/")


def test_plain_http_is_refused_where_the_transport_refuses_it(settings: Settings) -> None:
    settings.B24_ALLOW_HTTP = False
    with pytest.raises(AddressForbidden):
        webhook.parse("http://alpha.example.com/rest/1/code/")


def test_it_acts_for_its_owner_and_sends_no_token(sandbox: Sandbox) -> None:
    client = webhook.parse(ADDRESS).client
    assert client.read(PROFILE).user_id == seed.ADMIN
    call = sandbox.log[-1]
    assert (call.user_id, call.client_id) == (seed.ADMIN, "")
    assert not call.token_in
    assert "auth" not in call.params


def test_batches_go_by_it_too(sandbox: Sandbox) -> None:
    batch = webhook.parse(ADDRESS).client.batch()
    one, other = batch.add(PROFILE), batch.add(PROFILE)
    batch.run()
    assert one.get() == other.get()
    assert sandbox.log[-1].method == "batch"


@pytest.mark.parametrize("code", ["wrongwebhook01", "x"])
def test_a_wrong_one_is_rejected_and_not_tried_again(sandbox: Sandbox, code: str) -> None:
    with pytest.raises(TokenRejected) as told:
        webhook.parse(f"https://alpha.example.com/rest/1/{code}/").client.read(PROFILE)
    assert told.value.code == "INVALID_CREDENTIALS"
    assert len(sandbox.log) == 1


@pytest.mark.django_db
def test_the_app_installed_at_that_host_shares_its_ledger(sandbox: Sandbox, alpha: Portal) -> None:
    row = installed(sandbox, alpha)
    owner = webhook.identify(webhook.parse(ADDRESS))
    assert (owner.portal, owner.user_id) == (row, seed.ADMIN)


@pytest.mark.django_db
def test_a_portal_without_the_app_gets_a_row_that_no_frame_can_open(
    sandbox: Sandbox, alpha: Portal
) -> None:
    first, second = (webhook.identify(webhook.parse(ADDRESS)) for _ in range(2))
    assert first.portal == second.portal
    row = PortalRow.objects.get()
    assert row.installed_at is None
    assert row.client_endpoint == "https://alpha.example.com/rest/"
    # No portal can post this name: its form takes letters and digits alone.
    assert not row.member_id.isalnum()
    # It does not block the portal itself, if the app is installed there later.
    with pytest.raises(NoSuchPortal):
        find_portal("alpha.example.com")
    later = installed(sandbox, alpha)
    assert find_portal("alpha.example.com") == later
    assert webhook.identify(webhook.parse(ADDRESS)).portal == later
    assert seed.WEBHOOK_CODE not in str(vars(row))


@pytest.mark.django_db
def test_a_wrong_one_leaves_no_row(sandbox: Sandbox) -> None:
    with pytest.raises(TokenRejected):
        webhook.identify(webhook.parse("https://alpha.example.com/rest/1/wrong/"))
    assert not PortalRow.objects.exists()


# ---- the code is a secret


def _written(error: BaseException) -> str:
    """Returns all that a log would show of an exception, and what an error reporter finds behind
    it."""
    return "".join(traceback.format_exception(error)) + repr(error) + repr(error.args)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("drop", OutcomeUnknown),
        ("delay", OutcomeUnknown),
        ("html502", OutcomeUnknown),
        ("broken_json", OutcomeUnknown),
        ("status500", OutcomeUnknown),
        ("redirect", PortalMoved),
    ],
)
def test_no_failure_shows_the_code(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, kind: str, expected: type[B24Error]
) -> None:
    sandbox.faults.add(Fault(kind, times=None, seconds=600))
    stderr = io.StringIO()
    with (
        caplog.at_level(logging.INFO),
        redirect_stderr(stderr),
        pytest.raises(expected) as told,
    ):
        webhook.parse(ADDRESS).client.write("profile", {})
    logging.getLogger("tests").error("it failed", exc_info=told.value)
    assert seed.WEBHOOK_CODE not in _written(told.value)
    assert seed.WEBHOOK_CODE not in caplog.text
    assert seed.WEBHOOK_CODE not in stderr.getvalue()


def test_nor_does_a_portal_that_is_not_there(sandbox: Sandbox) -> None:
    adapter = SandboxAdapter(sandbox)
    adapter.unreachable_hosts.add("alpha.example.com")
    with transport.use_adapter(adapter), pytest.raises(NeverSent) as told:
        webhook.parse(ADDRESS).client.write("profile", {})
    assert seed.WEBHOOK_CODE not in _written(told.value)
    assert "/rest/1/***/profile" in str(told.value)


def test_nor_does_a_success(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "b24app"):
        webhook.parse(ADDRESS).client.read(PROFILE)
    assert seed.WEBHOOK_CODE not in caplog.text
    assert "alpha.example.com profile" in caplog.text


def test_nor_an_answer_of_unknown_shape(sandbox: Sandbox) -> None:
    query = Query("profile", APP_INFO.parse)
    with pytest.raises(OutcomeUnknown) as told:
        webhook.parse(ADDRESS).client.read(query)
    assert seed.WEBHOOK_CODE not in _written(told.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.example.com/rest/1/secret/profile", "https://a.example.com/rest/1/***/profile"),
        ("https://a.example.com/site/rest/1/secret", "https://a.example.com/site/rest/1/***"),
        ("https://a.example.com/rest/profile", "https://a.example.com/rest/profile"),
        ("https://a.example.com/oauth/token/", "https://a.example.com/oauth/token/"),
    ],
)
def test_addresses_are_masked_by_their_shape(url: str, expected: str) -> None:
    assert transport.shown(url) == expected
