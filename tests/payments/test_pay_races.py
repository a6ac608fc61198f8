"""Two clicks, two people, two processes: a payment is paid once, and each person is shown that."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta

import pytest
from django.utils import timezone

from b24app.identity.session import Person
from payments import reasons
from payments.attempts.pay import check, pay
from payments.models import STALE_CLAIM, Attempt, State
from payments.offer import Offer, seal
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.server.ports import PortServers, running
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.payments import stage
from tests.processes import Process, heard, started, tell

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes]


def while_held(
    sandbox: Sandbox,
    method: str,
    first: Callable[[], Attempt],
    second: Callable[[], Attempt],
    *,
    when: str = "before",
) -> tuple[Attempt, Attempt]:
    """Runs `second` from beginning to end while `first` waits for the answer to `method`; the
    portal carries `method` out before that or after."""
    reached = threading.Event()
    held = sandbox.faults.add(Fault("hold", method=method, when=when, on_hit=reached))

    def then_second() -> Attempt:
        try:
            assert reached.wait(10)
            return second()
        finally:
            held.release.set()

    one, two = stage.together(first, then_second)
    return one, two


@pytest.mark.parametrize("method", [stage.KEPT, stage.PAY], ids=["while read", "while sent"])
def test_a_second_click_joins_the_first(
    sandbox: Sandbox, alpha: Portal, manager: Person, method: str
) -> None:
    offer = stage.offer_of(manager)

    def click() -> Attempt:
        return pay(manager, offer, pay_system_id=seed.ACME_PAY)

    first, second = while_held(sandbox, method, click, click)

    assert first.pk == second.pk
    assert (first.state, second.state) == (State.PAID, State.PAYING)
    assert Attempt.objects.count() == 1
    assert stage.sent_payments(sandbox) == 1
    assert alpha.payments[seed.PAYMENT].times_paid == 1


def test_a_second_person_joins_the_first(sandbox: Sandbox, alpha: Portal, manager: Person) -> None:
    admin = stage.person(sandbox, manager.portal, seed.ADMIN)
    offers = {who.user_id: stage.offer_of(who) for who in (manager, admin)}

    def press(who: Person) -> Callable[[], Attempt]:
        return lambda: pay(who, offers[who.user_id], pay_system_id=seed.ACME_PAY)

    first, second = while_held(sandbox, stage.PAY, press(manager), press(admin))

    assert second.pk == first.pk
    assert second.user_id == seed.MANAGER
    assert stage.sent_payments(sandbox) == 1
    payment = alpha.payments[seed.PAYMENT]
    assert (payment.times_paid, payment.emp_paid_id) == (1, seed.MANAGER)


def test_many_at_once_pay_once(sandbox: Sandbox, alpha: Portal, manager: Person) -> None:
    people = [
        stage.person(sandbox, manager.portal, user_id)
        for user_id in (seed.MANAGER, seed.ADMIN, seed.SETTINGS_ADMIN)
    ]
    offers = [(who, stage.offer_of(who)) for who in people]
    start = threading.Barrier(len(offers) * 2)

    def press(who: Person, offer: Offer) -> Callable[[], Attempt]:
        def task() -> Attempt:
            start.wait(10)
            return pay(who, offer, pay_system_id=seed.ACME_PAY)

        return task

    attempts = stage.together(*(press(who, offer) for who, offer in offers * 2))

    assert stage.sent_payments(sandbox) == 1
    assert alpha.payments[seed.PAYMENT].times_paid == 1
    assert Attempt.objects.filter(state=State.PAID).count() == 1
    for attempt in attempts:
        # Those who came after the end were shown that; the others joined.
        assert attempt.state != State.REFUSED or attempt.reason == reasons.ALREADY_PAID


def test_checking_while_it_is_sent_and_the_end_agree(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    offer = stage.offer_of(manager)

    def look() -> Attempt:
        found = check(manager, offer)
        assert found is not None
        return found

    first, looked = while_held(
        sandbox, stage.PAY, lambda: pay(manager, offer, pay_system_id=seed.ACME_PAY), look
    )

    assert looked.state == State.PAYING
    assert first.state == State.PAID


def test_the_first_check_settles_and_the_payer_sees_the_same_outcome(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    offer = stage.offer_of(manager)
    reached = threading.Event()
    # Carried out, and the answer held back until another person has read it.
    held = sandbox.faults.add(Fault("hold", method=stage.PAY, when="after", on_hit=reached))

    def look() -> Attempt | None:
        try:
            assert reached.wait(10)
            return check(manager, offer)
        finally:
            held.release.set()

    paid, looked = stage.together(lambda: pay(manager, offer, pay_system_id=seed.ACME_PAY), look)

    assert paid is not None
    assert looked is not None
    assert paid.pk == looked.pk
    assert (paid.state, looked.state) == (State.PAID, State.PAID)
    assert paid.settled_at == looked.settled_at


@pytest.mark.parametrize("when", ["before", "after"], ids=["reads late", "reads early"])
def test_a_claim_taken_over_while_it_was_slow_sends_nothing(
    sandbox: Sandbox, alpha: Portal, manager: Person, when: str
) -> None:
    offer = stage.offer_of(manager)

    def late() -> Attempt:
        created_at = timezone.now() - STALE_CLAIM - timedelta(seconds=1)
        Attempt.objects.update(created_at=created_at)
        return pay(manager, offer, pay_system_id=seed.ACME_PAY)

    slow, fast = while_held(
        sandbox,
        stage.KEPT,
        lambda: pay(manager, offer, pay_system_id=seed.ACME_PAY),
        late,
        when=when,
    )

    assert fast.state == State.PAID
    # The slow one is shown the outcome of the fast one.
    assert slow.pk == fast.pk
    assert stage.sent_payments(sandbox) == 1
    assert alpha.payments[seed.PAYMENT].times_paid == 1


@pytest.fixture
def on_ports() -> Iterator[Sandbox]:
    """A Bitrix24 that other processes can call."""
    servers = PortServers((0, 0, 0))
    oauth_url, *portal_urls = (f"http://127.0.0.1:{port}" for port in servers.ports)
    world = seed.demo_world(
        oauth_url=oauth_url,
        portal_urls=(portal_urls[0], portal_urls[1]),
        app_url="http://localhost:8000",
    )
    stage_of_ports = Sandbox(world)
    with running(stage_of_ports, servers):
        yield stage_of_ports


def process_of(who: Person) -> AbstractContextManager[Process]:
    """Another process of the app, about to pay for this person."""
    return started(
        "tests.payments.paying_process",
        user_id=who.user_id,
        offer=seal(stage.offer_of(who)),
        pay_system_id=seed.ACME_PAY,
    )


def test_two_processes_pay_once(on_ports: Sandbox) -> None:
    alpha = on_ports.world.portals[seed.ALPHA]
    row = stage.install(on_ports, alpha)
    manager = stage.person(on_ports, row, seed.MANAGER)
    admin = stage.person(on_ports, row, seed.ADMIN)
    reached = threading.Event()

    with process_of(manager) as first, process_of(admin) as second:
        held = on_ports.faults.add(Fault("hold", method=stage.PAY, on_hit=reached))
        tell(first, "go")
        assert reached.wait(20)
        tell(second, "go")
        joined = json.loads(heard(second))
        held.release.set()
        paid = json.loads(heard(first))

    assert joined["pk"] == paid["pk"]
    assert (paid["state"], joined["state"]) == ("paid", "paying")
    assert stage.sent_payments(on_ports) == 1
    payment = alpha.payments[seed.PAYMENT]
    assert (payment.times_paid, payment.emp_paid_id) == (1, seed.MANAGER)
