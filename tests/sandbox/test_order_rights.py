"""Rights to Orders in a CRM role: levels, one order's responsible person, and the type alone.

crm/lib/Service/UserPermissions/EntityPermissions/ of the server: Item.php and Type.php.
"""

from __future__ import annotations

import pytest

from sandbox.world import seed
from sandbox.world.users import Level, OrderRights
from sandbox.world.world import DEAL, Role
from tests.sandbox.asking import Refusal, ask, refused
from tests.sandbox.wire import PAY, THE_PAYMENT, Wire, in_process

DENIED = Refusal(400, "ACCESS_DENIED", "Access denied")
NO_RIGHT = Refusal(403, "ACCESS_DENIED", "Access denied!")
NO_SYSTEM = Refusal(400, "ERROR_CHECK_FAILURE", "Empty field PAY_SYSTEM_ID!")
ITEM = "crm.item.payment"
PROBE = "sale.paysystem.settings.payment.get"

# Whose order it is, beginning with the person who asks.
OWN, COLLEAGUE, BELOW, ABOVE, NO_PERSON = "own", "colleague", "below", "above", "no person"
RESPONSIBLE = {
    OWN: seed.OWN_ORDERS,
    COLLEAGUE: seed.DEPARTMENT_ORDERS,
    BELOW: seed.OWN_MANAGER,
    ABOVE: seed.ADMIN,
    NO_PERSON: 0,
}
REACHED = {
    Level.NONE: set[str](),
    Level.OWN: {OWN},
    Level.DEPARTMENT: {OWN, COLLEAGUE},
    Level.SUB_DEPARTMENTS: {OWN, COLLEAGUE, BELOW},
    Level.OPEN: {OWN, COLLEAGUE, BELOW},  # no order is marked as open
    Level.ALL: set(RESPONSIBLE),
}


def give(wire: Wire, rights: OrderRights, user: int = seed.OWN_ORDERS) -> None:
    wire.alpha.users[user].order_rights = rights


@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("whose", RESPONSIBLE)
def test_a_level_reaches_orders_by_their_responsible_person(level: Level, whose: str) -> None:
    wire = in_process()
    wire.alpha.orders[seed.ORDER].responsible_id = RESPONSIBLE[whose]
    params = {"id": seed.PAYMENT}
    give(wire, OrderRights(read=level, update=Level.ALL))
    assert _passes(wire, f"{ITEM}.get", params) is (whose in REACHED[level])
    give(wire, OrderRights(read=Level.ALL, update=level))
    assert _passes(wire, f"{ITEM}.pay", params) is (whose in REACHED[level])


def _passes(wire: Wire, method: str, params: dict[str, int]) -> bool:
    answer = wire.call(method, params, token=wire.token(seed.OWN_ORDERS)).json()
    assert "result" in answer or answer["error"] == "ACCESS_DENIED"
    return "result" in answer


@pytest.mark.parametrize("verb", ["pay", "unpay", "update", "delete"])
def test_changes_ask_to_read_first_and_then_to_update(verb: str) -> None:
    """Also a payment is deleted by the right to update its order, not to delete it."""
    wire = in_process()
    params = {"id": seed.PAYMENT, "fields": {"paySystemId": seed.ACME_PAY}}
    for lacking in (
        OrderRights(Level.NONE, Level.ALL, Level.ALL, Level.ALL),
        OrderRights(Level.ALL, Level.ALL, Level.NONE, Level.ALL),
        OrderRights(Level.OWN, Level.ALL, Level.ALL, Level.ALL),
        OrderRights(Level.ALL, Level.ALL, Level.OWN, Level.ALL),
    ):
        give(wire, lacking)
        assert refused(wire, f"{ITEM}.{verb}", params, user=seed.OWN_ORDERS) == DENIED
    give(wire, OrderRights(Level.ALL, Level.NONE, Level.ALL, Level.NONE))
    assert ask(wire, f"{ITEM}.{verb}", params, user=seed.OWN_ORDERS) is True


def test_the_list_of_a_deal_asks_nothing_about_orders() -> None:
    wire = in_process()
    give(wire, OrderRights())
    params = {"entityTypeId": DEAL, "entityId": seed.DEAL}
    (row,) = ask(wire, f"{ITEM}.list", params, user=seed.OWN_ORDERS)
    assert row["id"] == seed.PAYMENT


@pytest.mark.parametrize(
    ("rights", "passes"),
    [
        (OrderRights(), False),
        (OrderRights(read=Level.ALL, delete=Level.ALL), False),
        (OrderRights(add=Level.OWN), True),
        (OrderRights(update=Level.OWN), True),
    ],
)
def test_pay_payment_asks_about_orders_in_general_only(rights: OrderRights, passes: bool) -> None:
    """Adding or updating at any level pays any order, also one that the person may not read."""
    wire = in_process()
    give(wire, rights)
    probe = refused(wire, PROBE, user=seed.OWN_ORDERS)
    assert probe == (NO_SYSTEM if passes else NO_RIGHT)
    if passes:
        assert ask(wire, PAY, THE_PAYMENT, user=seed.OWN_ORDERS) is True
    else:
        assert refused(wire, PAY, THE_PAYMENT, user=seed.OWN_ORDERS) == NO_RIGHT
    assert wire.alpha.payments[seed.PAYMENT].paid is passes


def test_portal_administrators_pass_all() -> None:
    wire = in_process()
    give(wire, OrderRights(), seed.ADMIN)
    wire.alpha.orders[seed.ORDER].responsible_id = 0
    assert ask(wire, f"{ITEM}.pay", {"id": seed.PAYMENT}, user=seed.ADMIN) is True


@pytest.mark.parametrize(
    ("user", "reads", "changes", "pays"),
    [
        (seed.OWN_ORDERS, {0}, {0}, True),
        (seed.DEPARTMENT_ORDERS, {0, 1}, {0, 1}, True),
        (seed.ADD_ONLY, {0, 1, 2}, set(), True),
        (seed.UPDATE_ONLY, set(), set(), True),
        (seed.READER, {0, 1, 2}, set(), False),
    ],
)
def test_the_seeds_people(user: int, reads: set[int], changes: set[int], pays: bool) -> None:
    """The first of these orders is a person's own, the second a colleague's, the third of a
    department below."""
    wire = in_process()
    assert wire.alpha.users[user].role in (Role.MANAGER, Role.READER)
    for place, payment_id in enumerate(seed.PLAIN_PAYMENTS[::3]):
        for method, reached in ((f"{ITEM}.get", reads), (f"{ITEM}.unpay", changes)):
            answer = wire.call(method, {"id": payment_id}, token=wire.token(user)).json()
            assert ("result" in answer) is (place in reached)
    assert (refused(wire, PROBE, user=user) == NO_SYSTEM) is pays
