"""The OAuth server: the documentation's `settings/oauth/index.md`, `auto-renewal.md`,
`error-codes.md`, and the official Python SDK's live tests."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from sandbox.world import installing, seed
from sandbox.world.installing import begin_installation, uninstall
from sandbox.world.removed import REMOVAL_LAG_SECONDS, RemovedOAuth
from sandbox.world.world import Token
from tests.sandbox.wire import ALPHA_URL, APP_URL, OAUTH_URL, TIMEOUT, Wire, a_method, in_process

METHOD = "test.oauth.nothing"


def _refresh(wire: Wire, token: Token) -> requests.Response:
    return wire.grant(grant_type="refresh_token", refresh_token=token.refresh)


def _error(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]


def _authorize(wire: Wire, **query: str) -> requests.Response:
    query = {"client_id": seed.OUR_CLIENT_ID, "state": "s t&1", **query}
    return wire.session.get(
        f"{ALPHA_URL}/oauth/authorize/", params=query, allow_redirects=False, timeout=TIMEOUT
    )


def _back(answer: requests.Response) -> dict[str, str]:
    assert answer.status_code == 302
    return dict(parse_qsl(urlsplit(answer.headers["Location"]).query))


# --- tokens ---


@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_a_refresh_gives_a_whole_new_pair(verb: str) -> None:
    """auto-renewal.md: the fields; `domain` is this server's own, not the portal's. GET is
    documented; the JS SDK's authors saw that POST works too."""
    wire = in_process()
    token = wire.token()
    told = {
        "grant_type": "refresh_token", "refresh_token": token.refresh,
        "client_id": seed.OUR_CLIENT_ID, "client_secret": seed.OUR_SECRET,
    }  # fmt: skip
    place: dict[str, Any] = {"params": told} if verb == "GET" else {"data": told}
    answer = wire.session.request(verb, f"{OAUTH_URL}/oauth/token/", timeout=TIMEOUT, **place)
    pair = answer.json()
    assert answer.status_code == 200
    assert pair.pop("access_token") not in ("", token.access)
    assert pair.pop("refresh_token") not in ("", token.refresh)
    # The second may end between the answer and this line.
    assert int(wire.sandbox.world.now()) + 3600 - pair.pop("expires") in (0, 1)
    assert pair == {
        "expires_in": 3600,
        "scope": ",".join(seed.OUR_SCOPES),
        "domain": "oauth.bitrix.info",
        "server_endpoint": f"{OAUTH_URL}/rest/",
        "status": "L",
        "client_endpoint": f"{ALPHA_URL}/rest/",
        "member_id": seed.ALPHA,
        "user_id": seed.MANAGER,
    }


def test_a_refresh_token_works_once_and_revokes_its_access_token() -> None:
    """The vendor's course: both stop working with the refresh; auto-renewal.md: keep the new one
    instead of the previous."""
    wire = in_process()
    token = wire.token()
    with a_method(METHOD, lambda _: True):
        assert wire.call(METHOD, token=token).ok
        pair = _refresh(wire, token).json()
        assert _error(_refresh(wire, token)) == (400, "invalid_grant")
        assert _error(wire.call(METHOD, token=token)) == (401, "invalid_token")
        fresh = wire.sandbox.world.tokens[pair["access_token"]]
        assert wire.call(METHOD, token=fresh).ok
        assert _refresh(wire, fresh).ok


def test_lenient_rotation_keeps_the_old_access_token_valid() -> None:
    """Portals cache access tokens for their hour."""
    wire = in_process()
    wire.sandbox.world.strict_rotation = False
    token = wire.token()
    _refresh(wire, token)
    with a_method(METHOD, lambda _: True):
        assert wire.call(METHOD, token=token).ok
    assert _error(_refresh(wire, token)) == (400, "invalid_grant")


def test_the_token_chains_of_one_person_are_independent() -> None:
    """The vendor's course: a person may have many chains, but no chain may branch."""
    wire = in_process()
    page, server = wire.token(), wire.token()
    assert _refresh(wire, server).ok
    assert _refresh(wire, page).ok


def test_of_two_concurrent_refreshes_one_fails() -> None:
    wire = in_process()
    token = wire.token()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: _refresh(wire, token), range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7


def test_a_refresh_token_lives_180_days() -> None:
    wire = in_process()
    young, old = wire.token(), wire.token()
    wire.sandbox.world.advance(180 * 24 * 3600 - 60)
    assert _refresh(wire, young).ok
    wire.sandbox.world.advance(120)
    assert _error(_refresh(wire, old)) == (400, "invalid_grant")


# --- its errors ---


def _uninstall(wire: Wire) -> None:
    wire.alpha.installations[seed.OUR_CLIENT_ID].removed = True


