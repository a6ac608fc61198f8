"""The OAuth server's answers: pairs, owners of tokens, and each refusal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from pytest_django import Settings

from b24app.errors import B24Error, ChainBroken, NeverSent, OutcomeUnknown, Refused
from b24app.rest import transport
from b24app.tokens import oauth
from sandbox.api.faults import Fault
from sandbox.server.adapter import SandboxAdapter
from sandbox.server.app import Sandbox
from sandbox.world import installing, seed
from sandbox.world.installing import begin_installation, uninstall
from sandbox.world.world import Portal, Token
from tests.b24app.servers import Telling

A_PAIR = {
    "access_token": "new-access",
    "refresh_token": "new-refresh",
    "expires": 1,
    "expires_in": 3600,
    "scope": "crm,sale",
    "domain": "oauth.bitrix.info",
    "server_endpoint": "https://oauth.bitrix.info/rest/",
    "status": "L",
    "client_endpoint": "https://alpha.example.com/rest/",
    "member_id": seed.ALPHA,
    "user_id": 3,
}


@pytest.fixture
def chain(sandbox: Sandbox, alpha: Portal) -> Token:
    """The manager's tokens, in a portal where our application is installed."""
    begin_installation(sandbox.world, alpha, seed.OUR_CLIENT_ID).finished = True
    return sandbox.world.issue(seed.OUR_CLIENT_ID, alpha.member_id, seed.MANAGER)


def test_a_refresh_token_becomes_a_new_pair(sandbox: Sandbox, chain: Token) -> None:
    pair = oauth.refresh(chain.refresh)

    issued = sandbox.world.tokens[pair.access]
    assert (issued.refresh, issued.user_id) == (pair.refresh, seed.MANAGER)
    assert (pair.member_id, pair.user_id) == (seed.ALPHA, seed.MANAGER)
    assert pair.client_endpoint == "https://alpha.example.com/rest/"
    assert set(pair.scope) == set(seed.OUR_SCOPES)
    assert abs(pair.expires_at - datetime.now(UTC) - timedelta(hours=1)) < timedelta(seconds=5)


def test_the_life_of_a_token_is_counted_on_our_own_clock() -> None:
    with transport.use_adapter(Telling(A_PAIR)):  # "expires" is of 1970
        pair = oauth.refresh("a-refresh-token")

    assert pair.expires_at > datetime.now(UTC) + timedelta(minutes=59)


def test_a_refresh_token_is_good_for_one_pair(chain: Token) -> None:
    oauth.refresh(chain.refresh)

    with pytest.raises(ChainBroken) as told:
        oauth.refresh(chain.refresh)
    assert told.value.code == "invalid_grant"


def test_a_code_becomes_a_pair(sandbox: Sandbox, chain: Token) -> None:
    sandbox.world.codes["the-code"] = chain

    pair = oauth.exchange_code("the-code")

    assert sandbox.world.tokens[pair.access].user_id == seed.MANAGER
    with pytest.raises(ChainBroken):
        oauth.exchange_code("the-code")


def test_secrets_travel_in_the_body() -> None:
    server = Telling(A_PAIR)
    with transport.use_adapter(server):
        oauth.refresh("a-refresh-token")

    (request,) = server.requests
    assert request.url == "https://oauth.bitrix.info/oauth/token/"
    assert request.method == "POST"
    assert parse_qs(str(request.body)) == {
        "grant_type": ["refresh_token"],
        "client_id": [seed.OUR_CLIENT_ID],
        "client_secret": [seed.OUR_SECRET],
        "refresh_token": ["a-refresh-token"],
    }
    assert "Authorization" not in request.headers


def test_an_unknown_client_is_our_own_fault(chain: Token, settings: Settings) -> None:
    settings.B24_CLIENT_ID = "local.unknown"  # answered with HTTP 200

    with pytest.raises(Refused) as told:
        oauth.refresh(chain.refresh)
    assert (told.value.code, told.value.http_status) == ("wrong_client", 200)
    assert not isinstance(told.value, ChainBroken)


