"""Cached reference data of a portal: which pay systems can be chosen, and the names of people."""

from __future__ import annotations

from dataclasses import replace

import pytest

from b24app import models
from b24app.identity.session import Person
from payments.gateway import PaySystem
from payments.lookups import users
from payments.lookups.pay_systems import SystemKind, Systems, SystemsReading
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import installing, seed
from sandbox.world.world import Portal, Role, User
from tests.b24app.portal_posts import stored
from tests.payments import stage

pytestmark = pytest.mark.django_db

HANDLERS, LIST = "sale.paysystem.handler.list", "sale.paysystem.list"
GET_USERS = "user.get"


def read(portal: models.Portal) -> Systems | None:
    reading = SystemsReading(portal)
    for batch in reading.own_batches():
        batch.run()
    return reading.result()


def fitting(systems: Systems | None, person_type_id: int | None) -> list[int]:
    assert systems is not None
    return [system.id for system in systems.fitting(person_type_id)]


def one(handler: str = "acmepay", registry: str = "ORDER") -> PaySystem:
    return PaySystem(1, "One", True, registry, None, handler, False, 100)


def test_active_ones_of_the_buyers_type_fit(portal: models.Portal) -> None:
    """Those of orders, that a call can pay through."""
    individuals = [seed.ACME_PAY, seed.DEMO_CARD_PAY, seed.OTHER_PAY]
    assert fitting(read(portal), 1) == individuals
    assert fitting(read(portal), 2) == [seed.COMPANY_PAY]
    assert {*individuals, seed.COMPANY_PAY} <= set(fitting(read(portal), None))
    registered = frozenset({"acmepay"})
    assert fitting(Systems((one(),), registered), 2) == [1]
    assert fitting(Systems((one(registry="CRM_INVOICE"),), registered), None) == []


@pytest.mark.parametrize(
    ("pay_system_id", "kind", "needs_mark"),
    [
        (seed.ACME_PAY, SystemKind.APP, False),
        (seed.OTHER_PAY, SystemKind.APP, False),
        (seed.COMPANY_PAY, SystemKind.APP, False),
        (seed.CASH, SystemKind.SILENT, True),
        (seed.BILL, SystemKind.SILENT, True),
        (seed.ON_DELIVERY, SystemKind.SILENT, True),
        (seed.INNER, SystemKind.SILENT, False),
        (seed.DOCUMENT, SystemKind.SILENT, True),
        (seed.ACQUIRER, SystemKind.ACQUIRER, True),
        (seed.INACTIVE_PAY, SystemKind.INACTIVE, False),
        (seed.INVOICE_PAY, SystemKind.OTHER_REGISTRY, False),
    ],
)
def test_each_is_of_a_kind_and_some_need_a_mark_by_hand(
    portal: models.Portal, pay_system_id: int, kind: SystemKind, needs_mark: bool
) -> None:
    systems = read(portal)
    assert systems is not None
    system = systems.find(pay_system_id)
    assert system is not None
    assert systems.kind(system) is kind
    assert systems.needs_mark(system) is needs_mark
    assert systems.can_be_paid(system) is (kind is SystemKind.APP)


@pytest.mark.parametrize(
    ("action_file", "handlers_known", "kind"),
    [
        ("billde", True, SystemKind.SILENT),
        ("Cash", True, SystemKind.SILENT),
        ("billing-app", True, SystemKind.APP),  # Registered: a name alone proves nothing.
        ("paypal", True, SystemKind.ACQUIRER),
        ("paypal", False, SystemKind.APP),
        ("cash", False, SystemKind.SILENT),
    ],
)
def test_handlers_decide_the_kind(action_file: str, handlers_known: bool, kind: SystemKind) -> None:
    handlers = frozenset({"acmepay", "billing-app"}) if handlers_known else None
    system = one(action_file)
    assert Systems((system,), handlers).kind(system) is kind


def test_a_mark_is_for_active_systems_of_orders_only() -> None:
    cash = one("cash")
    systems = Systems((cash,), frozenset())
    assert systems.needs_mark(cash)
    assert not systems.needs_mark(replace(cash, active=False))
    assert not systems.needs_mark(replace(cash, registry="CRM_INVOICE"))


def test_they_are_asked_for_once_in_five_minutes_for_each_portal(
    sandbox: Sandbox, beta: Portal, portal: models.Portal
) -> None:
    first = read(portal)
    assert read(portal) == first
    assert len(sandbox.log) == 1
    beta.pay_systems.pop(seed.ACME_PAY)
    assert seed.ACME_PAY in fitting(read(portal), 1)
    assert seed.ACME_PAY not in fitting(read(stage.install(sandbox, beta)), 1)


