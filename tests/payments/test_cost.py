"""What a screen costs: requests to the portal, how many in sequence, and SQL statements."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from b24app.identity import session
from b24app.identity.opening import read_opening
from b24app.identity.session import Person
from b24app.rest.client import run_batches
from payments.attempts.mark_paid import mark
from payments.attempts.pay import pay
from payments.attempts.undo import undo
from payments.gateway import DEAL, Owner
from payments.models import State
from payments.visibility import MainReading, TabReading
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.b24app.portal_posts import opening_fields
from tests.payments import stage

pytestmark = pytest.mark.django_db

SYSTEMS = ("sale.paysystem.list", "sale.paysystem.handler.list")
RIGHT = "sale.paysystem.settings.payment.get"

# The orders of a deal, which the tab reads beforehand.
ORDERS = ("crm.orderentity.list", "sale.order.get")

SQL_AN_OPENING = 6
SQL_A_PAYMENT = 10


@pytest.fixture
def admin(sandbox: Sandbox, manager: Person) -> Person:
    return stage.person(sandbox, manager.portal, seed.ADMIN)


def requests_of(sandbox: Sandbox, since: int) -> list[set[str]]:
    """Returns the methods in each request, in the order in which the requests ended."""
    return [set(call.methods) for call in sandbox.log[since:]]


def statements(queries: CaptureQueriesContext) -> list[str]:
    """Returns statements without BEGIN, SAVEPOINT and the like."""
    kinds = ("SELECT", "INSERT", "UPDATE", "DELETE")
    return [query["sql"] for query in queries if query["sql"].startswith(kinds)]


def test_a_tab_asks_two_things_at_once(sandbox: Sandbox, manager: Person) -> None:
    stage.meet(sandbox, stage.READ_BACK, "sale.paysystem.list")

    stage.tab(manager, seed.DEAL)

    first, second = requests_of(sandbox, 0)
    assert first | second == {RIGHT, stage.READ_BACK, *ORDERS, *SYSTEMS}


def test_a_tab_asks_once_where_the_pay_systems_are_cached(
    sandbox: Sandbox, manager: Person
) -> None:
    stage.tab(manager, seed.DEAL)
    since = len(sandbox.log)

    stage.tab(manager, seed.SEVERAL_DEAL)

    assert requests_of(sandbox, since) == [{RIGHT, stage.READ_BACK, *ORDERS}]


def test_the_main_page_is_three_deep_for_a_manager(sandbox: Sandbox, manager: Person) -> None:
    stage.meet(sandbox, RIGHT, "sale.payment.list")

    stage.main(manager)

    first, second, third, fourth = requests_of(sandbox, 0)
    assert first | second == {RIGHT, "profile", "sale.payment.list", *SYSTEMS}
    assert third == {"sale.order.list", "crm.orderentity.list"}
    assert fourth == {"crm.item.list"}


def test_the_main_page_is_two_deep_where_the_deals_are_known(
    sandbox: Sandbox, manager: Person
) -> None:
    stage.main(manager)
    since = len(sandbox.log)
    stage.meet(sandbox, RIGHT, "sale.payment.list")
    stage.meet(sandbox, "sale.order.list", "crm.item.list")

    stage.main(manager)

    first, second, third, fourth = requests_of(sandbox, since)
    assert first | second == {RIGHT, "profile", "sale.payment.list"}
    assert third | fourth == {"sale.order.list", "crm.item.list"}


def test_an_administrator_too_waits_three_times_for_titles_and_twice_where_the_deals_are_known(
    sandbox: Sandbox, admin: Person
) -> None:
    stage.meet(sandbox, RIGHT, "sale.payment.list")
    stage.main(admin)

    third, fourth = requests_of(sandbox, 0)[2:]
    assert third == {"sale.order.list", "crm.orderentity.list"}
    assert fourth == {"crm.item.list"}

    since = len(sandbox.log)
    stage.meet(sandbox, RIGHT, "sale.payment.list")
    stage.meet(sandbox, "sale.order.list", "crm.item.list")
    stage.main(admin)

    third, fourth = requests_of(sandbox, since)[2:]
    assert third | fourth == {"sale.order.list", "crm.item.list"}


def test_a_full_page_costs_no_more_than_a_short_one(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    seed.fill(alpha, 500)
    stage.main(manager)
    assert len(sandbox.log) == 4


def test_paying_is_read_pay_read(sandbox: Sandbox, manager: Person) -> None:
    offer = stage.offer_of(manager)
    since = len(sandbox.log)
    stage.meet(sandbox, stage.READ_BACK, stage.KEPT)

    assert pay(manager, offer, pay_system_id=seed.ACME_PAY).state == State.PAID

    first, second, third, fourth = requests_of(sandbox, since)
    assert first | second == {RIGHT, stage.READ_BACK, stage.KEPT, "sale.order.list", *SYSTEMS}
    assert third == {stage.PAY}
    assert fourth == {stage.READ_BACK}


def test_the_right_is_asked_without_touching_the_method_that_pays(
    sandbox: Sandbox, manager: Person
) -> None:
    stage.tab(manager, seed.DEAL)
    stage.main(manager)
    assert stage.sent_payments(sandbox) == 0


def test_a_payment_takes_few_queries(manager: Person) -> None:
    offer = stage.offer_of(manager)
    # A new request: of the person only the session is known.
    request = RequestFactory().post("/payments/pay/", {session.FIELD: session.issue(manager)})

    with CaptureQueriesContext(connection) as queries:
        attempt = pay(session.read(request), offer, pay_system_id=seed.ACME_PAY)

    assert attempt.state == State.PAID
    assert 0 < len(statements(queries)) <= SQL_A_PAYMENT


def test_marking_and_undoing_take_as_few(manager: Person) -> None:
    offer = stage.offer_of(manager, deal_id=seed.CASH_DEAL, payment_id=seed.CASH_PAYMENT)
    request = RequestFactory().post("/payments/", {session.FIELD: session.issue(manager)})

    with CaptureQueriesContext(connection) as marking:
        marked = mark(session.read(request), offer)
    with CaptureQueriesContext(connection) as undoing:
        undone = undo(session.read(request), offer, note="Not received after all")

    assert (marked.state, undone.state) == (State.PAID, State.UNDONE)
    assert 0 < len(statements(marking)) <= SQL_A_PAYMENT
    assert 0 < len(statements(undoing)) <= SQL_A_PAYMENT


@pytest.mark.parametrize("has_tried", [False, True])
@pytest.mark.parametrize("placement", ["DEFAULT", "CRM_DEAL_DETAIL_TAB"])
def test_an_opening_takes_few_queries(
    sandbox: Sandbox, alpha: Portal, manager: Person, placement: str, has_tried: bool
) -> None:
    if has_tried:
        sandbox.faults.add(Fault("true_without_payment", method=stage.PAY))
        pay(manager, stage.offer_of(manager), pay_system_id=seed.ACME_PAY)
    fields = opening_fields(sandbox, alpha, seed.MANAGER, PLACEMENT=placement)
    request = RequestFactory().post("/", fields)

    with CaptureQueriesContext(connection) as queries:
        opening = read_opening(request)
        reading: MainReading | TabReading
        if placement == "DEFAULT":
            reading = MainReading(opening.portal, opening.client)
        else:
            reading = TabReading(opening.portal, opening.client, Owner(DEAL, seed.DEAL))
        opening.add_proof(reading.user_batch)
        run_batches(*reading.batches)
        listing = reading.listing(opening.prove(), is_admin=opening.is_admin)

    assert listing.rows
    assert 0 < len(statements(queries)) <= SQL_AN_OPENING
