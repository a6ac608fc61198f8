"""The methods about a token, and placements: api-reference/common/ and api-reference/widgets/."""

from __future__ import annotations

import math
from typing import Any

import pytest

from sandbox.world import seed
from sandbox.world.world import DAY_SECONDS
from tests.sandbox.asking import (
    Refusal,
    ask,
    by_other_application,
    by_webhook,
    refusal_in,
    refused,
)
from tests.sandbox.wire import Wire, in_process

NEEDS_APPLICATION = Refusal(
    403,
    "WRONG_AUTH_TYPE",
    "Current authorization type is denied for this method Application context required",
)
URL = "https://pay.example.com/"
TAB = {"PLACEMENT": "CRM_DEAL_DETAIL_TAB", "HANDLER": URL, "TITLE": "Payments"}


def bound(wire: Wire) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = ask(wire, "placement.get", user=seed.ADMIN)
    return rows


def test_app_info_has_the_installation_but_no_user() -> None:
    """api-reference/common/system/app-info.md; appInfo in rest_provider.php."""
    wire = in_process()
    info = ask(wire, "app.info", user=seed.READER)
    installation = wire.alpha.installations[seed.OUR_CLIENT_ID]
    assert (info["ID"], info["CODE"]) == (installation.id, seed.OUR_CLIENT_ID)
    assert (info["VERSION"], info["STATUS"], info["INSTALLED"]) == (1, "L", True)
    assert (info["PAYMENT_EXPIRED"], info["DAYS"]) == ("N", None)
    assert info.keys().isdisjoint({"client_id", "user_id", "CLIENT_ID", "USER_ID"})


def test_app_info_before_the_installation_is_finished() -> None:
    """INSTALLED tells an application whether it still has to finish."""
    wire = in_process()
    wire.alpha.installations[seed.OUR_CLIENT_ID].finished = False
    assert ask(wire, "app.info", user=seed.ADMIN)["INSTALLED"] is False


def test_app_info_of_a_webhook() -> None:
    """appInfo in rest_provider.php: scopes and licence."""
    info = by_webhook(in_process(), "app.info").json()["result"]
    assert info.keys() == {"SCOPE", "LICENSE"}
    assert "pay_system" in info["SCOPE"]


@pytest.mark.parametrize(
    ("user", "name", "is_admin"),
    [
        (seed.ADMIN, "Ada", True),
        (seed.SETTINGS_ADMIN, "Sam", False),
        (seed.MANAGER, "Max", False),
        (seed.EXTRANET, "Eve", False),
    ],
)
def test_profile(user: int, name: str, is_admin: bool) -> None:
    """api-reference/common/users/profile.md: the id is a string, ADMIN a boolean."""
    profile = ask(in_process(), "profile", user=user)
    assert (profile["ID"], profile["NAME"], profile["ADMIN"]) == (str(user), name, is_admin)


@pytest.mark.parametrize(
    ("status", "days", "expired", "is_over"),
    [
        ("L", -99.5, "N", False),
        ("F", -99.5, "N", False),
        ("T", 0.5, "N", False),
        ("T", -0.5, "", True),
        ("S", -0.5, "", True),
        ("P", -13.5, "Y", False),
        ("P", -14.5, "", True),
    ],
)
def test_app_info_says_until_when_it_is_paid_for(
    status: str, days: float, expired: str, is_over: bool
) -> None:
    """getAppStatusInfo in rest/lib/app.php: a trial ends at once, a paid one after 14 days."""
    wire = in_process()
    installation = wire.alpha.installations[seed.OUR_CLIENT_ID]
    installation.status = status
    installation.paid_until = wire.sandbox.world.now() + days * DAY_SECONDS
    if is_over:
        assert refused(wire, "app.info", user=seed.ADMIN).code == "PAYMENT_REQUIRED"
        return
    told = ask(wire, "app.info", user=seed.ADMIN)
    assert (told["STATUS"], told["PAYMENT_EXPIRED"]) == (status, expired)
    assert told["DAYS"] == (None if status in "LF" else math.floor(days))


def test_user_current_in_brief() -> None:
    """api-reference/user/user-current.md; the scope user_brief does not include addresses."""
    person = ask(in_process(), "user.current", user=seed.MANAGER)
    assert (person["ID"], person["NAME"], person["LAST_NAME"]) == ("3", "Max", "Manager")
    assert person["ACTIVE"] is True
    assert "EMAIL" not in person


def test_scope_and_method_get() -> None:
    """api-reference/common/system/scope.md and method-get.md."""
    wire = in_process()
    assert ask(wire, "scope", user=seed.READER) == list(seed.OUR_SCOPES)
    wire.alpha.installations[seed.OUR_CLIENT_ID].scopes = ("crm",)
    for name, exists, available in (
        ("crm.item.get", True, True),
        ("sale.payment.get", True, False),
        ("profile", True, True),
        ("crm.deal.list", True, True),
        ("bizproc.robot.list", True, False),
        ("nothing.of.the.kind", False, False),
    ):
        answer = ask(wire, "method.get", {"name": name}, user=seed.READER)
        assert answer == {"isExisting": exists, "isAvailable": available}


