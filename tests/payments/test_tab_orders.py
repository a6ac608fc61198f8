"""The deal tab knows the orders of its payments, without waiting for the portal a second time."""

from __future__ import annotations

from decimal import Decimal

import pytest

from b24app.identity.session import Person
from payments.visibility.item_orders import READ_AT_ONCE
from payments.visibility.rows import Row
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Order, Payment, Portal
from tests.payments import stage

pytestmark = pytest.mark.django_db

CANCELLED = "The order is cancelled"
BOUND, GET = "crm.orderentity.list", "sale.order.get"


def warm(sandbox: Sandbox, who: Person) -> int:
    """Fills the cache of pay systems; returns how many requests there were so far."""
    stage.tab(who, seed.EMPTY_DEAL)
    return len(sandbox.log)


def cancelled_row(who: Person) -> Row:
    return stage.row_of(stage.tab(who, seed.CANCELED_DEAL), seed.CANCELED_PAYMENT)


def assert_told(row: Row) -> None:
    assert (row.payable, row.markable) == (False, False)
    assert CANCELLED in str(row.why_not)
    assert "Nothing was paid" not in str(row.why_not)


def test_a_cancelled_order_is_told_beforehand(sandbox: Sandbox, manager: Person) -> None:
    assert_told(cancelled_row(manager))
    assert len(sandbox.log) == 2  # at the same time: the person's batch and the pay systems
    since = len(sandbox.log)
    assert_told(cancelled_row(manager))
    assert len(sandbox.log) - since == 1


def test_only_the_payments_of_that_order_are_stopped(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    warm(sandbox, manager)
    alpha.orders[seed.SEVERAL_ORDERS[0]].canceled = True
    rows = {row.payment.id: row for row in stage.tab(manager, seed.SEVERAL_DEAL).rows}
    first, _paid, third, fourth = seed.SEVERAL_PAYMENTS
    assert_told(rows[first])
    assert (rows[third].payable, rows[fourth].markable) == (True, True)


def test_an_order_is_found_by_its_payments_and_not_by_their_numbers(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    """A portal can choose a pattern for numbers in which a payment's says nothing of its order."""
    alpha.payments[seed.CANCELED_PAYMENT].account_number = "P-2026-17"
    assert_told(cancelled_row(manager))
    alpha.payments[seed.SEVERAL_PAYMENTS[0]].account_number = f"{seed.CANCELED_ORDER}/1"
    rows = stage.tab(manager, seed.SEVERAL_DEAL)
    assert stage.row_of(rows, seed.SEVERAL_PAYMENTS[0]).payable


def test_the_buyers_kind_is_known_too(sandbox: Sandbox, manager: Person) -> None:
    row = stage.row_of(stage.tab(manager, seed.COMPANY_DEAL), seed.COMPANY_PAYMENT)
    assert [system.id for system in row.systems] == [seed.COMPANY_PAY]


def test_of_many_orders_each_is_told(sandbox: Sandbox, alpha: Portal, manager: Person) -> None:
    ids = range(900, 900 + READ_AT_ONCE + 3)
    for number in ids:
        order = Order(number, str(number), Decimal(10), "EUR", canceled=True)
        order.bindings.append((2, seed.EMPTY_DEAL))
        alpha.orders[number] = order
        alpha.payments[number] = Payment(
            number, number, f"{number}/1", Decimal(10), "EUR", seed.ACME_PAY
        )
    rows = stage.tab(manager, seed.EMPTY_DEAL).rows
    assert [row.payment.id for row in rows] == list(reversed(ids))
    for row in rows:
        assert_told(row)


def test_where_the_person_may_not_read_orders_the_portals_token_does(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    warm(sandbox, manager)
    alpha.users[seed.MANAGER].reads_sale = False
    assert_told(cancelled_row(manager))
    since = len(sandbox.log)
    stage.meet(sandbox, stage.READ_BACK, BOUND)  # from now on both are under way together
    assert_told(cancelled_row(manager))
    assert len(sandbox.log) - since == 2


@pytest.mark.parametrize("kind", ["drop", "status500", "broken_json"])
def test_a_tab_that_cannot_read_orders_still_shows_its_payments(
    sandbox: Sandbox, alpha: Portal, manager: Person, kind: str
) -> None:
    alpha.batch_forbidden = frozenset({BOUND, GET})
    sandbox.faults.add(Fault(kind, method=BOUND, times=None))
    row = cancelled_row(manager)
    assert row.payable  # Bitrix24 itself refuses a cancelled order, and Pay reads it again


def test_where_a_portal_refuses_one_of_them_in_a_batch(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    """Nothing that refers to another command's answer is ever sent without that command."""
    for forbidden in ({GET}, {BOUND}, {GET, BOUND}):
        alpha.batch_forbidden = frozenset(forbidden)
        since = len(sandbox.log)
        assert cancelled_row(manager).payment.id == seed.CANCELED_PAYMENT
        alone = [call for call in sandbox.log[since:] if call.methods == (GET,)]
        assert alone == []