def test_a_wrong_secret_is_our_own_fault(chain: Token, settings: Settings) -> None:
    settings.B24_CLIENT_SECRET = "wrong"

    with pytest.raises(Refused) as told:
        oauth.refresh(chain.refresh)
    assert told.value.code == "invalid_client"
    assert not isinstance(told.value, ChainBroken)


def test_a_removed_application_gets_no_pair(sandbox: Sandbox, alpha: Portal, chain: Token) -> None:
    uninstall(sandbox.world, alpha, seed.OUR_CLIENT_ID, user_id=seed.ADMIN)

    with pytest.raises(ChainBroken) as told:
        oauth.refresh(chain.refresh)
    assert told.value.code == "NOT_INSTALLED"


def test_an_unpaid_application_gets_no_pair(alpha: Portal, chain: Token) -> None:
    installing.end_trial(alpha, seed.OUR_CLIENT_ID)

    with pytest.raises(ChainBroken) as told:
        oauth.refresh(chain.refresh)
    assert told.value.code == "PAYMENT_REQUIRED"


@pytest.mark.parametrize("kind", ["html502", "status500", "broken_json", "drop", "redirect"])
def test_an_answer_that_says_nothing_clear_leaves_it_open(
    sandbox: Sandbox, chain: Token, kind: str
) -> None:
    sandbox.faults.add(Fault(kind, "oauth.token"))

    with pytest.raises(OutcomeUnknown):
        oauth.refresh(chain.refresh)


def test_a_server_that_is_not_there_was_never_asked(sandbox: Sandbox, chain: Token) -> None:
    door = SandboxAdapter(sandbox)
    door.unreachable_hosts.add("oauth.bitrix.info")

    with transport.use_adapter(door), pytest.raises(NeverSent):
        oauth.refresh(chain.refresh)


@pytest.mark.parametrize("refresh", ["", None, 5, [], "two words", "x" * 2049, "\ud800", "nul\x00"])
def test_an_answer_without_a_refresh_token_is_no_pair(refresh: object) -> None:
    with (
        transport.use_adapter(Telling({**A_PAIR, "refresh_token": refresh})),
        pytest.raises(OutcomeUnknown),
    ):
        oauth.refresh("a-refresh-token")


ODD: list[object] = [
    None,
    "",
    [],
    {},
    True,
    -3,
    0,
    1.5,
    10**12,
    10**30,
    "3; DROP",
    "x" * 5000,
    "\ud800\x00",
]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: repr(odd)[:20])
@pytest.mark.parametrize("name", sorted(A_PAIR.keys() - {"refresh_token"}))
def test_an_answer_with_a_refresh_token_is_a_pair(name: str, odd: object) -> None:
    for answer in ({**A_PAIR, name: odd}, {key: A_PAIR[key] for key in A_PAIR.keys() - {name}}):
        with transport.use_adapter(Telling(answer)):
            pair = oauth.refresh("a-refresh-token")
        assert pair.refresh == "new-refresh"
        left = pair.expires_at - datetime.now(UTC)
        assert left < timedelta(hours=1, seconds=5)
        assert bool(pair.access) == (left > timedelta(minutes=59))


def test_the_owner_of_a_token(sandbox: Sandbox, alpha: Portal, chain: Token) -> None:
    owner = oauth.token_owner(chain.access)

    assert owner == oauth.TokenOwner(
        client_id=seed.OUR_CLIENT_ID,
        member_id=seed.ALPHA,
        user_id=seed.MANAGER,
        client_endpoint="https://alpha.example.com/rest/",
        domain="alpha.example.com",
        installed=True,
        scope=seed.OUR_SCOPES,
    )
    assert "query" not in sandbox.log[-1].token_in