def test_scope_lists_all_of_the_portal_on_request() -> None:
    """rest_provider.php, scopeList: FULL counts unless it is empty for PHP."""
    wire = in_process()
    assert set(ask(wire, "scope", {"full": 1}, user=seed.READER)) > {"bizproc", *seed.OUR_SCOPES}
    assert ask(wire, "scope", {"FULL": "0"}, user=seed.READER) == list(seed.OUR_SCOPES)


@pytest.mark.parametrize(
    ("params", "listed"),
    [
        ({}, {"profile", "user.get", "crm.deal.list"}),
        ({"scope": "bizproc"}, {"bizproc.robot.list"}),
        ({"full": True}, {"profile", "user.get", "crm.deal.list", "bizproc.robot.list"}),
    ],
)
def test_methods_are_listed_by_scope_without_those_of_controllers(
    params: dict[str, Any], listed: set[str]
) -> None:
    """rest_provider.php, methodsList; controllers are found by their class alone."""
    found = set(ask(in_process(), "methods", params, user=seed.READER))
    wanted = {"profile", "user.get", "crm.deal.list", "bizproc.robot.list", "sale.payment.get"}
    assert found & wanted == listed


def test_user_admin_and_user_access() -> None:
    """user-admin.md and user-access.md; an administrator has every access code."""
    wire = in_process()
    for user, admin in ((seed.ADMIN, True), (seed.SETTINGS_ADMIN, False)):
        assert ask(wire, "user.admin", user=user) is admin
        assert ask(wire, "user.access", {"access": ["G1"]}, user=user) is admin
    for codes, access in ((["U1", "U3"], True), (["U1"], False), ("AU", True), (None, False)):
        assert ask(wire, "user.access", {"ACCESS": codes}, user=seed.MANAGER) is access


def test_feature_get() -> None:
    """feature-get.md."""
    wire = in_process()
    params = {"code": "rest_offline_extended"}
    assert ask(wire, "feature.get", params, user=seed.READER) == {"value": "Y"}
    assert refused(wire, "feature.get", user=seed.READER) == Refusal(
        400, "CODE_EMPTY", "CODE can't be empty"
    )


def test_the_applications_options_are_everyones_and_set_by_administrators() -> None:
    """app-option-get.md, app-option-set.md; the names of the errors are those of the code."""
    wire = in_process()
    assert ask(wire, "app.option.get", user=seed.READER) == []
    assert ask(wire, "app.option.set", {"options": {"a": "1", "b": [2]}}, user=seed.ADMIN) is True
    assert ask(wire, "app.option.set", {"a": "3"}, user=seed.ADMIN) is True
    assert ask(wire, "app.option.get", user=seed.READER) == {"a": "3", "b": [2]}
    assert ask(wire, "app.option.get", {"option": "a"}, user=seed.READER) == "3"
    assert ask(wire, "app.option.get", {"option": "c"}, user=seed.READER) is None
    assert refused(wire, "app.option.set", {"options": []}, user=seed.READER) == Refusal(
        400, "ERROR_ARGUMENT", "Argument 'options' is null or empty"
    )
    assert refused(wire, "app.option.set", {"a": "4"}, user=seed.MANAGER) == Refusal(
        403, "ACCESS_DENIED", "Access denied! Administrator authorization required"
    )
    other = by_other_application(wire, "app.option.get", {}, user=seed.ADMIN)
    assert other.json()["result"] == []


def test_a_persons_options_are_their_own() -> None:
    """user-option-get.md, user-option-set.md."""
    wire = in_process()
    assert ask(wire, "user.option.set", {"options": {"a": "1"}}, user=seed.READER) is True
    assert ask(wire, "user.option.get", {"option": "a"}, user=seed.READER) == "1"
    assert ask(wire, "user.option.get", user=seed.ADMIN) == []


@pytest.mark.parametrize("kind", ["app", "user"])
@pytest.mark.parametrize("verb", ["get", "set"])
def test_options_are_for_applications_only(kind: str, verb: str) -> None:
    """appOptionGet and its neighbours in rest_provider.php."""
    assert refusal_in(by_webhook(in_process(), f"{kind}.option.{verb}")) == Refusal(
        403, "ACCESS_DENIED", "Access denied! Application context required"
    )


# Placements


@pytest.mark.parametrize("verb", ["list", "bind", "unbind", "get"])
def test_placement_methods_refuse_webhooks(verb: str) -> None:
    """placement-list.md, table of errors."""
    assert refusal_in(by_webhook(in_process(), f"placement.{verb}")) == NEEDS_APPLICATION


def test_bind_and_get() -> None:
    """placement-bind.md and the sample of placement-get.md."""
    wire = in_process()
    assert ask(wire, "placement.bind", TAB, user=seed.ADMIN) is True
    [row] = bound(wire)
    assert (row["placement"], row["handler"]) == ("CRM_DEAL_DETAIL_TAB", URL)
    assert (row["title"], row["userId"], row["options"]) == ("Payments", 0, [])
    assert row["langAll"]["en"]["TITLE"] == "Payments"


