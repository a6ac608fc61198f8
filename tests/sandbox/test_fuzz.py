"""20,000 random requests: none raises, and each answer has a documented shape.

FUZZ_SEED repeats a run; the seed and the requests are in the message of a failure.
"""

from __future__ import annotations

import io
import json
import os
import random
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from typing import Any, NoReturn
from urllib.parse import unquote_to_bytes, urlsplit

from sandbox.server.app import Sandbox
from sandbox.server.wsgi import CONNECTION_KEY, PAUSE_KEY, ConnectionCut
from tests.sandbox.fuzzing import Fuzzer, Sent, netloc
from tests.sandbox.wire import TIMEOUT, Wire, a_sandbox, over_ports

SEED = os.environ.get("FUZZ_SEED", "1")
REQUESTS, OVER_HTTP = 20_000, 500
IN_ONE_WORLD = 500  # then the portals start again, with every payment unpaid and there
SHOWN, SHOWN_BYTES = 5, 300  # problems in the message of a failure, and bytes of a body

Answer = tuple[int, dict[str, str], bytes]
REFUSED = {400, 401, 403, 404, 429, 501, 503}


def test_no_request_raises_and_each_answer_is_documented() -> None:
    problems: dict[str, str] = {}
    fuzzer = Fuzzer(a_sandbox(), random.Random(SEED))
    for number in range(REQUESTS):
        if number % IN_ONE_WORLD == 0:
            fuzzer = Fuzzer(a_sandbox(), random.Random(f"{SEED} {number}"))
        sent = fuzzer.request()
        problem = _problem_in_process(fuzzer.sandbox, sent)
        if problem:
            problems.setdefault(problem, f"request {number}: {_shown(sent)}")
    assert not problems, _report(problems)


def test_each_answer_over_http_is_documented() -> None:
    """Without faults, which may last a minute."""
    problems: dict[str, str] = {}
    with over_ports() as wire, ExitStack() as opened:
        fuzzer = Fuzzer(wire.sandbox, random.Random(f"{SEED} http"), faults=False)
        connections = {
            server: opened.enter_context(closing(HTTPConnection(server, timeout=TIMEOUT)))
            for server in _servers(wire)
        }
        for number in range(OVER_HTTP):
            sent = fuzzer.request()
            answer = _over_http(connections[netloc(sent)], sent)
            if problem := _problem(sent, answer):
                problems.setdefault(problem, f"request {number}: {_shown(sent)}")
    assert not problems, _report(problems)


def _servers(wire: Wire) -> Iterator[str]:
    yield urlsplit(wire.sandbox.world.oauth_url).netloc
    yield from (urlsplit(portal.url).netloc for portal in (wire.alpha, wire.beta))


def _over_http(connection: HTTPConnection, sent: Sent) -> Answer:
    connection.request(sent.method, sent.target, sent.body, sent.headers)
    response = connection.getresponse()
    return response.status, dict(response.getheaders()), response.read()


def _report(problems: dict[str, str]) -> str:
    lines = [f"{problem}\n    {where}" for problem, where in list(problems.items())[:SHOWN]]
    return f"FUZZ_SEED={SEED}, {len(problems)} problems\n" + "\n".join(lines)


def _shown(sent: Sent) -> str:
    return f"{sent.method} {sent.target[:200]} {sent.headers} {sent.body[:SHOWN_BYTES]!r}"[
        : 3 * SHOWN_BYTES
    ]


def _place_of(error: Exception) -> str:
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "/sandbox/" in f.filename]
    where = [f"{f.filename.rpartition('/sandbox/')[2]}:{f.lineno}" for f in frames[-3:]]
    return f"{type(error).__name__}: {str(error)[:100]} at {' < '.join(reversed(where))}"


def _problem_in_process(sandbox: Sandbox, sent: Sent) -> str:
    """A fault that hits the request may make its answer anything, or cut the connection."""
    _release_held(sandbox)
    logged = len(sandbox.log)
    try:
        answer = _in_process(sandbox, sent)
    except ConnectionCut:
        answer = None
    except Exception as error:  # noqa: BLE001 - each is a finding
        return _place_of(error)
    if any(call.faults for call in sandbox.log[logged:]):
        return ""
    return "the connection is cut" if answer is None else _problem(sent, answer)


