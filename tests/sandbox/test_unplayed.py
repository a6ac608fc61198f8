"""What a portal has and the sandbox does not play: methods of other scopes, and REST 3.0."""

from __future__ import annotations

import pytest

from sandbox.world import seed
from tests.sandbox.asking import Refusal, ask, by_webhook, refusal_in, refused
from tests.sandbox.wire import in_process

FOREIGN = "bizproc.robot.list"
HERE = "crm.deal.list"  # of a scope that the application has


def test_a_method_of_a_missing_scope_is_refused_by_its_scope() -> None:
    """`rest.php`: the method is found in any scope, then the token's scope is checked."""
    wire = in_process()
    text = "The request requires higher privileges than provided by the {} token"
    refusal = Refusal(401, "insufficient_scope", text.format("access"))
    assert refused(wire, FOREIGN, user=seed.ADMIN) == refusal
    assert refusal_in(by_webhook(wire, FOREIGN)).text == text.format("webhook")
    batch = ask(wire, "batch", {"cmd": {"a": FOREIGN}}, user=seed.ADMIN)
    assert batch["result_error"]["a"]["error"] == "insufficient_scope"


def test_a_method_that_only_a_server_plays_is_refused_as_no_server_does() -> None:
    refusal = Refusal(501, "NOT_PLAYED", "The sandbox does not play this method")
    assert refused(in_process(), HERE, user=seed.ADMIN) == refusal


@pytest.mark.parametrize("path", ["api/profile", f"api/1/{seed.WEBHOOK_CODE}/profile", "api//x/"])
def test_rest_3_has_its_own_shape_of_errors(path: str) -> None:
    """rest-v3.md; RestApiServer.php: the method is looked for before the credentials."""
    wire = in_process()
    answer = wire.call(path)
    error = answer.json()["error"]
    assert answer.status_code == 404
    assert answer.json().keys() == {"error"}
    assert error["code"] == "BITRIX_REST_V3_EXCEPTION_METHODNOTFOUNDEXCEPTION"
    assert error["message"]
    assert wire.sandbox.log[-1].error == error["code"]
    assert seed.WEBHOOK_CODE not in wire.sandbox.log[-1].method


def test_rest_3_of_a_deleted_portal() -> None:
    """RestApiServer.php: checkSite."""
    wire = in_process()
    wire.alpha.deleted = True
    answer = wire.call("api/profile")
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "BITRIX_REST_V3_EXCEPTION_ACCESSDENIEDEXCEPTION"
