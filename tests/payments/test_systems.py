"""Which pay systems can be chosen, and how the portal is asked for them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from b24app import models
from payments.gateway import PaySystem
from payments.lookups.pay_systems import SystemKind, Systems, SystemsReading
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.payments import stage

HANDLERS = "sale.paysystem.handler.list"
LIST = "sale.paysystem.list"


@pytest.fixture
def row(sandbox: Sandbox, alpha: Portal, db: None) -> models.Portal:
    return stage.install(sandbox, alpha)


def read(row: models.Portal) -> Systems | None:
    reading = SystemsReading(row)
    for batch in reading.own_batches():
        batch.run()
    return reading.result()


def fitting(systems: Systems | None, person_type_id: int | None) -> list[int]:
    assert systems is not None
    return [system.id for system in systems.fitting(person_type_id)]


def test_active_ones_of_orders_that_a_call_can_pay_through_fit(row: models.Portal) -> None:
    assert fitting(read(row), 1) == [seed.ACME_PAY, seed.DEMO_CARD_PAY, seed.OTHER_PAY]


def test_a_buyer_of_another_type_has_other_ones(row: models.Portal) -> None:
    assert fitting(read(row), 2) == [seed.COMPANY_PAY]


def test_where_the_buyers_type_is_not_known_all_of_them_fit(row: models.Portal) -> None:
    assert seed.COMPANY_PAY in fitting(read(row), None)
    assert seed.ACME_PAY in fitting(read(row), None)


def test_a_pay_system_without_a_buyers_type_takes_all() -> None:
    system = PaySystem(1, "Acme Pay", True, "ORDER", None, "acmepay", False, 100)
    assert Systems((system,), frozenset({"acmepay"})).fitting(2) == [system]


def test_a_pay_system_of_old_invoices_finds_no_payments_of_orders() -> None:
    system = PaySystem(1, "Acme Pay", True, "CRM_INVOICE", None, "acmepay", False, 100)
    assert Systems((system,), frozenset({"acmepay"})).fitting(None) == []


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
    row: models.Portal, pay_system_id: int, kind: SystemKind, needs_mark: bool
) -> None:
    systems = read(row)
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
def test_the_handler_decides_the_kind(
    action_file: str, handlers_known: bool, kind: SystemKind
) -> None:
    system = PaySystem(1, "One", True, "ORDER", None, action_file, False, 100)
    handlers = frozenset({"acmepay", "billing-app"}) if handlers_known else None
    assert Systems((system,), handlers).kind(system) is kind


def test_a_mark_is_for_active_systems_of_orders_only() -> None:
    cash = PaySystem(1, "Cash", True, "ORDER", None, "cash", True, 100)
    systems = Systems((cash,), frozenset())
    assert systems.needs_mark(cash)
    assert not systems.needs_mark(replace(cash, active=False))
    assert not systems.needs_mark(replace(cash, registry="CRM_INVOICE"))


def test_they_are_asked_for_once_in_five_minutes(sandbox: Sandbox, row: models.Portal) -> None:
    first = read(row)
    calls = len(sandbox.log)

    assert read(row) == first
    assert len(sandbox.log) == calls == 1


def test_each_portal_has_its_own(sandbox: Sandbox, beta: Portal, row: models.Portal) -> None:
    beta.pay_systems.pop(seed.ACME_PAY)
    assert seed.ACME_PAY in fitting(read(row), 1)
    assert seed.ACME_PAY not in fitting(read(stage.install(sandbox, beta)), 1)


def test_without_the_list_of_handlers_those_that_never_pay_are_left_out(
    sandbox: Sandbox, alpha: Portal, row: models.Portal
) -> None:
    alpha.batch_forbidden = frozenset({HANDLERS})

    def refuse_it_alone() -> None:
        sandbox.faults.add(Fault("operation_limit", method=HANDLERS))

    sandbox.faults.add(Fault("delay", method=LIST, seconds=0, on_hit=refuse_it_alone))

    assert fitting(read(row), 1) == [
        seed.ACME_PAY,
        seed.DEMO_CARD_PAY,
        seed.OTHER_PAY,
        seed.ACQUIRER,
    ]


def test_a_list_that_fails_this_time_is_asked_for_again(
    sandbox: Sandbox, row: models.Portal
) -> None:
    sandbox.faults.add(Fault("broken_json", method=LIST))

    assert read(row) is None
    assert fitting(read(row), 1)


def test_an_installer_who_lost_the_right_leaves_them_unknown(
    sandbox: Sandbox, alpha: Portal, row: models.Portal
) -> None:
    alpha.users[seed.ADMIN].role = alpha.users[seed.MANAGER].role
    assert read(row) is None


def test_without_a_portal_token_nothing_is_asked(sandbox: Sandbox, row: models.Portal) -> None:
    stage.lose_portal_token(row)
    assert read(row) is None
    assert sandbox.log == []
