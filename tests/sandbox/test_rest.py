"""The REST address of a portal: `rest/classes/general/rest.php`, `rest/lib/oauth/auth.php` and the
documentation's `settings/how-to-call-rest-api/general-principles.md`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from sandbox.api.registry import Call, Listed, RestError
from sandbox.wire.http import Request
from sandbox.world import installing, seed
from sandbox.world.installing import uninstall
from sandbox.world.removed import RemovedRest
from tests.sandbox.wire import ALPHA_URL, Wire, a_method, in_process

ECHO = "test.rest.echo"


def _echo(call: Call) -> Any:
    return {"params": call.params, "user": call.user.id, "client": call.client_id}


@pytest.fixture
def wire() -> Iterator[Wire]:
    with a_method(ECHO, _echo, "crm"):
        yield in_process()


def _error(answer: Any) -> tuple[int, str | int, str]:
    told = answer.json()
    assert "time" not in told
    assert "result" not in told
    return answer.status_code, told["error"], told["error_description"]


# --- addresses and parameters ---


@pytest.mark.parametrize("spelling", [ECHO, f"{ECHO}.json", f"{ECHO}/", ECHO.upper() + ".json/"])
def test_a_method_is_found_in_any_case_with_and_without_json(wire: Wire, spelling: str) -> None:
    """`rest.server/component.php`: lower case first, the format after the last dot."""
    assert wire.call(spelling, {"id": 7}).json()["result"]["params"] == {"id": 7}


def test_neighbouring_slashes_are_one(wire: Wire) -> None:
    """nginx's `merge_slashes`; the official JS SDK sends `/rest//profile`."""
    assert wire.call(f"/{ECHO}", {"id": 7}).json()["result"]["params"] == {"id": 7}


def test_get_and_post_are_equal_and_the_body_overrides_the_query(wire: Wire) -> None:
    """`rest_util.php`, getRequestData: `array_replace($query, $postData)`."""
    url, token = f"{ALPHA_URL}/rest/{ECHO}", wire.token().access
    by_get = wire.session.get(url, params={"auth": token, "filter[=id]": "7"})
    assert by_get.json()["result"]["params"] == {"filter": {"=id": "7"}}
    by_form = wire.session.post(f"{url}?id=1&x=2", data={"auth": token, "id": "9"})
    assert by_form.json()["result"]["params"] == {"id": "9", "x": "2"}


def test_a_json_body_of_a_get_is_not_read(wire: Wire) -> None:
    """`rest_util.php` reads the body only if `isPost()`."""
    url = f"{ALPHA_URL}/rest/{ECHO}"
    answer = wire.session.get(url, params={"auth": wire.token().access}, json={"id": 7})
    assert answer.json()["result"]["params"] == []


def test_broken_json_means_no_parameters(wire: Wire) -> None:
    """`rest_util.php`: the decoder's exception leaves an empty array."""
    answer = wire.session.post(
        f"{ALPHA_URL}/rest/{ECHO}",
        data='{"id": 7',
        headers={
            "Content-Type": "application/json",
            "Authorization": f"Bearer {wire.token().access}",
        },
    )
    assert answer.json()["result"]["params"] == []


def test_any_origin_may_call_but_not_with_an_authorization_header(wire: Wire) -> None:
    """`rest_util.php`, sendHeaders."""
    preflight = wire.session.options(f"{ALPHA_URL}/rest/{ECHO}")
    assert preflight.headers["Access-Control-Allow-Origin"] == "*"
    assert "authorization" not in preflight.headers["Access-Control-Allow-Headers"].lower()
    assert wire.call(ECHO).headers["Access-Control-Allow-Origin"] == "*"


# --- the token ---


