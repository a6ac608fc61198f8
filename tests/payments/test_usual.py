"""What was chosen last is chosen already, where something has to be chosen, and nowhere else."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from b24app import models
from b24app.session import Person
from payments.models import Policy, State
from payments.pay import pay
from payments.visible.rows import Row
from sandbox import seed
from sandbox.app import Sandbox
from sandbox.faults import Fault
from sandbox.world import Portal
from tests.payments import stage
from tests.payments.frames import DEAL_TAB, Frame, text_of
from tests.payments.test_cost import statements

pytestmark = pytest.mark.django_db


@pytest.fixture
def portal(sandbox: Sandbox, alpha: Portal) -> models.Portal:
    return stage.install(sandbox, alpha)


@pytest.fixture
def manager(sandbox: Sandbox, portal: models.Portal) -> Person:
    return stage.person(sandbox, portal, seed.MANAGER)


def paid_by(person: Person, pay_system_id: int, *, place: int = 0) -> None:
    offer = stage.offer_of(
        person, deal_id=seed.PLAIN_DEALS[0], payment_id=seed.PLAIN_PAYMENTS[place]
    )
    assert pay(person, offer, pay_system_id=pay_system_id).state == State.PAID


def cash_row(person: Person) -> Row:
    return stage.row_of(stage.tab(person, seed.CASH_DEAL), seed.CASH_PAYMENT)


def test_without_a_payment_of_theirs_nothing_is_chosen(manager: Person) -> None:
    assert cash_row(manager).usual_id == 0


def test_the_last_one_is_chosen_where_the_bound_one_cannot_be_used(manager: Person) -> None:
    paid_by(manager, seed.ACME_PAY)
    paid_by(manager, seed.DEMO_CARD_PAY, place=1)
    assert cash_row(manager).usual_id == seed.DEMO_CARD_PAY
    listed = stage.main(manager)
    assert stage.row_of(listed, seed.CASH_PAYMENT).usual_id == seed.DEMO_CARD_PAY


def test_the_bound_one_is_never_exchanged_where_it_can_be_used(manager: Person) -> None:
    paid_by(manager, seed.DEMO_CARD_PAY)
    row = stage.row_of(stage.tab(manager, seed.DEAL), seed.PAYMENT)
    assert (row.bound_fits, row.usual_id) == (True, 0)
    assert row.systems[0].id == seed.ACME_PAY


def test_it_is_the_persons_own_and_the_portals_own(
    sandbox: Sandbox, manager: Person, beta: Portal
) -> None:
    paid_by(manager, seed.DEMO_CARD_PAY)
    colleague = stage.person(sandbox, manager.portal, seed.ADMIN)
    assert cash_row(colleague).usual_id == 0
    elsewhere = stage.person(sandbox, stage.install(sandbox, beta), seed.MANAGER)
    assert cash_row(elsewhere).usual_id == 0


def test_only_what_can_be_chosen_here_is_chosen(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    """The last before it, where the last one is switched off, or another buyer's."""
    paid_by(manager, seed.ACME_PAY)
    paid_by(manager, seed.DEMO_CARD_PAY, place=1)
    Policy.objects.create(portal=manager.portal, systems=[seed.ACME_PAY, seed.OTHER_PAY])
    assert cash_row(manager).usual_id == seed.ACME_PAY
    Policy.objects.update(systems=[seed.OTHER_PAY])
    assert cash_row(manager).usual_id == 0


def test_a_refused_payment_was_no_choice(sandbox: Sandbox, manager: Person) -> None:
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
        assert cash_row(manager).usual_id == seed.DEMO_CARD_PAY
    assert len(statements(after)) == len(statements(before))


def test_the_choice_has_it_selected(
    client: Client, sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    paid_by(manager, seed.DEMO_CARD_PAY)
    frame = Frame(client, sandbox, alpha, seed.MANAGER)
    html = text_of(frame.opened(DEAL_TAB, str(seed.CASH_DEAL)))
    assert re.findall(r'<option value="(\d*)" selected', html) == [str(seed.DEMO_CARD_PAY)]