def test_without_the_list_of_handlers_those_that_never_pay_are_left_out(
    sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    alpha.batch_forbidden = frozenset({HANDLERS})
    refuse_it_alone = Fault("operation_limit", method=HANDLERS)
    stage.during(sandbox, LIST, lambda: sandbox.faults.add(refuse_it_alone))

    known = [seed.ACME_PAY, seed.DEMO_CARD_PAY, seed.OTHER_PAY]
    assert fitting(read(portal), 1) == [*known, seed.ACQUIRER]


def test_a_list_that_fails_is_asked_for_again(sandbox: Sandbox, portal: models.Portal) -> None:
    sandbox.faults.add(Fault("broken_json", method=LIST))

    assert read(portal) is None
    assert fitting(read(portal), 1)


def test_without_a_token_or_the_installers_right_they_are_unknown(
    sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    alpha.users[seed.ADMIN].role = alpha.users[seed.MANAGER].role
    assert read(portal) is None
    stage.lose_portal_token(portal)
    with stage.no_request(sandbox):
        assert read(portal) is None


# ---- names: read with the token of the person who looks; a screen never fails for them


def asked_for_users(sandbox: Sandbox) -> int:
    return sum(GET_USERS in call.methods for call in sandbox.log)


def test_names_are_the_portals_own_and_are_not_stored(alpha: Portal, manager: Person) -> None:
    alpha.users[70] = User(70, "", "", Role.MANAGER)
    ids = [seed.MANAGER, seed.ADMIN, seed.DISMISSED, seed.READER, 70, 4711]
    assert users.names(manager, ids) == {
        seed.ADMIN: "Ada Admin",
        seed.MANAGER: "Max Manager",
        seed.DISMISSED: "Dan Dismissed",
        seed.READER: "Rita Reader",
        70: "User 70",
        4711: "User 4711",
    }
    assert users.names(manager.portal, [seed.MANAGER]) == {seed.MANAGER: "Max Manager"}
    assert "Rita" not in str(stored())


def test_each_is_asked_for_once_in_ten_minutes(sandbox: Sandbox, manager: Person) -> None:
    assert users.names(manager, []) == {}
    assert asked_for_users(sandbox) == 0
    users.names(manager, [seed.MANAGER, 4711])
    users.names(manager, [4711, seed.MANAGER])
    assert asked_for_users(sandbox) == 1
    users.names(manager, [seed.MANAGER, seed.READER])
    assert asked_for_users(sandbox) == 2


def test_the_cache_shows_no_names_of_another_person(sandbox: Sandbox, manager: Person) -> None:
    outsider = stage.person(sandbox, manager.portal, seed.EXTRANET)
    assert users.names(manager, [seed.READER]) == {seed.READER: "Rita Reader"}
    assert users.names(outsider, [seed.READER]) == {seed.READER: "User 4"}
    assert users.names(manager, [seed.READER]) == {seed.READER: "Rita Reader"}


def test_more_people_than_a_page(sandbox: Sandbox, alpha: Portal, manager: Person) -> None:
    ids = range(100, 230)
    for user_id in ids:
        alpha.users[user_id] = User(user_id, "Pat", str(user_id), Role.MANAGER)
    assert users.names(manager, ids) == {user_id: f"Pat {user_id}" for user_id in ids}


def test_far_too_many_people_cost_no_more_than_the_bound(sandbox: Sandbox, manager: Person) -> None:
    found = users.names(manager, range(1, users.MOST_ASKED + 100))
    assert found[seed.MANAGER] == "Max Manager"
    assert found[users.MOST_ASKED + 99] == f"User {users.MOST_ASKED + 99}"
    assert sum(call.methods.count(GET_USERS) for call in sandbox.log) == users.MOST_ASKED / 50


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("kind", ["status500", "drop", "broken_json"])
def test_a_silent_portal_leaves_numbers(sandbox: Sandbox, manager: Person, kind: str) -> None:
    sandbox.faults.add(Fault(kind, method=GET_USERS, times=20))
    assert users.names(manager, [seed.MANAGER]) == {seed.MANAGER: "User 3"}
    sandbox.faults.clear()
    assert users.names(manager, [seed.MANAGER]) == {seed.MANAGER: "Max Manager"}


def test_without_the_scope_or_a_token_there_are_numbers(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    row = manager.portal
    installing.set_scopes(sandbox.world, alpha, seed.OUR_CLIENT_ID, ("crm",))
    assert users.names(manager, [seed.MANAGER]) == {seed.MANAGER: "User 3"}
    row.tokens.all().delete()
    stranger = Person(row, 99, proved_at=manager.proved_at)
    assert users.names(stranger, [99]) == users.names(row, [99]) == {99: "User 99"}
