"""A payment's own pay system stays; the one that a person paid by last is only a suggestion."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from b24app.identity.session import Person
from payments.attempts.pay import pay
from payments.models import Policy, State
from payments.visibility.rows import Row
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.payments import stage
from tests.payments.frames import Frame, offer_in
from tests.payments.test_cost import statements

pytestmark = pytest.mark.django_db


def paid_by(person: Person, pay_system_id: int, *, place: int = 0) -> None:
    offer = stage.offer_of(
        person, deal_id=seed.PLAIN_DEALS[0], payment_id=seed.PLAIN_PAYMENTS[place]
    )
    assert pay(person, offer, pay_system_id=pay_system_id).state == State.PAID


def cash_row(person: Person) -> Row:
    return stage.row_of(stage.tab(person, seed.CASH_DEAL), seed.CASH_PAYMENT)


def cell(html: str) -> str:
    return html.split(f'id="settle-{seed.CASH_PAYMENT}"')[1].split("</td>")[0]


def names_no_system(alpha: Portal) -> None:
    """A payment whose pay system was never set."""
    alpha.payments[seed.CASH_PAYMENT].pay_system_id = 0


def test_a_payments_own_system_is_never_replaced_unasked(manager: Person) -> None:
    """Two clicks must not turn cash into an acquirer."""
    others = [system.id for system in cash_row(manager).other_systems]
    assert others == [seed.ACME_PAY, seed.DEMO_CARD_PAY, seed.OTHER_PAY]  # the portal's order
    paid_by(manager, seed.ACME_PAY)
    paid_by(manager, seed.DEMO_CARD_PAY, place=1)
    for row in (cash_row(manager), stage.row_of(stage.main(manager), seed.CASH_PAYMENT)):
        assert (row.usual_id, row.markable, row.bound_fits) == (0, True, False)
        assert row.systems[0].id == seed.CASH
        # Only the order of the list follows what the person paid by last.
        assert [one.id for one in row.other_systems][:2] == [seed.DEMO_CARD_PAY, seed.ACME_PAY]
    row = stage.row_of(stage.tab(manager, seed.DEAL), seed.PAYMENT)
    assert (row.bound_fits, row.usual_id, row.other_systems) == (True, 0, [])
    assert row.systems[0].id == seed.ACME_PAY


def test_a_payment_without_a_system_has_the_usual_one_chosen(
    alpha: Portal, manager: Person, frame: Frame
) -> None:
    names_no_system(alpha)
    assert cash_row(manager).usual_id == 0
    paid_by(manager, seed.ACME_PAY)
    paid_by(manager, seed.DEMO_CARD_PAY, place=1)
    assert (cash_row(manager).usual_id, cash_row(manager).markable) == (seed.DEMO_CARD_PAY, False)
    html = frame.tab(seed.CASH_DEAL)
    assert re.findall(r'<option value="(\d*)" selected', html) == [str(seed.DEMO_CARD_PAY)]
    assert "<details" not in cell(html)


def test_it_is_the_persons_own_and_the_portals_own(
    sandbox: Sandbox, alpha: Portal, manager: Person, admin: Person, beta: Portal
) -> None:
    names_no_system(alpha)
    names_no_system(beta)
    paid_by(manager, seed.DEMO_CARD_PAY)
    assert cash_row(manager).usual_id == seed.DEMO_CARD_PAY
    assert cash_row(admin).usual_id == 0
    elsewhere = stage.person(sandbox, stage.install(sandbox, beta), seed.MANAGER)
    assert cash_row(elsewhere).usual_id == 0


def test_only_what_can_be_chosen_here_is_chosen(alpha: Portal, manager: Person) -> None:
    """The last before it, where the last one is not allowed."""
    names_no_system(alpha)
    paid_by(manager, seed.ACME_PAY)
    paid_by(manager, seed.DEMO_CARD_PAY, place=1)
    Policy.objects.create(portal=manager.portal, systems=[0, seed.ACME_PAY, seed.OTHER_PAY])
    assert cash_row(manager).usual_id == seed.ACME_PAY
    Policy.objects.update(systems=[0, seed.OTHER_PAY])
    assert cash_row(manager).usual_id == 0


def test_a_refused_payment_was_no_choice(sandbox: Sandbox, alpha: Portal, manager: Person) -> None:
    names_no_system(alpha)
    sandbox.faults.add(Fault("true_without_payment", method=stage.PAY))
    offer = stage.offer_of(manager)
    assert pay(manager, offer, pay_system_id=seed.DEMO_CARD_PAY).state == State.REFUSED
    assert cash_row(manager).usual_id == 0


def test_it_costs_no_statement_of_its_own(manager: Person) -> None:
    stage.tab(manager, seed.CASH_DEAL)
    with CaptureQueriesContext(connection) as before:
        stage.tab(manager, seed.CASH_DEAL)
    paid_by(manager, seed.DEMO_CARD_PAY)
    with CaptureQueriesContext(connection) as after:
        assert cash_row(manager).other_systems[0].id == seed.DEMO_CARD_PAY
    assert len(statements(after)) == len(statements(before))


def test_the_page_marks_first_and_pays_otherwise_only_by_name(
    manager: Person, frame: Frame
) -> None:
    paid_by(manager, seed.DEMO_CARD_PAY)
    html = cell(frame.tab(seed.CASH_DEAL))
    main, other_way = html.split("<details")
    assert re.findall(r"button-main.*?>([^<>]+)</button>", main, re.DOTALL) == ["Mark as paid"]
    assert "Pay by another system</summary>" in other_way
    assert re.findall(r'<option value="(\d*)" selected', other_way) == [""]
    assert "button-main" not in other_way
    assert f'<option value="{seed.CASH}"' not in html


def test_a_pay_system_that_blocks_both_is_named(frame: Frame) -> None:
    """Switched off: neither paid through nor marked, only paid by another one, if asked for."""
    html = frame.tab(seed.INACTIVE_DEAL)
    assert "Acme Pay, retired" in html
    assert "switched off" in html
    assert "Mark as paid" not in html
    assert "Pay by another system" in html


def test_a_refused_payment_with_a_changed_pay_system_is_offered_by_its_present_one(
    sandbox: Sandbox, frame: Frame
) -> None:
    offer = offer_in(frame.tab(seed.CASH_DEAL), seed.CASH_PAYMENT)
    sandbox.faults.add(Fault("true_without_payment", method=stage.PAY))
    answer = frame.send("/payments/pay/", offer=offer, pay_system_id=seed.ACME_PAY)
    assert "<details" not in answer
    assert re.findall(r'<option value="(\d+)"', answer)[0] == str(seed.ACME_PAY)
    assert f'id="system-{seed.CASH_PAYMENT}" hx-swap-oob' in answer