def test_the_token_is_read_from_header_then_auth_then_access_token(wire: Wire) -> None:
    """`rest/lib/oauth/auth.php`, getAuthKey; arrays are skipped."""
    url = f"{ALPHA_URL}/rest/{ECHO}"
    reader, manager = wire.token(seed.READER).access, wire.token(seed.MANAGER).access
    bearer = {"Authorization": f"bearer  {reader}"}

    def caller(headers: dict[str, str] | None = None, **told: Any) -> Any:
        return wire.session.post(url, json=told, headers=headers).json()["result"]["user"]

    assert caller(bearer, auth=manager) == seed.READER
    assert caller(auth=manager, access_token=reader) == seed.MANAGER
    assert caller(auth=[reader], access_token=manager) == seed.MANAGER
    assert caller({"Authorization": "Basic eA=="}, auth=manager) == seed.MANAGER
    wire.sandbox.ignore_bearer = True
    assert caller(bearer, auth=manager) == seed.MANAGER
    wire.sandbox.ignore_bearer, wire.sandbox.ignore_auth_param = False, True
    assert caller(bearer, auth=manager) == seed.READER
    assert _error(wire.session.post(url, json={"auth": manager}))[1] == "NO_AUTH_FOUND"


def test_the_token_is_not_among_the_parameters(wire: Wire) -> None:
    """`auth.php`: `parameters_clear` removes both names."""
    answer = wire.call(ECHO, {"access_token": "x", "id": 1})
    assert answer.json()["result"]["params"] == {"id": 1}


# --- refusals, in order ---


def test_an_unknown_method_is_refused_before_the_token_is_checked(wire: Wire) -> None:
    """`rest.php`: isTokenCheck comes before checkAuth."""
    answer = wire.session.post(f"{ALPHA_URL}/rest/no.such.method")
    assert _error(answer) == (404, "ERROR_METHOD_NOT_FOUND", "Method not found!")


def test_a_call_without_credentials_is_refused(wire: Wire) -> None:
    """`rest_util.php`, checkAuth."""
    for told in ({}, {"auth": ""}, {"auth": ["x"]}):
        answer = wire.session.post(f"{ALPHA_URL}/rest/{ECHO}", json=told)
        assert _error(answer) == (401, "NO_AUTH_FOUND", "Wrong authorization data")


def _portal_deleted(wire: Wire) -> None:
    wire.alpha.deleted = True


def _no_plan(wire: Wire) -> None:
    wire.alpha.commercial_plan = False


def _never_installed(wire: Wire) -> None:
    del wire.alpha.installations[seed.OUR_CLIENT_ID]


def _removed(wire: Wire) -> None:
    wire.alpha.installations[seed.OUR_CLIENT_ID].removed = True


def _removed_and_passed_on(wire: Wire) -> None:
    wire.alpha.removed_rest = RemovedRest.ERROR_OAUTH
    _removed(wire)


def _unpaid(wire: Wire) -> None:
    installing.end_trial(wire.alpha, seed.OUR_CLIENT_ID)


def _hour_over(wire: Wire) -> None:
    wire.sandbox.world.advance(3601)


def _no_scope(wire: Wire) -> None:
    installing.set_scopes(wire.sandbox.world, wire.alpha, seed.OUR_CLIENT_ID, ("sale",))


def _dismissed(wire: Wire) -> None:
    wire.alpha.users[seed.MANAGER] = wire.alpha.users[seed.DISMISSED]


def _not_allowed(wire: Wire) -> None:
    wire.alpha.installations[seed.OUR_CLIENT_ID].allowed_users = frozenset({seed.READER})


Refusal = tuple[Callable[[Wire], None], int, str, str]
REFUSALS: list[Refusal] = [
    (_portal_deleted, 403, "PORTAL_DELETED", "Portal was deleted"),
    (_removed, 401, "APPLICATION_NOT_FOUND", "Application not found"),
    (_removed_and_passed_on, 401, "ERROR_OAUTH", "Application not installed"),
    (_unpaid, 401, "PAYMENT_REQUIRED", "Subscription has been ended"),
    (_no_plan, 401, "ACCESS_DENIED", "REST is available only on commercial plans."),
    (_never_installed, 401, "APPLICATION_NOT_FOUND", "Application not found"),
    (_hour_over, 401, "expired_token", "The access token provided has expired"),
    (
        _no_scope,
        401,
        "insufficient_scope",
        "The request requires higher privileges than provided by the access token",
    ),
    (_dismissed, 401, "authorization_error", "Unable to authorize user"),
    (_not_allowed, 401, "user_access_error", "The user does not have access to the application."),
]