def test_title_defaults_to_the_applications_and_may_depend_on_the_language() -> None:
    """placement.php: PlacementLangTable."""
    wire = in_process()
    untitled = {"placement": "crm_deal_detail_tab", "handler": URL}
    ask(wire, "placement.bind", untitled, user=seed.ADMIN)
    by_language = {
        "PLACEMENT": "CRM_SMART_INVOICE_DETAIL_TAB",
        "HANDLER": URL,
        "LANG_ALL": {"en": {"TITLE": "In English"}, "de": {"TITLE": "Auf Deutsch"}},
    }
    ask(wire, "placement.bind", by_language, user=seed.ADMIN)
    assert [row["title"] for row in bound(wire)] == ["Pay for Bitrix24", "In English"]


def test_an_identical_binding_is_refused() -> None:
    """placement.php: the unique key is application, placement and handler."""
    wire = in_process()
    ask(wire, "placement.bind", TAB, user=seed.ADMIN)
    assert refused(wire, "placement.bind", TAB, user=seed.ADMIN) == Refusal(
        400, "ERROR_CORE", "Unable to set placement handler: Handler already binded"
    )
    other = {**TAB, "HANDLER": f"{URL}other/"}
    assert ask(wire, "placement.bind", other, user=seed.ADMIN) is True
    response = by_other_application(wire, "placement.bind", TAB, user=seed.ADMIN)
    assert response.json()["result"] is True


def test_a_refusal_has_the_missing_argument_in_a_field() -> None:
    """placement-bind.md, its sample of an error."""
    wire = in_process()
    response = wire.call("placement.bind", {}, token=wire.token(seed.ADMIN))
    assert response.json() == {
        "error": "ERROR_ARGUMENT",
        "error_description": "The value of an argument 'PLACEMENT' must be of type string",
        "argument": "PLACEMENT",
    }


def test_an_application_binds_one_address_for_rest_app_uri() -> None:
    """placement-bind.md: ERROR_PLACEMENT_MAX_COUNT for REST_APP_URI."""
    wire = in_process()
    params = {"PLACEMENT": "REST_APP_URI", "HANDLER": URL}
    ask(wire, "placement.bind", params, user=seed.ADMIN)
    params["HANDLER"] = f"{URL}other/"
    refusal = refused(wire, "placement.bind", params, user=seed.ADMIN)
    assert refusal.code == "ERROR_PLACEMENT_MAX_COUNT"


def test_unbind_returns_the_count() -> None:
    """placement-unbind.md: without a handler, all at the placement; each counts twice."""
    wire = in_process()
    for handler in (URL, f"{URL}other/"):
        ask(wire, "placement.bind", {**TAB, "HANDLER": handler}, user=seed.ADMIN)
    one = {"PLACEMENT": TAB["PLACEMENT"], "HANDLER": URL}
    assert ask(wire, "placement.unbind", one, user=seed.ADMIN) == {"count": 2}
    assert ask(wire, "placement.unbind", one, user=seed.ADMIN) == {"count": 0}
    every = {"PLACEMENT": TAB["PLACEMENT"]}
    assert ask(wire, "placement.unbind", every, user=seed.ADMIN) == {"count": 2}


def test_list_has_the_placements_of_the_scopes() -> None:
    """placement-list.md."""
    wire = in_process()
    assert "CRM_DEAL_DETAIL_TAB" in ask(wire, "placement.list", user=seed.MANAGER)
    wire.alpha.installations[seed.OUR_CLIENT_ID].scopes = ("placement",)
    assert ask(wire, "placement.list", user=seed.MANAGER) == ["LEFT_MENU", "REST_APP_URI"]


@pytest.mark.parametrize("method", ["placement.bind", "event.bind"])
@pytest.mark.parametrize("host", ["handler", "handler:8000", ".handler", "[::1]"])
def test_the_host_of_a_handler_has_a_dot(method: str, host: str) -> None:
    """handlerhelper.php: a dot behind the first sign, before the protocol is looked at."""
    wrong = Refusal(400, "ERROR_WRONG_HANDLER_URL", "Wrong handler URL")
    wire = in_process()
    for scheme in ("http", "https", "ftp"):
        params = {**TAB, "EVENT": "ONAPPUNINSTALL", "HANDLER": f"{scheme}://{host}/"}
        assert refused(wire, method, params, user=seed.ADMIN) == wrong
    assert bound(wire) == []
    assert wire.alpha.installations[seed.OUR_CLIENT_ID].events == []


@pytest.mark.parametrize("method", ["placement.bind", "event.bind"])
def test_localhost_is_accepted_for_the_demo(method: str) -> None:
    params = {**TAB, "EVENT": "ONAPPUNINSTALL", "HANDLER": "http://localhost:8000/"}
    assert ask(in_process(), method, params, user=seed.ADMIN) is True