def test_another_applications_token_has_another_owner(sandbox: Sandbox, alpha: Portal) -> None:
    token = sandbox.world.issue(seed.OTHER_CLIENT_ID, alpha.member_id, seed.ADMIN)

    assert oauth.token_owner(token.access).client_id == seed.OTHER_CLIENT_ID


@pytest.mark.parametrize("token", ["f" * 70, "not a token"])
def test_a_made_up_token_has_no_owner(sandbox: Sandbox, token: str) -> None:
    with pytest.raises(Refused):
        oauth.token_owner(token)


@pytest.mark.parametrize(
    ("server_endpoint", "asked"),
    [
        (None, "oauth.bitrix.info"),
        ("", "oauth.bitrix.info"),
        ("https://oauth.bitrix.info/rest/", "oauth.bitrix.info"),
        ("https://oauth.bitrix24.tech/rest/", "oauth.bitrix24.tech"),
        ("http://oauth.bitrix24.tech/rest/", "oauth.bitrix24.tech"),
        ("https://evil.example.com/rest/", "oauth.bitrix.info"),
        ("https://oauth.bitrix.info.evil.example.com/rest/", "oauth.bitrix.info"),
        ("https://oauth.bitrix.info@evil.example.com/rest/", "oauth.bitrix.info"),
        ("https://oauth.bitrix.info:8443/rest/", "oauth.bitrix.info"),
        ("https://169.254.169.254/rest/", "oauth.bitrix.info"),
        ("//[", "oauth.bitrix.info"),
        ("evil.example.com", "oauth.bitrix.info"),
    ],
)
def test_a_posted_server_is_followed_to_bitrix24_only(
    server_endpoint: str | None, asked: str
) -> None:
    server = Telling({"error": "NO_AUTH_FOUND"}, status=401)
    with transport.use_adapter(server), pytest.raises(Refused):
        oauth.token_owner("a-token", server_endpoint=server_endpoint)

    assert [request.url for request in server.requests] == [f"https://{asked}/rest/app.info"]


@pytest.mark.parametrize(
    "result",
    [
        None,
        [],
        {"install": []},
        {"install": {}, "client_id": "x", "user_id": 1},
        {"install": {"member_id": seed.ALPHA}, "client_id": "x"},
        {"install": {"member_id": seed.ALPHA}, "client_id": "x", "user_id": 10**30},
        {"install": {"member_id": seed.ALPHA}, "client_id": 5, "user_id": 1},
    ],
)
def test_an_owner_with_something_missing_is_no_owner(result: object) -> None:
    with transport.use_adapter(Telling({"result": result})), pytest.raises(OutcomeUnknown):
        oauth.token_owner("a-token")


@pytest.mark.parametrize("odd", [None, "", [], 5, {}])
def test_an_owner_is_an_app_a_portal_and_a_person(odd: object) -> None:
    install = dict.fromkeys(("client_endpoint", "domain", "scope", "installed"), odd)
    result = {"client_id": "x", "user_id": "7", "install": {**install, "member_id": seed.ALPHA}}
    with transport.use_adapter(Telling({"result": result})):
        assert oauth.token_owner("a-token") == oauth.TokenOwner("x", seed.ALPHA, 7)


def test_tokens_do_not_show_when_a_pair_is_printed() -> None:
    with transport.use_adapter(Telling(A_PAIR)):
        pair = oauth.refresh("a-refresh-token")

    assert "new-access" not in repr(pair)
    assert "new-refresh" not in repr(pair)
    assert seed.ALPHA in repr(pair)


def test_where_a_person_allows_the_app() -> None:
    url = urlsplit(oauth.authorize_url("https://alpha.example.com", state="a&b=c"))

    assert (url.netloc, url.path) == ("alpha.example.com", "/oauth/authorize/")
    assert parse_qs(url.query) == {"client_id": [seed.OUR_CLIENT_ID], "state": ["a&b=c"]}


def test_all_failures_are_of_our_own_kind(sandbox: Sandbox) -> None:
    with pytest.raises(B24Error):
        oauth.refresh("")