def _uninstall_with(answer: RemovedOAuth) -> Callable[[Wire], None]:
    def change(wire: Wire) -> None:
        wire.alpha.removed_oauth = answer
        _uninstall(wire)

    return change


def _stop_paying(wire: Wire) -> None:
    installing.end_trial(wire.alpha, seed.OUR_CLIENT_ID)


def _nothing(_: Wire) -> None:
    pass


@pytest.mark.parametrize(
    ("change", "told", "status", "code"),
    [
        (_nothing, {"client_id": "local.nobody"}, 200, "wrong_client"),
        (_nothing, {"client_secret": "wrong"}, 400, "invalid_client"),
        (_nothing, {"refresh_token": "used"}, 400, "invalid_grant"),
        (_nothing, {"refresh_token": ""}, 400, "invalid_request"),
        (_nothing, {"grant_type": ""}, 400, "invalid_request"),
        (_nothing, {"grant_type": "password"}, 400, "invalid_request"),
        (_nothing, {"client_id": ""}, 400, "invalid_request"),
        (_nothing, {"client_secret": ""}, 400, "invalid_request"),
        (_nothing, {"grant_type": "authorization_code", "code": "used"}, 400, "invalid_grant"),
        (_nothing, {"grant_type": "authorization_code"}, 400, "invalid_request"),
        (_nothing, {"scope": "crm,task"}, 403, "INVALID_SCOPE"),
        (
            _nothing,
            {"client_id": seed.OTHER_CLIENT_ID, "client_secret": seed.OTHER_SECRET},
            400,
            "invalid_grant",
        ),
        (_uninstall, {}, 401, "NOT_INSTALLED"),
        (_uninstall_with(RemovedOAuth.INVALID_CLIENT), {}, 400, "invalid_client"),
        (_uninstall_with(RemovedOAuth.INVALID_GRANT), {}, 400, "invalid_grant"),
        (_stop_paying, {}, 401, "PAYMENT_REQUIRED"),
    ],
)
def test_each_error_has_its_code_and_status_and_spends_no_token(
    change: Callable[[Wire], None], told: dict[str, str], status: int, code: str
) -> None:
    """error-codes.md and the SDK's `errors/oauth.py`: an unknown client gets HTTP 200."""
    wire = in_process()
    token = wire.token()
    change(wire)
    params = {"grant_type": "refresh_token", "refresh_token": token.refresh, **told}
    answer = wire.grant(**params)
    assert _error(answer) == (status, code)
    assert "access_token" not in answer.json()
    wire.alpha.installations[seed.OUR_CLIENT_ID].removed = False
    wire.alpha.installations[seed.OUR_CLIENT_ID].paid_until = None
    assert _refresh(wire, token).ok


def test_the_server_may_lag_behind_a_removal() -> None:
    wire = in_process()
    wire.alpha.removed_oauth = RemovedOAuth.STILL_INSTALLED
    tokens = [wire.token(), wire.token()]
    uninstall(wire.sandbox.world, wire.alpha, seed.OUR_CLIENT_ID, user_id=seed.ADMIN)
    assert _refresh(wire, tokens[0]).ok
    wire.sandbox.world.advance(REMOVAL_LAG_SECONDS)
    assert _error(_refresh(wire, tokens[1])) == (401, "NOT_INSTALLED")


def test_tokens_of_a_previous_installation_do_not_work_in_the_next_one() -> None:
    wire = in_process()
    token = wire.token()
    uninstall(wire.sandbox.world, wire.alpha, seed.OUR_CLIENT_ID, user_id=seed.ADMIN)
    begin_installation(wire.sandbox.world, wire.alpha, seed.OUR_CLIENT_ID)
    assert _error(_refresh(wire, token)) == (400, "invalid_grant")


def test_the_error_names_a_missing_parameter() -> None:
    answer = in_process().grant(grant_type="refresh_token")
    assert answer.json()["error_description"] == 'No "refresh_token" parameter found'


# --- authorization by code ---


def test_a_person_returns_with_a_code_that_works_once() -> None:
    """index.md, steps 1 and 2: the address is in the application's settings."""
    wire = in_process()
    answer = _authorize(wire, **{"as": str(seed.MANAGER)})
    assert answer.headers["Location"].startswith(f"{APP_URL}/?")
    back = _back(answer)
    code = back.pop("code")
    assert back == {
        "state": "s t&1",
        "domain": "alpha.example.com",
        "member_id": seed.ALPHA,
        "scope": ",".join(seed.OUR_SCOPES),
        "server_domain": "oauth.bitrix.info",
    }
    pair = wire.grant(grant_type="authorization_code", code=code).json()
    assert (pair["user_id"], pair["member_id"]) == (seed.MANAGER, seed.ALPHA)
    again = wire.grant(grant_type="authorization_code", code=code)
    assert _error(again) == (400, "invalid_grant")


