"""Counts what the bench measures: requests, their depth, SQL, connections and bytes, no times."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
import requests
from django.contrib.staticfiles import finders
from django.core.cache import cache
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext, override_settings

from b24app.rest import transport
from bench import floor
from bench.network import SeenRequest
from bench.rows.round_trips import chain
from sandbox.server.app import Sandbox
from sandbox.server.ports import PortServers, running
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.b24app.portal_posts import opening_fields
from tests.payments import stage
from tests.payments.frames import DEAL_TAB, Frame, offer_in, text_of

pytestmark = pytest.mark.django_db

SQL_AN_OPENING, SQL_A_PAYMENT = 6, 10
# The main page also shows the person's unfinished run: one lookup in a unique index. It is not read
# together with the rules, so that code for display stays apart from code that decides about money.
SQL_THE_MAIN_PAGE = SQL_AN_OPENING + 1
BYTES_OF_OUR_OWN = 60 * 1024
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def frame(client: Client, sandbox: Sandbox, alpha: Portal) -> Frame:
    """A manager's frame after the first opening of both screens, so that the caches are full."""
    stage.install(sandbox, alpha)
    frame = Frame(client, sandbox, alpha, seed.MANAGER)
    frame.tab()
    frame.opened()
    return frame


def statements(queries: CaptureQueriesContext) -> list[str]:
    """The statements that read or write, without BEGIN, SAVEPOINT and similar ones."""
    kinds = ("SELECT", "INSERT", "UPDATE", "DELETE")
    return [query["sql"] for query in queries if query["sql"].startswith(kinds)]


def test_a_warm_tab_is_one_request_and_few_statements(frame: Frame, sandbox: Sandbox) -> None:
    since = len(sandbox.log)
    with CaptureQueriesContext(connection) as queries:
        html = frame.tab()
    assert len(sandbox.log) - since == 1
    assert len(statements(queries)) <= SQL_AN_OPENING
    assert f'data-payment="{seed.PAYMENT}"' in html  # in the first response, without a script


def test_a_warm_main_page_is_two_deep_and_few_statements(frame: Frame, sandbox: Sandbox) -> None:
    since = len(sandbox.log)
    stage.meet(sandbox, "profile", "sale.payment.list")
    stage.meet(sandbox, "sale.order.list", "crm.item.list")
    with CaptureQueriesContext(connection) as queries:
        html = text_of(frame.opened())
    assert len(sandbox.log) - since == 4
    assert len(statements(queries)) <= SQL_THE_MAIN_PAGE
    assert html.count("<tr data-payment=") > 20


def test_a_payment_is_three_deep_and_few_statements(frame: Frame, sandbox: Sandbox) -> None:
    offer = offer_in(frame.tab())
    since = len(sandbox.log)
    stage.meet(sandbox, stage.READ_BACK, stage.KEPT)
    with CaptureQueriesContext(connection) as queries:
        answer = frame.post("/payments/pay/", offer=offer, pay_system_id=seed.ACME_PAY)
    assert 'data-state="paid"' in text_of(answer)
    assert len(sandbox.log) - since == 4
    assert len(statements(queries)) <= SQL_A_PAYMENT


def test_costs_do_not_grow_with_the_ledger(frame: Frame, alpha: Portal, sandbox: Sandbox) -> None:
    """Row 5 of the bench measures their plans."""
    alpha.bucket_size = 1000
    for payment_id in seed.fill(alpha, 5):
        deal_id = alpha.orders[alpha.payments[payment_id].order_id].bindings[0][1]
        offer = offer_in(frame.tab(deal_id), payment_id)
        frame.post("/payments/pay/", offer=offer, pay_system_id=seed.ACME_PAY)
    since = len(sandbox.log)
    with CaptureQueriesContext(connection) as queries:
        frame.tab()
    assert len(sandbox.log) - since == 1
    assert len(statements(queries)) <= SQL_AN_OPENING


def test_the_floor_calls_no_more_than_the_app(frame: Frame, sandbox: Sandbox) -> None:
    with CaptureQueriesContext(connection) as ours:
        frame.tab(seed.DEAL)
    asked = set(sandbox.log[-1].methods)
    options = json.dumps({"ID": str(seed.DEAL)})
    fields = opening_fields(
        sandbox, frame.portal, seed.MANAGER, PLACEMENT=DEAL_TAB, PLACEMENT_OPTIONS=options
    )
    request = RequestFactory().post(
        "/", urlencode(fields), content_type="application/x-www-form-urlencoded"
    )
    cache.set(f"floor.{stage_portal_pk()}", [], 60)
    floor._kept.session = session = requests.Session()
    session.mount("https://", transport.mounted_adapter())
    try:
        with CaptureQueriesContext(connection) as theirs:
            html = floor.tab(request).content.decode()
    finally:
        del floor._kept.session
    assert set(sandbox.log[-1].methods) <= asked
    assert html.count("<tr data-payment=") == 1
    assert len(statements(theirs)) == len(statements(ours))


def stage_portal_pk() -> int:
    from b24app.models import Portal as Row

    return Row.objects.get().pk


@pytest.fixture
def on_a_port(client: Client) -> Iterator[tuple[Sandbox, Frame]]:
    """The sandbox on real ports, called by the app's own transport."""
    servers = PortServers((0, 0, 0))
    urls = [f"http://127.0.0.1:{port}" for port in servers.ports]
    sandbox = Sandbox(
        seed.demo_world(
            oauth_url=urls[0], portal_urls=(urls[1], urls[2]), app_url="https://pay.example.com"
        )
    )
    with running(sandbox, servers), override_settings(B24_OAUTH_URL=urls[0]):
        alpha = sandbox.world.portals[seed.ALPHA]
        alpha.bucket_size = 1000
        stage.install(sandbox, alpha)
        yield sandbox, Frame(client, sandbox, alpha, seed.MANAGER)
        transport.ADAPTER.close()


def test_connections_are_kept(on_a_port: tuple[Sandbox, Frame]) -> None:
    sandbox, frame = on_a_port
    frame.tab()
    since = len(sandbox.log)
    known = {call.connection for call in sandbox.log}
    for _ in range(10):
        frame.tab()
        frame.tab(seed.SEVERAL_DEAL)
    assert len(sandbox.log) - since == 20
    assert {call.connection for call in sandbox.log[since:]} <= known


def test_a_first_load_fetches_few_bytes_from_the_app(frame: Frame) -> None:
    """The page and every script and style in it, compressed as by a server."""
    for html in (frame.tab(), text_of(frame.opened())):
        size = len(gzip.compress(html.encode()))
        names = set(re.findall(r'(?:src|href)="/static/([^"]+)"', html))
        assert names
        for name in names:
            found = finders.find(name)
            assert found, name
            size += len(gzip.compress(Path(str(found)).read_bytes()))
        assert size < BYTES_OF_OUR_OWN


def test_chain_counts_requests_sent_together_once() -> None:
    together = [SeenRequest(1.0, 1.02, "", ""), SeenRequest(1.01, 1.03, "", "")]
    after = [SeenRequest(1.2, 1.25, "", "")]
    depth, own = chain([*after, *together], apart=0.05)
    assert depth == 2
    assert own == pytest.approx(0.03 + 0.05)
