"""Two machines on one PostgreSQL, through PgBouncer, and one Redis: one machine is killed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
import requests

from sandbox.tools import elements
from sandbox.tools.visitor import AppPage, Unexpected, Visitor
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.deploy.whole import NEEDS, Stage, whole
from tests.payments.stage import together
from tests.waiting import until

pytestmark = NEEDS

PORTALS = 4
PAYMENTS = 12  # in each portal
KILLED_AFTER = 12  # presses, of all PORTALS * PAYMENTS


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with whole(portals=PORTALS, machines=2, pooled=True) as found:
        yield found


def test_nothing_is_lost_or_paid_twice_when_one_of_two_machines_dies(stage: Stage) -> None:
    portals = [stage.portal() for _ in range(PORTALS)]
    wanted = {portal.member_id: seed.fill(portal, PAYMENTS) for portal in portals}
    for portal in portals:
        # As many people of one address as here come from nowhere else.
        portal.bucket_size = 10_000
        stage.app.walk(portal.member_id).install()
    pressed = threading.Semaphore(0)

    def kill() -> int:
        for _ in range(KILLED_AFTER):
            assert pressed.acquire(timeout=120)
        stage.app.kill("web-2")
        stage.app.kill("worker-2")
        return 0

    people = [
        lambda portal=portal: press_all(stage, portal, wanted[portal.member_id], pressed)
        for portal in portals
    ]
    said_paid = sum(together(kill, *people))

    stage.let_time_pass()
    until(lambda: stage.one("SELECT count(*) FROM payments_attempt WHERE due_at IS NOT NULL") == 0)
    states = {
        (member_id, payment_id): state
        for member_id, payment_id, state in stage.rows(
            "SELECT p.member_id, a.payment_id, a.state FROM payments_attempt a "
            "JOIN b24app_portal p ON p.id = a.portal_id ORDER BY a.id"
        )
    }
    paid = 0
    for portal in portals:
        for payment_id in wanted[portal.member_id]:
            payment = portal.payments[payment_id]
            assert payment.times_paid <= 1
            paid += payment.paid
            # The app knows of each payment that it paid, and calls no other one paid.
            assert (states.get((portal.member_id, payment_id)) == "paid") is payment.paid
    assert said_paid <= paid
    # The machine that is left went on: far more was paid than before the other one died.
    assert paid > PORTALS * PAYMENTS // 2
    verified = stage.app.manage("verify_ledger")
    assert verified.returncode == 0, verified.stdout


def press_all(
    stage: Stage, portal: Portal, payment_ids: list[int], pressed: threading.Semaphore
) -> int:
    """Presses Pay for each payment, once; returns how often the app said Paid."""
    visitor = Visitor(portal.url, stage.app.certificates)
    visitor.sign_in(seed.MANAGER)
    paid = 0
    for payment_id in payment_ids:
        # The machine that has this request may be dead.
        with suppress(requests.RequestException, Unexpected):
            paid += "Paid" in press(opened(visitor), payment_id)
        pressed.release()
    return paid


def opened(visitor: Visitor) -> AppPage:
    links = {link.text: link.attributes["href"] for link in visitor.page("/crm/deal/").all("a")}
    return visitor.open_frame(visitor.page(links["Pay for Bitrix24"]))


def press(page: AppPage, payment_id: int) -> str:
    row = page.payment_rows()[payment_id]
    button = next(button for button in row.buttons if button.text == "Pay")
    form = elements.read(page.post(button.attributes["hx-post"], row.fields).text).first("form")
    if form is None:
        raise Unexpected("the app asks nothing")
    return elements.read(page.post(form.attributes["hx-post"], form.fields).text).text
