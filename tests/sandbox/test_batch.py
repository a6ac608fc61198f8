"""`batch`: `rest/classes/general/rest_provider.php` (methodsBatch), `rest_util.php`
(ParseBatchQuery) and the documentation's `settings/how-to-call-rest-api/batch.md`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from sandbox.api.registry import Call, Listed, RestError
from sandbox.world import seed
from tests.sandbox.wire import ALPHA_URL, Wire, a_method, in_process

ECHO, FAIL, LIST, SALE = "test.batch.echo", "test.batch.fail", "test.batch.list", "test.batch.sale"
THING = {"ID": 7, "TITLE": "Chairs", "TAGS": ["new", "blue"], "NOTHING": None, "OPEN": True}


def _fail(_: Call) -> Any:
    raise RestError(100, "Could not find value for parameter {id}")


@pytest.fixture
def wire() -> Iterator[Wire]:
    with ExitStack() as stack:
        stack.enter_context(a_method(ECHO, lambda call: call.params))
        stack.enter_context(a_method(FAIL, _fail))
        stack.enter_context(a_method(LIST, lambda _: Listed([THING], total=51, next=50)))
        stack.enter_context(a_method(SALE, lambda _: "sold", "task"))
        yield in_process()


def _batch(wire: Wire, cmd: Any, **more: Any) -> dict[str, Any]:
    answer = wire.call("batch", {"cmd": cmd, **more})
    assert answer.status_code == 200
    result: dict[str, Any] = answer.json()["result"]
    return result


def test_results_and_errors_are_under_the_keys_of_their_commands(wire: Wire) -> None:
    """methodsBatch: an error leaves nothing in `result`, and the HTTP status stays 200."""
    result = _batch(wire, {"a": f"{LIST}?x=1", "b": FAIL})
    assert result["result"] == {"a": [THING]}
    assert result["result_error"] == {
        "b": {"error": "100", "error_description": "Could not find value for parameter {id}"}
    }
    assert result["result_total"] == {"a": 51}
    assert result["result_next"] == {"a": 50}
    assert list(result["result_time"]) == ["a"]


def test_consecutive_keys_make_a_list_and_a_gap_makes_an_object(wire: Wire) -> None:
    """`json_encode` of a PHP array; an empty one is always a list."""
    whole = _batch(wire, [f"{ECHO}?n=1", f"{ECHO}?n=2"])
    assert whole["result"] == [{"n": "1"}, {"n": "2"}]
    assert whole["result_error"] == whole["result_total"] == whole["result_next"] == []
    holed = _batch(wire, [FAIL, f"{ECHO}?n=2"])
    assert holed["result"] == {"1": {"n": "2"}}
    assert list(holed["result_error"]) == [
        {"error": "100", "error_description": "Could not find value for parameter {id}"}
    ]
    assert _batch(wire, {"a": FAIL})["result"] == []


def test_commands_after_a_failure_run_unless_halt(wire: Wire) -> None:
    """batch.md: `halt`."""
    commands = {"a": f"{ECHO}?n=1", "b": FAIL, "c": f"{ECHO}?n=3"}
    assert list(_batch(wire, commands, halt=0)["result"]) == ["a", "c"]
    halted = _batch(wire, commands, halt=1)
    assert list(halted["result"]) == ["a"]
    assert list(halted["result_error"]) == ["b"]


def test_parameter_names_may_be_in_any_case_and_cmd_in_the_query(wire: Wire) -> None:
    """methodsBatch: `array_change_key_case`."""
    answer = wire.session.get(
        f"{ALPHA_URL}/rest/batch",
        params={"auth": wire.token().access, "CMD[a]": f"{ECHO}?n=1", "Halt": "0"},
    )
    assert answer.json()["result"]["result"] == {"a": {"n": "1"}}


def test_a_batch_without_commands_has_empty_parts(wire: Wire) -> None:
    nothing: tuple[Any, ...] = (None, "text", [])
    for told in nothing:
        result = _batch(wire, told)
        assert all(part == [] for part in result.values())


def test_fifty_commands_run_and_each_further_one_is_refused(wire: Wire) -> None:
    """CRestUtil::BATCH_MAX_LENGTH; the refusal is in `result_error`, the batch succeeds."""
    result = _batch(wire, [f"{ECHO}?n={n}" for n in range(52)])
    assert len(result["result"]) == 50
    assert result["result_error"] == {
        key: {
            "error": "ERROR_BATCH_LENGTH_EXCEEDED",
            "error_description": "Max batch length exceeded",
        }
        for key in ("50", "51")
    }


def test_a_batch_refuses_a_batch_and_the_portals_forbidden_methods(wire: Wire) -> None:
    """methodsBatch: ERROR_BATCH_METHOD_NOT_ALLOWED."""
    wire.alpha.batch_forbidden = frozenset({LIST})
    result = _batch(wire, {"a": f"batch?cmd[x]={ECHO}", "b": LIST, "c": f"{ECHO}?n=1"})
    refused = {
        "error": "ERROR_BATCH_METHOD_NOT_ALLOWED",
        "error_description": "Method is not allowed for batch usage",
    }
    assert result["result_error"] == {"a": refused, "b": refused}
    assert result["result"] == {"c": {"n": "1"}}


def test_a_missing_scope_has_no_description_in_a_batch(wire: Wire) -> None:
    """CRestServerBatchItem::checkAuth throws an error with only a code."""
    result = _batch(wire, {"a": SALE, "b": "no.such.method"})
    assert result["result_error"] == {
        "a": {"error": "insufficient_scope", "error_description": ""},
        "b": {"error": "ERROR_METHOD_NOT_FOUND", "error_description": "Method not found!"},
    }


@pytest.mark.parametrize(
    ("reference", "seen"),
    [
        ("$result[a][0][ID]", 7),
        ("$result[a][0][TAGS]", ["new", "blue"]),
        ("$total[a]", 51),
        ("$error[f][error]", "100"),
        ("no. $result[a][0][ID]", "no. 7"),
        ("no. $result[a][0][TAGS]", "no. $result[a][0][TAGS]"),
        ("is $result[a][0][OPEN]", "is $result[a][0][OPEN]"),
        ("$result[a][0][TITLE] and $result[a][0][ID]", "Chairs and 7"),
        ("$RESULT[a][0][ID]", None),
        ("$result", "$result"),
        ("$5", "$5"),
    ],
)
def test_a_reference_in_a_value_is_replaced(wire: Wire, reference: str, seen: Any) -> None:
    """processBatchElement: a whole value keeps its type; a text takes only scalars."""
    commands = {"a": LIST, "f": FAIL, "b": f"{ECHO}?id={reference}"}
    assert _batch(wire, commands)["result"]["b"] == {"id": seen}


@pytest.mark.parametrize(
    ("reference", "reached"),
    [
        ("$result[a][0][NAME]", THING),
        ("$result[a][0][NOTHING]", THING),
        ("$result[a][5][ID]", [THING]),
        ("$result[f][ID]", {"a": [THING]}),
    ],
)
def test_a_broken_reference_gives_the_value_reached_and_no_error(
    wire: Wire, reference: str, reached: Any
) -> None:
    """processBatchElement stops at the last segment it can resolve; never pay by a reference."""
    commands = {"a": LIST, "f": FAIL, "b": f"{ECHO}?id={reference}"}
    result = _batch(wire, commands)
    assert result["result"]["b"] == {"id": reached}
    assert list(result["result_error"]) == ["f"]


def test_references_reach_into_nested_parameters(wire: Wire) -> None:
    commands = {"a": LIST, "b": f"{ECHO}?filter[%3DorderId][]=$result[a][0][ID]"}
    assert _batch(wire, commands)["result"]["b"] == {"filter": {"=orderId": [7]}}


def test_a_command_ends_at_a_hash_and_is_split_at_an_ampersand(wire: Wire) -> None:
    """`parse_url` and `parse_str`: a client must encode values twice."""
    commands = {"a": f"{ECHO}?t=a#b", "b": f"{ECHO}?t=a&b", "c": f"{ECHO}?t=a%26b%23"}
    assert _batch(wire, commands)["result"] == {
        "a": {"t": "a"}, "b": {"t": "a", "b": ""}, "c": {"t": "a&b#"},
    }  # fmt: skip


def test_commands_use_the_callers_token_and_ignore_their_own(wire: Wire) -> None:
    """methodsBatch overwrites the inner auth with the outer one."""
    other = wire.token(seed.ADMIN).access
    with a_method("test.batch.who", lambda call: [call.user.id, call.params]):
        result = _batch(wire, {"a": f"test.batch.who?auth={other}"})
    assert result["result"]["a"] == [seed.MANAGER, []]


def test_an_unauthorized_batch_fails_as_a_whole(wire: Wire) -> None:
    answer = wire.session.post(f"{ALPHA_URL}/rest/batch", json={"cmd": {"a": ECHO}})
    assert (answer.status_code, answer.json()["error"]) == (401, "NO_AUTH_FOUND")


def test_the_log_has_the_commands(wire: Wire) -> None:
    _batch(wire, {"a": LIST, "b": f"{ECHO}?n=1"})
    assert wire.sandbox.log[-1].methods == (LIST, ECHO)
    assert wire.sandbox.log[-1].method == "batch"
