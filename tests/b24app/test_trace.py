"""Every line of the log names its request and its portal."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from b24app.monitoring import trace
from b24app.monitoring.logs import JsonFormatter
from b24app.rest import pool
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.b24app.portal_posts import install, opening_fields, post

HEX_ID = 32


class Lines(logging.Handler):
    """Collects the log's lines as the app writes them."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self.written: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.written.append(self.format(record))


@pytest.fixture
def lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    handler = Lines()
    logging.getLogger().addHandler(handler)
    yield lambda: [json.loads(line) for line in handler.written]
    logging.getLogger().removeHandler(handler)


def test_logs_are_json_unless_a_developer_reads_them() -> None:
    assert not settings.DEBUG
    handlers: Any = settings.LOGGING["handlers"]
    assert handlers["console"]["formatter"] == "json"


@pytest.mark.django_db
def test_lines_of_an_opening_name_its_request_and_portal(
    client: Client, sandbox: Sandbox, alpha: Portal, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    install(client, sandbox, alpha)
    known = len(lines())

    answer = post(client, "/", opening_fields(sandbox, alpha, seed.MANAGER))

    told = lines()[known:]
    called = [line for line in told if line["logger"] == "b24app.rest.transport"]
    # Some of these calls were made in threads of the pool.
    assert len(called) > 1
    assert {line["request"] for line in called} == {answer[trace.HEADER]}
    assert {line["portal"] for line in called} == {seed.ALPHA}
    assert len(answer[trace.HEADER]) == HEX_ID


def test_requests_have_names_of_their_own(client: Client) -> None:
    first, second = client.get("/healthz/"), client.get("/healthz/")
    assert first[trace.HEADER] != second[trace.HEADER]


@pytest.mark.django_db
def test_a_request_does_not_inherit_the_portal_of_the_one_before(
    client: Client, sandbox: Sandbox, alpha: Portal
) -> None:
    install(client, sandbox, alpha)
    assert trace.current().member_id == seed.ALPHA
    client.get("/healthz/")
    assert trace.current().member_id == ""


@pytest.mark.parametrize("given", ["0af7651916cd43dd8448eb211c80319c", "proxy-1.2_3"])
def test_a_proxys_name_is_taken(client: Client, given: str) -> None:
    assert client.get("/healthz/", headers={trace.HEADER: given})[trace.HEADER] == given


@pytest.mark.parametrize(
    "given", ["", "short", "x" * 65, "two words", "line\u2028break", '"}{"a":"']
)
def test_an_odd_name_is_not(client: Client, given: str) -> None:
    taken = client.get("/healthz/", headers={trace.HEADER: given})[trace.HEADER]
    assert taken != given
    assert len(taken) == HEX_ID


def test_threads_of_the_pool_work_for_the_same_request() -> None:
    begun = trace.begin()
    seen: list[trace.Trace] = []
    pool.run_all([lambda: seen.append(trace.current())] * 4)
    assert all(found is begun for found in seen)


def test_a_message_with_line_breaks_is_one_line(lines: Callable[[], list[dict[str, Any]]]) -> None:
    try:
        raise ZeroDivisionError("two\nlines")
    except ZeroDivisionError:
        logging.getLogger("tests").exception("it broke:\n%s", 'quoted "so"')
    assert len(lines()) == 1
    assert lines()[0]["message"] == 'it broke:\nquoted "so"'
    assert "ZeroDivisionError" in lines()[0]["traceback"]
