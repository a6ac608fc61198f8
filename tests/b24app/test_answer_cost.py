"""Bounds on one answer: bytes, values, and what the log keeps of it."""

from __future__ import annotations

import json
import threading
import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from b24app.errors import OutcomeUnknown
from b24app.models import RestCall
from b24app.monitoring import rest_log
from b24app.monitoring.exchange import Exchange
from b24app.rest import transport
from b24app.rest.client import Answer, Client, Query
from b24app.tokens.proof import PostedCredentials
from b24app.untrusted.json_cost import values_at_most
from tests.b24app.servers import http, listening, saying

MEGABYTE = 1024 * 1024
TIMEOUT = (5.0, 30.0)
# An answer of 8 MiB of `{}` once cost 190 MB.
MOST_MEMORY = 48 * MEGABYTE


def of_size(value: bytes, size: int = 8 * MEGABYTE) -> bytes:
    return b'{"result":[' + b",".join([value] * (size // (len(value) + 1))) + b"]}"


# Texts that are short to send and expensive to store.
HOSTILE = {
    "objects": b"{}",
    "lists": b"[]",
    "objects with a field": b'{"a":1}',
    "nested lists": b"[[[[[[]]]]]]",
    "decimals": b"1.5",
    "numbers": b"999",
    "texts": b'"ab"',
    "wide texts": '"😀xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"'.encode(),
}


@pytest.fixture(autouse=True)
def _fresh_connections() -> Iterator[None]:
    yield
    transport.ADAPTER.close()


def peak_of(call: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", ["objects", "decimals"])
@pytest.mark.parametrize(
    ("method", "size"),
    [
        ("crm.item.list", transport.BODY_LIMIT - 100),
        ("batch", transport.BATCH_BODY_LIMIT - 100),
        ("batch", 8 * MEGABYTE),
    ],
    ids=["single", "batch", "8 MiB"],
)
def test_an_answer_made_to_cost_memory_is_not_parsed(kind: str, method: str, size: int) -> None:
    answer = http(of_size(HOSTILE[kind], size))

    def call() -> None:
        client = Client(f"http://127.0.0.1:{server.port}/rest/", PostedCredentials("a-token"))
        with pytest.raises(OutcomeUnknown):
            client.write(method, {})

    with listening(saying(answer)) as server:
        assert peak_of(call) < MOST_MEMORY


@pytest.mark.parametrize("kind", HOSTILE)
def test_the_dearest_answer_within_the_limits_is_affordable(kind: str) -> None:
    text, values = HOSTILE[kind], transport.BATCH_VALUES_LIMIT
    count = min((values - 10) // values_at_most(text), transport.BATCH_BODY_LIMIT // len(text))
    body = of_size(text, count * (len(text) + 1))
    reply = transport.Reply("https://portal.example.com/", 200, body, values)

    kept: list[object] = []
    assert peak_of(lambda: kept.append(reply.json())) < MOST_MEMORY


def row(number: int) -> dict[str, object]:
    return {f"ufCrm{field}": f"value {field} of {number}" for field in range(60)}


def test_a_full_batch_and_a_full_page_are_read() -> None:
    page = {"result": [row(number) for number in range(50)]}
    for many, is_batch in ((1, False), (20, True)):
        answer = http(json.dumps({"result": [page] * many}).encode())
        with listening(saying(answer)) as server:
            reply = transport.post_json(server.url, {}, timeout=TIMEOUT, is_batch=is_batch)
        assert len(reply.json()["result"]) == many


def test_only_a_batch_may_be_as_large_as_a_batch() -> None:
    body = json.dumps({"result": "x" * (3 * MEGABYTE)}).encode()
    query = Query("crm.item.list", _length)
    with listening(saying(http(body))) as server:
        url = f"http://127.0.0.1:{server.port}/rest/profile"
        assert transport.post_json(url, {}, timeout=TIMEOUT, is_batch=True).body == body
        with pytest.raises(OutcomeUnknown, match="longer than"):
            Client(f"http://127.0.0.1:{server.port}/rest/", PostedCredentials("t")).read(query)


def _length(answer: Answer) -> int:
    return len(answer.result)


@pytest.mark.django_db(transaction=True)
def test_the_log_neither_keeps_nor_parses_large_answers() -> None:
    large, many = b'{"result": "' + b"x" * MEGABYTE + b'"}', of_size(b"{}", 250_000)

    def log() -> None:
        writer = rest_log.Writer()
        for _ in range(50):
            for body in (large, many):
                exchange = Exchange("https://portal.example.com/rest/profile", {})
                exchange.answered(200, bytes(bytearray(body)))
                writer._waiting.append(exchange)
        writer.flush()

    assert peak_of(log) < 10 * MEGABYTE
    sizes = [call.answered for call in RestCall.objects.all()]
    assert sizes == [{"bytes": len(large)}, {"bytes": len(many)}] * 50


@pytest.mark.django_db(transaction=True)
def test_the_log_parses_one_answer_at_a_time() -> None:
    body = of_size(b"{}", 29_000)

    def log() -> None:
        writer = rest_log.Writer()
        for _ in range(200):
            exchange = Exchange("https://portal.example.com/rest/profile", {})
            exchange.answered(200, body)
            writer._waiting.append(exchange)
        writer.flush()

    assert peak_of(log) < 20 * MEGABYTE


def test_answers_of_one_portal_at_once_cost_what_its_share_allows() -> None:
    """Twelve answers of 8 MiB at once were 720 MB."""
    answer = http(of_size(b"{}"))
    refused: list[OutcomeUnknown] = []

    def call() -> None:
        with pytest.raises(OutcomeUnknown) as told:
            transport.post_json(server.url, {}, timeout=TIMEOUT, is_batch=True)
        refused.append(told.value)

    def all_at_once() -> None:
        threads = [threading.Thread(target=call) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    with listening(saying(answer)) as server:
        assert peak_of(all_at_once) < 4 * 16 * MEGABYTE
    assert len(refused) == 4
