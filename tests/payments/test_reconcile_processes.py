"""`manage.py reconcile` in processes of its own: several at once, and one that is killed."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from datetime import timedelta

import pytest
from django.utils import timezone

from b24app import models
from payments.attempts.reconcile import LEASE, reconcile
from payments.models import Attempt, State
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.server.ports import PortServers, running
from sandbox.world import seed
from tests.payments import stage
from tests.payments.unconfirmed import OVERDUE, calls
from tests.processes import Process, heard, started, tell

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes]

ROWS = 9


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


@pytest.fixture
def row(on_ports: Sandbox) -> models.Portal:
    return stage.install(on_ports, on_ports.world.portals[seed.ALPHA])


def left_behind(sandbox: Sandbox, row: models.Portal, count: int) -> None:
    """Payments whose processes died after they were sent; every second one was carried out."""
    alpha = sandbox.world.portals[seed.ALPHA]
    sent_at = timezone.now() - OVERDUE
    for number, payment_id in enumerate(seed.fill(alpha, count)):
        payment = alpha.payments[payment_id]
        if number % 2:
            payment.paid, payment.times_paid = True, 1
            payment.emp_paid_id, payment.date_paid = seed.MANAGER, sent_at
        Attempt.objects.create(
            portal=row,
            payment_id=payment_id,
            account_number=payment.account_number,
            pay_system_id=payment.pay_system_id,
            bound_pay_system_id=payment.pay_system_id,
            sum=payment.sum,
            currency="EUR",
            user_id=seed.MANAGER,
            sent_at=sent_at,
            due_at=timezone.now(),
        )


def process() -> AbstractContextManager[Process]:
    return started("tests.payments.reconciling_process")


def assert_true_to_the_portal(sandbox: Sandbox) -> None:
    alpha = sandbox.world.portals[seed.ALPHA]
    for attempt in Attempt.objects.all():
        paid = alpha.payments[attempt.payment_id].paid
        assert attempt.state == (State.PAID if paid else State.REFUSED)


def test_several_processes_share_the_work(on_ports: Sandbox, row: models.Portal) -> None:
    left_behind(on_ports, row, ROWS)
    with ExitStack() as started:
        processes = [started.enter_context(process()) for _ in range(3)]
        for one in processes:
            tell(one, "go")
        said = [heard(one) for one in processes]
    looked_at = [re.match(r"Attempts looked at: (\d+);", line) for line in said]
    assert sum(int(found[1]) for found in looked_at if found) == ROWS
    assert calls(on_ports, stage.KEPT) == ROWS
    assert_true_to_the_portal(on_ports)


def test_what_a_killed_process_was_looking_at_is_taken_up_after_its_lease(
    on_ports: Sandbox, row: models.Portal
) -> None:
    left_behind(on_ports, row, 3)
    reached = threading.Event()
    held = on_ports.faults.add(Fault("hold", method=stage.KEPT, on_hit=reached))
    with process() as killed:
        tell(killed, "go")
        assert reached.wait(20)
        killed.kill()
        killed.wait(20)
    held.release.set()

    assert reconcile().looked_at == 2
    assert reconcile(now=timezone.now() + LEASE + timedelta(seconds=1)).looked_at == 1

    assert_true_to_the_portal(on_ports)