def _release_held(sandbox: Sandbox) -> None:
    for fault in sandbox.faults.waiting():
        fault.release.set()


def _in_process(sandbox: Sandbox, sent: Sent) -> Answer:
    path, _, query = sent.target.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": sent.method,
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "HTTP_HOST": netloc(sent),
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_LENGTH": str(len(sent.body)),
        "wsgi.url_scheme": "https",
        "wsgi.input": io.BytesIO(sent.body),
        CONNECTION_KEY: "fuzz",
        PAUSE_KEY: lambda seconds: None,
    }
    for name, value in sent.headers.items():
        key = name.upper().replace("-", "_")
        environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
    answer: list[Any] = []

    def start_response(line: str, headers: list[tuple[str, str]], _: object = None) -> Any:
        answer.extend((int(line[:3]), dict(headers)))

    body = b"".join(sandbox.wsgi(environ, start_response))
    return answer[0], answer[1], body


def _problem(sent: Sent, answer: Answer) -> str:
    """Returns what is wrong with an answer, "" for nothing."""
    status, headers, body = answer
    for name, value in headers.items():
        if any(ord(character) in (0, 10, 13) for character in value):
            return f"header {name}"
    if sent.method == "HEAD":
        return ""
    try:
        found = RULES[sent.door](status, headers, body)
    except (LookupError, TypeError, ValueError) as error:
        found = f"{error!r} in {body[:SHOWN_BYTES]!r}"
    return f"{sent.door} answers {status}: {found}" if found else ""


def _json(body: bytes) -> Any:
    """Parses as strictly as a browser does."""
    return json.loads(body.decode(), parse_constant=_no_number)


def _no_number(constant: str) -> NoReturn:
    raise ValueError(constant)


def _rest(status: int, headers: dict[str, str], body: bytes) -> str:
    answer = _json(body)
    if status != 200 or answer == WRONG_ENCODING:
        return _refusal(400 if answer == WRONG_ENCODING else status, answer)
    if not {"result", "time"} <= answer.keys():
        return "shape"
    # A batch's errors are a map, or a list where their keys are 0 to n.
    errors = answer["result"].get("result_error", []) if isinstance(answer["result"], dict) else []
    for error in errors.values() if isinstance(errors, dict) else errors:
        if found := _refusal(400, error):
            return f"{found} in a batch"
    return ""


def _refusal(status: int, answer: dict[str, Any]) -> str:
    if status not in REFUSED:
        return "status"
    fits = isinstance(answer["error"], str | int) and isinstance(answer["error_description"], str)
    return "" if fits else "shape"


def _oauth(status: int, headers: dict[str, str], body: bytes) -> str:
    answer = _json(body)
    if status == 200 and answer.keys() >= {"access_token", "refresh_token", "expires"}:
        return ""
    return _refusal(400 if status == 200 else status, answer)


def _v3(status: int, headers: dict[str, str], body: bytes) -> str:
    error = _json(body)["error"]
    return "" if error["code"].startswith("BITRIX_REST_V3_EXCEPTION_") else "shape"


def _page(status: int, headers: dict[str, str], body: bytes) -> str:
    body.decode()
    if "json" in headers.get("Content-Type", ""):
        _json(body)
    return "" if status in {200, 302, 303, 400, 403, 404, 405, 409} else "status"


def _control(status: int, headers: dict[str, str], body: bytes) -> str:
    answer = _json(body)
    if status == 200:
        return ""
    return "" if status in (400, 404) and isinstance(answer["error"], str) else "shape"


def _any(status: int, headers: dict[str, str], body: bytes) -> str:
    return "" if status < 500 else "status"


WRONG_ENCODING = {"error": "WRONG_ENCODING", "error_description": "Wrong request encoding"}
RULES: dict[str, Callable[[int, dict[str, str], bytes], str]] = {
    "rest": _rest, "oauth": _oauth, "v3": _v3, "page": _page, "control": _control, "any": _any,
}  # fmt: skip
