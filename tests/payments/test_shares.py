"""The share of a portal in this process, as people see it: who waits and who is refused."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connections
from django.test import Client
from django.utils import timezone

from b24app.errors import OAuthBusy, PortalBusy
from b24app.identity.session import Person
from b24app.models import UserToken
from b24app.rest import pool, shares
from payments.models import Attempt, RowState, RunState
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.b24app.portal_posts import opening_fields, post
from tests.payments import runs, stage
from tests.payments.frames import DEAL_TAB, Frame, offer_in

pytestmark = pytest.mark.django_db(transaction=True)

ALPHA_HOST = "https://alpha.example.com/rest/"


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(shares, "WAIT_SECONDS", 0.3)
    yield
    assert shares._shares == {}  # Every place was given back.


@pytest.fixture
def beta_frame(client: Client, sandbox: Sandbox, beta: Portal) -> Frame:
    stage.install(sandbox, beta)
    return Frame(client, sandbox, beta, seed.MANAGER)


@contextmanager
def full(sandbox: Sandbox, portal: Portal, *, places: int = shares.PORTAL.places) -> Iterator[None]:
    """Holds so many openings of this portal in the block."""
    reached = threading.Semaphore(0)
    host = urlsplit(portal.url).netloc
    held = sandbox.faults.add(
        Fault("hold", "profile", times=places, host=host, on_hit=lambda: reached.release())
    )
    with ThreadPoolExecutor(places) as pool:
        openings = [pool.submit(opened, sandbox, portal) for _ in range(places)]
        try:
            for _ in range(places):
                assert reached.acquire(timeout=20)
            yield
        finally:
            held.release.set()
        assert [opening.result() for opening in openings] == [200] * places


def opened(sandbox: Sandbox, portal: Portal) -> int:
    try:
        options = {"PLACEMENT": DEAL_TAB, "PLACEMENT_OPTIONS": json.dumps({"ID": seed.DEAL})}
        fields = opening_fields(sandbox, portal, seed.MANAGER, **options)
        status: int = post(Client(), "/", fields).status_code
        return status
    finally:
        connections.close_all()


def asked_for_the_manager(sandbox: Sandbox, since: int) -> list[str]:
    """Requests with the person's token, and those to the OAuth server. What is read with the
    portal's token for the openings that are held may end at any time."""
    calls = sandbox.log[since:]
    return [each.method for each in calls if each.user_id != seed.ADMIN or each.method != "batch"]


def test_beyond_the_share_all_is_refused_at_once_and_another_portal_is_paid_in(
    sandbox: Sandbox, alpha: Portal, beta: Portal, frame: Frame, beta_frame: Frame
) -> None:
    fields = {"offer": offer_in(frame.tab()), "pay_system_id": seed.ACME_PAY}
    with full(sandbox, alpha):
        since = len(sandbox.log)
        payment, opening = frame.post("/payments/pay/", **fields), frame.opened()
        for refused in (payment, opening):
            assert (refused.status_code, refused["Retry-After"]) == (503, "5")
        assert "Nothing was sent, so nothing was paid" in payment.content.decode()
        session = post(Client(), "/session/", opening_fields(sandbox, alpha, seed.MANAGER))
        assert (session.status_code, session.json()["error"]) == (503, "portal_busy")
        assert not Attempt.objects.exists()
        assert asked_for_the_manager(sandbox, since) == []
        offer = offer_in(beta_frame.tab())
        beta_frame.send("/payments/pay/", offer=offer, pay_system_id=seed.ACME_PAY)

    assert beta.payments[seed.PAYMENT].paid
    frame.send("/payments/pay/", **fields)
    assert (alpha.payments[seed.PAYMENT].paid, stage.sent_payments(sandbox)) == (True, 2)


def test_a_request_needs_one_place(sandbox: Sandbox, alpha: Portal, frame: Frame) -> None:
    """It pays and reads back although all other places were taken meanwhile."""
    offer = offer_in(frame.tab())
    reached = threading.Event()
    held = sandbox.faults.add(Fault("hold", stage.PAY, on_hit=reached))

    def pay() -> Any:
        try:
            return frame.post("/payments/pay/", offer=offer, pay_system_id=seed.ACME_PAY)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        paying = pool.submit(pay)
        assert reached.wait(20)
        with full(sandbox, alpha, places=shares.PORTAL.places - 1):
            assert frame.opened().status_code == 503
            held.release.set()
            assert paying.result().status_code == 200

    assert alpha.payments[seed.PAYMENT].paid


def test_a_run_waits_for_its_portal(sandbox: Sandbox, alpha: Portal, manager: Person) -> None:
    run = runs.started(manager, *seed.PLAIN_PAYMENTS[:1])
    runs.due(run)
    with full(sandbox, alpha), shares.one_request():
        assert runs.next_step(manager, run) is None
        run.refresh_from_db()
        assert run.state == RunState.RUNNING
        assert run.next_step_at is not None and run.next_step_at > timezone.now()
        assert run.rows.get().state == RowState.WAITING

    with shares.one_request():
        assert runs.worked(manager, run).state == RunState.FINISHED


# The OAuth server


def let_expire(sandbox: Sandbox, frame: Frame) -> None:
    """Expires the stored tokens of this frame's person, by the app's clock and the portal's."""
    for row in UserToken.objects.filter(portal__member_id=frame.portal.member_id):
        sandbox.world.tokens[row.access].expires = sandbox.world.now() - 1
        row.expires_at = timezone.now() - timedelta(minutes=1)
        row.save()


