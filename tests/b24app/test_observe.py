"""Spans and reports of errors: what they have, what they never have, and that they cost nothing."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.test import Client
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from b24app.monitoring import spans
from b24app.settings import BASE_DIR
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.b24app.portal_posts import install
from tests.payments.frames import Frame, offer_in

MANY = 1_000
_SETUP = "import django, sys; django.setup(); "


@pytest.fixture
def kept() -> Iterator[InMemorySpanExporter]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    spans.use(provider.get_tracer("tests"))
    yield exporter
    spans.use(None)


@pytest.mark.django_db
def test_a_thousand_spans_name_no_person_token_or_parameter(
    client: Client, sandbox: Sandbox, alpha: Portal, kept: InMemorySpanExporter
) -> None:
    alpha.bucket_size = 100_000
    install(client, sandbox, alpha)
    frame = Frame(client, sandbox, alpha, seed.MANAGER)
    frame.send("/payments/pay/", offer=offer_in(frame.tab()), pay_system_id=seed.ACME_PAY)
    while len(kept.get_finished_spans()) < MANY:
        frame.opened()

    found = kept.get_finished_spans()
    assert {span.name for span in found} == {"opening", "claim", "call", "read back"}
    assert {name for span in found for name in span.attributes or {}} == {"method", "status"}
    calls = {span.attributes["method"] for span in found if span.attributes}
    assert "sale.paysystem.pay.payment" in calls
    # A call of an opening belongs to it, also one of another thread.
    openings = {span.context.span_id for span in found if span.name == "opening" and span.context}
    assert openings & {span.parent.span_id for span in found if span.parent}
    text = "".join(span.to_json() for span in found)
    secrets = {token.access for token in sandbox.world.tokens.values()}
    secrets |= {token.refresh for token in sandbox.world.tokens.values()}
    names = {alpha.users[seed.MANAGER].last_name, "Sample Customer", "alpha.example.com"}
    assert not [word for word in secrets | names | {seed.ALPHA} if word in text]


@pytest.mark.servers
def test_without_the_settings_nothing_of_it_is_imported() -> None:
    code = _SETUP + "print([n for n in sys.modules if n.startswith(('opentelemetry', 'sentry'))])"
    assert run(code) == "[]\n"


@pytest.mark.servers
def test_spans_are_sent_where_the_setting_says() -> None:
    code = _SETUP + (
        "from b24app.monitoring.spans import span\n"
        "with span('opening') as note: note('status', 200)"
    )
    with listening() as (port, bodies):
        run(code, TRACES_ENDPOINT=f"http://127.0.0.1:{port}/v1/traces")
    assert b"opening" in b"".join(bodies)


@pytest.mark.servers
def test_an_error_is_reported_without_its_text_and_its_request() -> None:
    """The error happens in a view, whose request and local variables have a token."""
    # Newer Pythons report the lines of this program, so it does not hold the secrets itself.
    secrets = {"AUTH_ID": "secret-token", "name": "Max Manager"}
    code = _SETUP + (
        "import json, os\n"
        "SECRETS = json.loads(os.environ.pop('SECRETS'))\n"
        "from django.test import Client\n"
        "from b24app.identity import forms\n"
        "def broken(request):\n"
        "    token, name = request.POST['AUTH_ID'], request.POST['name']\n"
        "    raise ZeroDivisionError(f'for {name} with {token}')\n"
        "from b24app.identity import opening\n"
        "opening.read_posted = broken\n"
        "client = Client(raise_request_exception=False, headers={'host': 'localhost'})\n"
        "answer = client.post('/session/?DOMAIN=alpha.example.com', SECRETS)\n"
        "assert answer.status_code == 500, answer.status_code"
    )
    with listening() as (port, bodies):
        run(code, SENTRY_DSN=f"http://key@127.0.0.1:{port}/1", SECRETS=json.dumps(secrets))
    sent = b"".join(bodies)
    assert b"ZeroDivisionError" in sent
    for secret in (b"secret-token", b"Max Manager", b"AUTH_ID="):
        assert secret not in sent


def run(code: str, **settings: str) -> str:
    """Runs the code in a process of its own, with these settings of the app."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=BASE_DIR,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "b24app.settings", **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def listening() -> Iterator[tuple[int, list[bytes]]]:
    """Yields the port of a server, and the bodies that were posted to it, unpacked."""
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            packed = self.headers.get("Content-Encoding") == "gzip"
            bodies.append(gzip.decompress(body) if packed else body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1], bodies
        finally:
            server.shutdown()
            thread.join()