def test_a_code_lives_30_seconds() -> None:
    """index.md."""
    wire = in_process()
    code = _back(_authorize(wire, **{"as": str(seed.MANAGER)}))["code"]
    wire.sandbox.world.advance(31)
    answer = wire.grant(grant_type="authorization_code", code=code)
    assert _error(answer) == (400, "invalid_grant")


def test_a_code_works_only_for_its_own_application() -> None:
    wire = in_process()
    code = _back(_authorize(wire, **{"as": str(seed.MANAGER)}))["code"]
    stolen = wire.grant(
        grant_type="authorization_code", code=code,
        client_id=seed.OTHER_CLIENT_ID, client_secret=seed.OTHER_SECRET,
    )  # fmt: skip
    assert _error(stolen) == (400, "invalid_grant")
    assert wire.grant(grant_type="authorization_code", code=code).ok


def test_a_cookie_tells_the_portal_who_is_logged_in() -> None:
    wire = in_process()
    wire.session.cookies.set("user", str(seed.READER))
    code = _back(_authorize(wire))["code"]
    assert wire.grant(grant_type="authorization_code", code=code).json()["user_id"] == seed.READER


def test_a_refused_authorization_is_shown_on_the_portals_own_page() -> None:
    """index.md: neither a redirect nor error parameters reach the application."""
    wire = in_process()
    wire.alpha.installations[seed.OUR_CLIENT_ID].allowed_users = frozenset({seed.MANAGER})
    for query, told in (
        ({}, "Log in"),
        ({"as": "nobody"}, "Log in"),
        ({"as": str(seed.DISMISSED)}, "Log in"),
        ({"as": str(seed.READER)}, "no access"),
        ({"as": str(seed.MANAGER), "client_id": "local.nobody"}, "not installed"),
    ):
        answer = _authorize(wire, **query)
        assert (answer.status_code, "Location" in answer.headers) == (403, False)
        assert told in answer.text


# --- app.info ---


def _info(wire: Wire, access: str) -> requests.Response:
    return wire.session.get(f"{OAUTH_URL}/rest/app.info", params={"auth": access}, timeout=TIMEOUT)


def test_app_info_has_the_tokens_person_and_portal() -> None:
    """The SDK's `schemas/api.py` and `responses/bitrix_app_info_response.py`; simple-way.md."""
    wire = in_process()
    token = wire.sandbox.world.issue(seed.OTHER_CLIENT_ID, seed.BETA, seed.READER)
    told = _info(wire, token.access).json()
    result = told["result"]
    assert "time" in told
    assert datetime.fromisoformat(result.pop("expires")).timestamp() == int(token.expires)
    scope = ",".join(seed.WEBHOOK_SCOPES)
    assert result == {
        "client_id": seed.OTHER_CLIENT_ID,
        "scope": scope,
        "install": {
            "installed": True,
            "version": 1,
            "status": "L",
            "scope": scope,
            "domain": "beta.example.com",
            "uri": "https://beta.example.com",
            "client_endpoint": "https://beta.example.com/rest/",
            "member_id": seed.BETA,
            "member_type": "bitrix24",
        },
        "user_id": seed.READER,
    }


def test_app_info_shows_an_installation_that_is_not_finished() -> None:
    wire = in_process()
    wire.alpha.installations[seed.OUR_CLIENT_ID].finished = False
    install = _info(wire, wire.token().access).json()["result"]["install"]
    assert install["installed"] is False


def test_app_info_refuses_unknown_tokens() -> None:
    """The SDK's live tests: garbage in the shape of a token has an error of its own."""
    wire = in_process()
    assert _error(_info(wire, "0" * 70)) == (400, "invalid_client")
    assert _error(_info(wire, "garbage")) == (401, "NO_AUTH_FOUND")
    assert _error(_info(wire, "")) == (401, "NO_AUTH_FOUND")
    spent = wire.token()
    _refresh(wire, spent)
    assert _error(_info(wire, spent.access)) == (400, "invalid_client")
    token = wire.token()
    wire.alpha.installations[seed.OUR_CLIENT_ID].removed = True
    assert _error(_info(wire, token.access)) == (401, "NOT_INSTALLED")
    wire.alpha.installations[seed.OUR_CLIENT_ID].removed = False
    wire.sandbox.world.advance(3601)
    assert _error(_info(wire, token.access)) == (401, "expired_token")


def test_the_log_has_calls_to_the_oauth_server_without_secrets() -> None:
    wire = in_process()
    token = wire.token()
    _refresh(wire, token)
    _info(wire, wire.token().access)
    renewal, info = wire.sandbox.log
    assert (renewal.method, renewal.host, renewal.status) == (
        "oauth.token",
        "oauth.bitrix.info",
        200,
    )
    assert (info.method, info.user_id, info.token_in) == ("app.info", seed.MANAGER, ("query",))
    assert token.refresh not in repr(wire.sandbox.log)