@pytest.mark.parametrize(("change", "status", "code", "text"), REFUSALS)
def test_each_reason_to_refuse_has_its_code_its_text_and_its_status(
    wire: Wire, change: Callable[[Wire], None], status: int, code: str, text: str
) -> None:
    """`auth.php`, onRestCheckAuth; statuses by `rest/lib/oauthexception.php`; texts as listed in
    `_includes/system-errors.md`."""
    token = wire.token()
    change(wire)
    assert _error(wire.call(ECHO, token=token)) == (status, code, text)


# The checks after these two need the installation that these remove.
CHECKED_PAIRS = [
    (earlier, later)
    for earlier, later in pairwise(REFUSALS)
    if earlier[0] not in (_never_installed, _removed, _removed_and_passed_on)
]


@pytest.mark.parametrize(("earlier", "later"), CHECKED_PAIRS)
def test_of_two_reasons_the_earlier_check_decides(
    wire: Wire, earlier: Refusal, later: Refusal
) -> None:
    """The order of the checks in `rest.php` and `auth.php`."""
    token = wire.token()
    later[0](wire)
    earlier[0](wire)
    assert _error(wire.call(ECHO, token=token))[1] == earlier[2]


def test_a_token_works_on_its_own_portal_only(wire: Wire) -> None:
    """`auth.php` asks the OAuth server about a token that the portal does not have."""
    invalid = (401, "invalid_token", "Unable to get application by token")
    assert _error(wire.call(ECHO, token=wire.token(member_id=seed.BETA))) == invalid
    answer = wire.session.post(f"{ALPHA_URL}/rest/{ECHO}", json={"auth": "INVALID_TOKEN_123"})
    assert _error(answer) == invalid


def test_an_administrator_may_use_an_application_that_only_others_were_given(wire: Wire) -> None:
    """`rest_util.php`, checkAppAccess: no access by list, then `isAdmin()`."""
    _not_allowed(wire)
    assert wire.call(ECHO, token=wire.token(seed.ADMIN)).ok


# --- webhooks ---


def _webhook(method: str, code: str = seed.WEBHOOK_CODE, user_id: int = seed.ADMIN) -> str:
    return f"{ALPHA_URL}/rest/{user_id}/{code}/{method}"


def test_a_webhook_acts_for_its_owner_and_for_no_application(wire: Wire) -> None:
    """`local-integrations/local-webhooks.md`."""
    answer = wire.session.post(_webhook(f"{ECHO}.json/"), json={"id": 7})
    assert answer.json()["result"] == {"params": {"id": 7}, "user": seed.ADMIN, "client": ""}


def test_a_wrong_webhook_has_invalid_credentials(wire: Wire) -> None:
    """`_includes/system-errors.md` and the official Python SDK's live tests."""
    wrong = (401, "INVALID_CREDENTIALS", "Invalid request credentials")
    assert _error(wire.session.post(_webhook(ECHO, code="nosuchcode"))) == wrong
    assert _error(wire.session.post(_webhook(ECHO, user_id=seed.MANAGER))) == wrong


def test_a_webhooks_refusal_for_a_missing_scope_has_its_own_text(wire: Wire) -> None:
    wire.alpha.webhooks[0].scopes = ("sale",)
    assert _error(wire.session.post(_webhook(ECHO))) == (
        401,
        "insufficient_scope",
        "The request requires higher privileges than provided by the webhook token",
    )


@pytest.mark.parametrize(
    ("older", "text"),
    [
        (False, "REST is available only by subscription."),
        (True, "REST is available only on commercial plans."),
    ],
)
def test_a_webhook_without_the_plan_is_refused_after_its_scope(
    wire: Wire, older: bool, text: str
) -> None:
    """`rest/lib/apauth/auth.php`: the scope is checked together with the code."""
    _no_plan(wire)
    wire.alpha.older_build = older
    assert _error(wire.session.post(_webhook(ECHO))) == (401, "ACCESS_DENIED", text)
    wire.alpha.webhooks[0].scopes = ("sale",)
    assert _error(wire.session.post(_webhook(ECHO)))[1] == "insufficient_scope"