def test_a_slow_oauth_server_stops_only_those_who_need_it(
    sandbox: Sandbox, frame: Frame, beta_frame: Frame
) -> None:
    """The next renewal is made, and no chain is called broken."""
    fresh = offer_in(beta_frame.tab())
    let_expire(sandbox, frame)
    since = len(sandbox.log)

    with hold_all("pairs", shares.OAUTH_PAIRS):
        asked = frame.get()
        beta_frame.send("/payments/pay/", offer=fresh, pay_system_id=seed.ACME_PAY)

    assert (asked.status_code, asked["Retry-After"]) == (503, "5")
    assert "sign-in server of Bitrix24 is slow" in asked.content.decode()
    assert "oauth.token" not in {call.method for call in sandbox.log[since:]}
    assert frame.get().status_code == 200
    assert set(UserToken.objects.values_list("failure_code", flat=True)) == {""}


def test_questions_about_posted_tokens_do_not_stop_renewals() -> None:
    with shares.one_request(), hold_all("questions", shares.OAUTH_QUESTIONS):
        with shares.of_oauth_server("pairs", shares.OAUTH_PAIRS):
            pass
        with pytest.raises(OAuthBusy), shares.of_oauth_server("questions", shares.OAUTH_QUESTIONS):
            pass


@contextmanager
def hold_all(name: str, size: shares.Size) -> Iterator[None]:
    """Takes all places for calls of this kind; no call waits for one."""
    with ExitStack() as stack:
        for _ in range(size.places):
            stack.enter_context(shares.of_oauth_server(name, size))
        shares._shares[f"OAuth server ({name})"].refuses_until = math.inf
        yield


# Turns


def asking(count: int, ask: Callable[[], str]) -> list[Future[str]]:
    pool = ThreadPoolExecutor(count)
    asked = [pool.submit(ask) for _ in range(count)]
    pool.shutdown(wait=False)
    return asked


def test_requests_wait_for_each_other_and_none_is_refused_while_the_portal_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shares, "WAIT_SECONDS", 20.0)
    at_once = threading.Semaphore(shares.PORTAL.places)

    def ask() -> str:
        with shares.one_request(), shares.of_portal(ALPHA_HOST):
            assert at_once.acquire(blocking=False)
            at_once.release()
            return "served"

    many = shares.PORTAL.places + shares.PORTAL.waiting
    assert [each.result() for each in asking(many, ask)] == ["served"] * many


class Holding:
    """Requests that take a place of the portal each, until they are released."""

    def __init__(self) -> None:
        self.release, self._taken = threading.Event(), threading.Semaphore(0)

    def ask(self) -> str:
        try:
            with shares.one_request(), shares.of_portal(ALPHA_HOST):
                self._taken.release()
                self.release.wait(20)
        except PortalBusy:
            return "refused"
        return "served"

    def all_places(self) -> list[Future[str]]:
        held = asking(shares.PORTAL.places, self.ask)
        for _ in held:
            assert self._taken.acquire(timeout=20)
        return held


def test_after_a_wait_in_vain_requests_are_refused_at_once_until_the_portal_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    holding = Holding()
    first = holding.all_places()
    ask = holding.ask
    assert asking(1, ask)[0].result(20) == "refused"
    monkeypatch.setattr(shares, "WAIT_SECONDS", 60.0)
    assert asking(1, ask)[0].result(20) == "refused"

    # A place that is given back at once, as one of a portal that answers, lets others wait again.
    shares._give_back(*one_more("alpha.example.com"))
    late = asking(1, ask)
    holding.release.set()
    assert [each.result() for each in [*first, *late]] == ["served"] * (len(first) + 1)


def one_more(key: str) -> tuple[str, float]:
    """Takes a place beyond the share, to be given back."""
    since = shares._take(key, shares.Size(places=99, waiting=0))
    assert since is not None
    return key, since


def test_work_outside_a_request_waits_longer() -> None:
    def work() -> str:
        with shares.of_portal(ALPHA_HOST):
            return "worked"

    holding = Holding()
    held = holding.all_places()
    working = asking(2 * shares.PORTAL.waiting, work)
    with shares.one_request(), pytest.raises(PortalBusy):
        shares.admit(ALPHA_HOST)
    holding.release.set()

    assert {each.result() for each in working} == {"worked"}
    assert {each.result() for each in held} == {"served"}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://a.example.com/rest/", "https://A.example.com/rest/1/code/", True),
        ("https://a.example.com/rest/", "https://a.example.com:8443/rest/", False),
        ("https://a.example.com/rest/", "https://b.example.com/rest/", False),
    ],
)
def test_portals_are_told_apart_by_the_called_host(one: str, other: str, same: bool) -> None:
    assert (shares.host_of(one) == shares.host_of(other)) is same


def test_one_portal_takes_only_its_part_of_the_pool() -> None:
    release, running = threading.Event(), threading.Semaphore(0)

    def hold() -> None:
        running.release()
        release.wait(20)

    def of_alpha() -> None:
        pool.run_all([lambda: None, *[hold] * pool.THREADS], host="alpha")

    thread = threading.Thread(target=of_alpha)
    thread.start()
    # Those in the pool, and one that the caller does itself.
    for _ in range(pool.SHARE + 1):
        assert running.acquire(timeout=20)
    # All other threads of the pool meet: at once, for three other portals.
    meeting = threading.Barrier(pool.THREADS - pool.SHARE, timeout=20)
    tasks = [lambda: None, *[_meet(meeting)] * pool.SHARE]
    others = [
        threading.Thread(target=partial(pool.run_all, tasks, host=name))
        for name in ("beta", "gamma", "delta")
    ]
    for other in others:
        other.start()
    for other in others:
        other.join(20)
    assert not meeting.broken and not running.acquire(blocking=False)
    release.set()
    thread.join(20)


def _meet(barrier: threading.Barrier) -> Callable[[], None]:
    def meet() -> None:
        barrier.wait()

    return meet
