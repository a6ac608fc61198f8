"""What a screen costs: requests to the portal, how many in sequence, and SQL statements."""

from __future__ import annotations

from collections.abc import Callable

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
from payments.models import Attempt, State
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
ORDER_RIGHT = "crm.item.payment.get"

# The orders of a deal, which the tab reads beforehand.
ORDERS = ("crm.orderentity.list", "sale.order.get")

SQL_AN_OPENING = 6
SQL_A_PAYMENT = 10


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


@pytest.mark.parametrize("is_admin", [False, True])
def test_the_main_page_is_three_deep_and_two_where_the_deals_are_known(
    sandbox: Sandbox, manager: Person, admin: Person, is_admin: bool
) -> None:
    who = admin if is_admin else manager
    stage.meet(sandbox, RIGHT, "sale.payment.list")
    stage.main(who)
    first, second, third, fourth = requests_of(sandbox, 0)
    assert first | second == {RIGHT, "profile", "sale.payment.list", *SYSTEMS}
    assert third == {"sale.order.list", "crm.orderentity.list"}
    assert fourth == {"crm.item.list"}

    since = len(sandbox.log)
    stage.meet(sandbox, RIGHT, "sale.payment.list")
    stage.meet(sandbox, "sale.order.list", "crm.item.list")
    stage.main(who)
    first, second, third, fourth = requests_of(sandbox, since)
    assert first | second == {RIGHT, "profile", "sale.payment.list"}
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
    of_person, of_portal = {RIGHT, stage.READ_BACK, ORDER_RIGHT}, {stage.KEPT, "sale.order.list"}
    assert first | second == {*of_person, *of_portal, *SYSTEMS}
    assert third == {stage.PAY}
    assert fourth == {stage.READ_BACK}


def test_the_right_is_asked_without_touching_the_method_that_pays(
    sandbox: Sandbox, manager: Person
) -> None:
    stage.tab(manager, seed.DEAL)
    stage.main(manager)
    assert stage.sent_payments(sandbox) == 0


def test_paying_marking_and_undoing_take_few_queries(manager: Person) -> None:
    offer = stage.offer_of(manager)
    cash = stage.offer_of(manager, deal_id=seed.CASH_DEAL, payment_id=seed.CASH_PAYMENT)
    # A new request: of the person only the session is known.
    request = RequestFactory().post("/payments/", {session.FIELD: session.issue(manager)})
    acts: dict[State, Callable[[Person], Attempt]] = {
        State.PAID: lambda who: pay(who, offer, pay_system_id=seed.ACME_PAY),
        State.UNDONE: lambda who: undo(who, offer, note="Not received after all"),
    }
    for state, act in [*acts.items(), (State.PAID, lambda who: mark(who, cash))]:
        with CaptureQueriesContext(connection) as queries:
            attempt = act(session.read(request))
        assert attempt.state == state
        assert 0 < len(statements(queries)) <= SQL_A_PAYMENT


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