def test_a_webhook_requires_https(wire: Wire) -> None:
    """`_includes/system-errors.md`, INVALID_REQUEST."""
    path = _webhook(ECHO).removeprefix(ALPHA_URL)
    request = Request("POST", "alpha.example.com", path, scheme="http")
    answer = wire.sandbox.respond(request, lambda _: None)
    assert (answer.status, answer.body) == (
        401,
        b'{"error": "INVALID_REQUEST", "error_description": "Https required."}',
    )


# --- responses ---


def test_a_success_has_its_time(wire: Wire) -> None:
    """`api-reference/data-types.md` and `limits.md`: `time`, with the operating figures."""
    time = wire.call(ECHO).json()["time"]
    assert set(time) == {
        "start", "finish", "duration", "processing", "date_start", "date_finish",
        "operating_reset_at", "operating",
    }  # fmt: skip
    assert time["start"] <= time["finish"]
    assert isinstance(time["operating_reset_at"], int)
    wire.alpha.older_build = True
    older = wire.call(ECHO).json()["time"]
    for name, before in (("start", float), ("processing", float)):
        assert (type(time[name]), type(older[name])) == (int, before)
    assert datetime.fromisoformat(time["date_start"]).tzinfo is not None


def test_total_and_next_are_beside_the_result(wire: Wire) -> None:
    """`rest.php`, processCall; `settings/how-to-call-rest-api/list-methods-pecularities.md`."""
    with a_method("test.rest.list", lambda _: Listed([1, 2], total=120, next=50)):
        told = wire.call("test.rest.list").json()
    assert (told["result"], told["total"], told["next"]) == ([1, 2], 120, 50)


def test_an_older_builds_error_code_may_be_a_number_and_have_more_fields(wire: Wire) -> None:
    """`rest.php`, outputError; `rest/lib/engine/restmanager.php` passes numeric codes on."""

    def fail(_: Call) -> Any:
        raise RestError(0, "Required fields: paySystemId", argument="fields")

    with a_method("test.rest.fail", fail):
        answer = wire.call("test.rest.fail")
        wire.alpha.older_build = True
        before = wire.call("test.rest.fail").json()
    assert answer.status_code == 400
    assert before == {
        "error": 0, "error_description": "Required fields: paySystemId", "argument": "fields",
    }  # fmt: skip
    assert answer.json() == {**before, "error": "0"}


def test_a_sum_is_a_number_and_an_empty_map_is_a_list(wire: Wire) -> None:
    """PHP's `json_encode` of a float and of an empty array."""
    with a_method("test.rest.sum", lambda _: {"sum": Decimal("12500.00"), "none": {}}):
        body = wire.call("test.rest.sum").text
    assert '"sum": 12500, "none": []' in body


def test_what_json_cannot_hold_is_an_error_without_the_status_of_one(wire: Wire) -> None:
    """`rest.php`, outputJson: the exception comes after the status is chosen."""
    with a_method("test.rest.infinite", lambda _: [1e400]):
        answer = wire.call("test.rest.infinite")
    assert _error(answer) == (200, "WRONG_ENCODING", "Wrong request encoding")


def test_methods_run_one_at_a_time(wire: Wire) -> None:
    """The sandbox's own rule: a method reads and writes the world without locking it."""

    def look(call: Call) -> bool:
        with ThreadPoolExecutor(1) as elsewhere:
            return elsewhere.submit(call.world.lock.acquire, blocking=False).result()

    with a_method("test.rest.alone", look):
        assert wire.call("test.rest.alone").json()["result"] is False


def test_an_unknown_host_is_not_found(wire: Wire) -> None:
    answer = wire.sandbox.respond(Request("GET", "nobody.example.com", "/rest/x"), lambda _: None)
    assert answer.status == 404


def test_an_old_token_can_work_for_an_hour_after_a_removal(wire: Wire) -> None:
    wire.alpha.removed_rest = RemovedRest.OLD_TOKEN_WORKS
    token = wire.token()
    uninstall(wire.sandbox.world, wire.alpha, seed.OUR_CLIENT_ID, user_id=seed.ADMIN)
    assert wire.call(ECHO, token=token).ok
    wire.sandbox.world.advance(3600)
    assert _error(wire.call(ECHO, token=token))[1] == "APPLICATION_NOT_FOUND"
