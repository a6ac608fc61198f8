"""Approval requests in races and at the wrong moment: one is kept, and an approver learns why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from django.db import IntegrityError

from b24app.errors import Missing
from b24app.identity.session import Person
from payments import reasons
from payments.approvals import requests
from payments.approvals.requests import NotPossible, withdraw
from payments.attempts.messages import why_not
from payments.models import Approval, ApprovalState, Entry, Policy
from payments.offer import Offer
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.payments import stage
from tests.payments.unconfirmed import lost_payment

pytestmark = pytest.mark.django_db


@pytest.fixture
def offer(manager: Person) -> Offer:
    Policy.objects.create(portal=manager.portal, limits={"EUR": "100", "USD": "100"})
    return stage.offer_of(manager)


def ask(who: Person, offer: Offer, system: int = seed.ACME_PAY) -> Approval:
    return requests.ask(who, offer, pay_system_id=system, pay_system_name="")


def why_impossible(act: Callable[[], object]) -> object:
    with pytest.raises(NotPossible) as found:
        act()
    return found.value.sentence


def test_an_offer_to_another_person_or_portal_cannot_be_asked_for(
    sandbox: Sandbox, beta: Portal, admin: Person, offer: Offer
) -> None:
    elsewhere = stage.person(sandbox, stage.install(sandbox, beta), seed.MANAGER)
    for other in (elsewhere, admin):
        with pytest.raises(Missing):
            ask(other, offer)
    assert not Approval.objects.exists()


def test_what_needs_no_approval_what_is_under_way_and_what_changed_is_not_asked_for(
    sandbox: Sandbox, manager: Person, offer: Offer
) -> None:
    """An approver is told why, and nothing about money."""
    changed = replace(offer, sum=Decimal("12500.01"))
    assert why_impossible(lambda: ask(manager, changed)) == why_not(reasons.SUM_CHANGED)
    Policy.objects.update(limits={})
    assert why_impossible(lambda: ask(manager, offer)) == reasons.NO_APPROVAL_NEEDED
    lost_payment(sandbox, manager)
    Policy.objects.update(limits={"EUR": "100"})
    assert why_impossible(lambda: ask(manager, offer)) == reasons.OPEN_ATTEMPT
    assert not Approval.objects.exists()


@pytest.mark.parametrize("still_there", [False, True])
def test_of_two_windows_that_ask_at_once_one_request_is_kept(
    manager: Person, offer: Offer, monkeypatch: pytest.MonkeyPatch, still_there: bool
) -> None:
    first = ask(manager, offer)

    def too_late(wanted: Approval) -> Approval:
        raise IntegrityError

    monkeypatch.setattr(requests, "_live_or", too_late)
    if still_there:
        assert ask(manager, offer).pk == first.pk
        return
    withdraw(manager, first.pk)
    assert why_impossible(lambda: ask(manager, offer)) == reasons.DECIDED_MEANWHILE
    assert Approval.objects.get().state == ApprovalState.WITHDRAWN


def test_what_is_decided_while_it_is_withdrawn_stays_decided(
    manager: Person, admin: Person, offer: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ask(manager, offer)
    own: Callable[[Person, int], Approval] = requests.withdrawable

    def meanwhile(person: Person, approval_id: int) -> Approval:
        found = own(person, approval_id)
        requests.approve(admin, approval_id)
        return found

    monkeypatch.setattr(requests, "withdrawable", meanwhile)
    assert why_impossible(lambda: withdraw(manager, asked.pk)) == reasons.DECIDED_MEANWHILE
    asked.refresh_from_db()
    assert asked.state == ApprovalState.APPROVED


@pytest.mark.usefixtures("offer")
def test_an_approvals_entry_says_all_that_was_approved(manager: Person, admin: Person) -> None:
    usd = stage.offer_of(manager, deal_id=seed.USD_DEAL, payment_id=seed.USD_PAYMENT)
    asked = ask(manager, usd, seed.DEMO_CARD_PAY)
    requests.approve(admin, asked.pk)
    for entry, actor in zip(Entry.objects.order_by("number"), (manager, admin), strict=True):
        assert entry.actor_id == actor.user_id
        assert entry.facts == {
            "approval": asked.pk,
            "kind": "pay",
            "payment": seed.USD_PAYMENT,
            "account_number": "173/1",
            "sum": "1999.9900",
            "currency": "USD",
            "pay_system": seed.DEMO_CARD_PAY,
            "requested_by": seed.MANAGER,
        }
