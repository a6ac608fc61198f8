"""Paths that only a fault, a race or a strange portal takes: each refuses, and loses no record."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError
from django.utils import timezone

from b24app import models
from b24app.errors import (
    B24Error,
    ChainBroken,
    Missing,
    NeverSent,
    OutcomeUnknown,
    PortalMoved,
    Refused,
)
from b24app.identity.session import Person
from payments import reasons
from payments.approvals import requests
from payments.approvals.requests import NotPossible, ask, withdraw
from payments.attempts import kinds, lookup, transitions
from payments.attempts.messages import messages_of, why_not
from payments.attempts.pay import pay
from payments.attempts.undo import undo
from payments.gateway import parsing
from payments.ledger import chain, hashing
from payments.models import Approval, ApprovalState, Attempt, Entry, Kind, Policy, State
from payments.visibility import MainReading
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.payments import stage
from tests.payments.unconfirmed import UNDO, calls, lost_payment

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(sandbox: Sandbox, portal: models.Portal) -> Person:
    return stage.person(sandbox, portal, seed.ADMIN)


# Sums


@pytest.mark.parametrize("value", ["-0.0", "-0", "-0.00004", Decimal("-0E+2")])
def test_a_sum_of_nothing_has_no_minus(value: Any) -> None:
    assert str(parsing.money(value)) == "0.0000"


@pytest.mark.parametrize("amount", ["0", "-0.0", "-12.50"])
def test_a_sum_that_is_not_more_than_zero_is_called_so(
    alpha: Portal, manager: Person, amount: str
) -> None:
    alpha.payments[seed.PAYMENT].sum = Decimal(amount)
    row = stage.row_of(stage.tab(manager, seed.DEAL), seed.PAYMENT)
    assert not row.payable
    assert "is not more than zero" in str(row.why_not)
    assert not str(row.payment.sum).startswith("-0.0")
    attempt = pay(manager, row.offer, pay_system_id=seed.ACME_PAY)
    assert (attempt.state, attempt.reason) == (State.REFUSED, reasons.SUM_ZERO)
    stored = Attempt.objects.get()
    assert stored.sum.is_signed() is (stored.sum < 0)
    assert not Entry.objects.latest("number").facts["sum"].startswith("-0.0")


# What a row offers


def test_only_what_is_marked_by_hand_is_asked_to_be_marked(manager: Person) -> None:
    Policy.objects.create(portal=manager.portal, limits={"EUR": "100"})
    listed = stage.main(manager)
    asking = {row.payment.id for row in listed.rows if row.can_ask_to_mark}
    assert seed.CASH_PAYMENT in asking
    for payment_id in (seed.PAYMENT, *seed.PLAIN_PAYMENTS, seed.OTHER_PAYMENT):
        assert payment_id not in asking  # paid through its pay system
    assert not any(row.markable for row in listed.rows if row.can_ask_to_mark)
    Policy.objects.update(limits={})
    assert not any(row.can_ask_to_mark for row in stage.main(manager).rows)


# Undoing


def test_a_payment_in_another_currency_than_shown_is_not_undone(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    offer = stage.offer_of(manager)
    assert pay(manager, offer, pay_system_id=seed.ACME_PAY).state == State.PAID
    alpha.payments[seed.PAYMENT].currency = "USD"
    attempt = undo(manager, offer, note="By mistake")
    assert (attempt.state, attempt.reason) == (State.REFUSED, reasons.CURRENCY_CHANGED)
    assert "Nothing was undone" in str(messages_of(attempt)[0])
    assert calls(sandbox, UNDO) == 0
    assert alpha.payments[seed.PAYMENT].paid


# The claim and the ledger


def test_a_claim_that_cannot_be_made_asks_bitrix24_nothing(
    sandbox: Sandbox, manager: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each round finds the attempt in the way, and then finds it closed."""
    offer = stage.offer_of(manager)
    since = len(sandbox.log)

    def in_the_way(self: Attempt, **_: object) -> None:
        raise IntegrityError

    monkeypatch.setattr(Attempt, "save", in_the_way)
    with pytest.raises(B24Error, match="again and again"):
        pay(manager, offer, pay_system_id=seed.ACME_PAY)
    assert sandbox.log[since:] == []
    assert not Attempt.objects.exists()


def test_an_attempt_in_the_way_that_is_closed_by_then_is_no_reason_to_stop(
    manager: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer = stage.offer_of(manager)
    save = Attempt.save
    tries: list[Attempt] = []

    def second_time(self: Attempt, **named: Any) -> None:
        tries.append(self)
        if len(tries) == 1:
            raise IntegrityError
        save(self, **named)

    monkeypatch.setattr(Attempt, "save", second_time)
    assert pay(manager, offer, pay_system_id=seed.ACME_PAY).state == State.PAID
    assert Attempt.objects.count() == 1


def test_a_claim_that_another_process_released_is_read_again(manager: Person) -> None:
    attempt, _ = transitions.claim(
        manager, stage.offer_of(manager), kind=Kind.PAY, pay_system_id=seed.ACME_PAY
    )
    stale = Attempt.objects.get(pk=attempt.pk)
    transitions.give_up(attempt)
    transitions.give_up(stale)
    assert (stale.state, stale.reason) == (State.REFUSED, reasons.ABANDONED)
    assert Entry.objects.filter(attempt_id=attempt.pk).count() == 1


def test_no_outcome_is_kept_without_its_entry(
    manager: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other writers of the portal came first in every round."""
    attempt, _ = transitions.claim(
        manager, stage.offer_of(manager), kind=Kind.PAY, pay_system_id=seed.ACME_PAY
    )
    monkeypatch.setattr(chain, "_MOST_TRIES", 2)
    heads = iter(range(100))
    monkeypatch.setattr(chain, "_head", lambda portal: (next(heads), hashing.GENESIS))

    def taken(self: Entry, **_: object) -> None:
        raise IntegrityError

    monkeypatch.setattr(Entry, "save", taken)
    with pytest.raises(B24Error, match="no entry could be appended"):
        transitions.close(attempt, State.REFUSED, reason=reasons.READ_FAILED, evidence={})
    stored = Attempt.objects.get()
    assert (stored.state, stored.reason, stored.settled_at) == (State.PAYING, "", None)
    assert not Entry.objects.exists()


def test_the_ledger_seals_a_day_as_text() -> None:
    assert hashing.plain({"on": date(2026, 12, 31)}) == {"on": "2026-12-31"}


# Reading before anything is sent


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (NeverSent("no connection"), reasons.NOT_REACHED),
        (PortalMoved("elsewhere"), reasons.PORTAL_MOVED),
        (Refused("SOME_CODE"), reasons.REFUSED_BY_BITRIX24),
        (OutcomeUnknown("no JSON"), reasons.READ_FAILED),
    ],
)
def test_an_error_before_sending_closes_the_attempt_with_its_reason(
    sandbox: Sandbox,
    manager: Person,
    error: B24Error,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_: object) -> None:
        raise error

    action = replace(kinds.ACTIONS[Kind.PAY], prepare=fails)
    monkeypatch.setitem(kinds.ACTIONS, Kind.PAY, action)
    attempt = pay(manager, stage.offer_of(manager), pay_system_id=seed.ACME_PAY)
    assert (attempt.state, attempt.reason, attempt.sent_at) == (State.REFUSED, reason, None)
    assert messages_of(attempt)
    assert stage.sent_payments(sandbox) == 0


def test_a_payment_without_an_order_is_not_paid(
    sandbox: Sandbox, alpha: Portal, admin: Person
) -> None:
    offer = stage.row_of(stage.main(admin), seed.LOOSE_PAYMENT).offer
    alpha.payments[seed.LOOSE_PAYMENT].order_id = 0
    attempt = pay(admin, offer, pay_system_id=seed.ACME_PAY)
    assert (attempt.state, attempt.reason) == (State.REFUSED, reasons.READ_FAILED)
    assert stage.sent_payments(sandbox) == 0


def test_a_deleted_payment_of_an_order_without_a_deal_is_gone(
    sandbox: Sandbox, alpha: Portal, admin: Person
) -> None:
    offer = stage.row_of(stage.main(admin), seed.LOOSE_PAYMENT).offer
    del alpha.payments[seed.LOOSE_PAYMENT]
    attempt = pay(admin, offer, pay_system_id=seed.ACME_PAY)
    assert (attempt.state, attempt.reason) == (State.REFUSED, reasons.PAYMENT_GONE)
    assert stage.sent_payments(sandbox) == 0


def test_a_payment_deleted_while_it_is_read_is_gone(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    """The deal's list still shows it, and the orders' side does not."""
    offer = stage.offer_of(manager)
    listed = threading.Event()

    def delete() -> None:
        listed.wait(timeout=10)
        del alpha.payments[seed.PAYMENT]

    sandbox.faults.add(
        Fault("delay", method=stage.READ_BACK, when="after", seconds=0, on_hit=listed)
    )
    sandbox.faults.add(Fault("delay", method=stage.KEPT, seconds=0, on_hit=delete))
    attempt = pay(manager, offer, pay_system_id=seed.ACME_PAY)
    assert (attempt.state, attempt.reason) == (State.REFUSED, reasons.PAYMENT_GONE)
    assert stage.sent_payments(sandbox) == 0


def test_where_no_token_reads_orders_the_deals_own_list_decides(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    alpha.users[seed.MANAGER].reads_sale = False
    offer = stage.offer_of(manager)
    stage.lose_portal_token(manager.portal)
    alpha.payments[seed.PAYMENT].sum += 1
    assert pay(manager, offer, pay_system_id=seed.ACME_PAY).reason == reasons.SUM_CHANGED
    alpha.payments[seed.PAYMENT].sum -= 1
    assert pay(manager, offer, pay_system_id=seed.ACME_PAY).state == State.PAID
    assert alpha.payments[seed.PAYMENT].times_paid == 1


# The main page


def test_whether_this_is_an_administrator_is_never_guessed(manager: Person) -> None:
    reading = MainReading(manager.portal, manager.client)
    with pytest.raises(RuntimeError):
        _ = reading.is_admin


@pytest.mark.parametrize("kind", ["status500", "query_limit", "drop"])
def test_without_an_answer_there_is_no_link_to_set_up(
    sandbox: Sandbox, admin: Person, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("b24app.rest.client.pause", lambda seconds: None)
    reading = MainReading(admin.portal, admin.client)
    sandbox.faults.add(
        Fault(kind, method=reading.user_batch._pendings[-1].query.method, times=None)
    )
    reading.user_batch.run()
    assert not reading.may_set_up


# Approvals


def test_an_offer_to_another_person_or_portal_cannot_be_asked_for(
    sandbox: Sandbox, beta: Portal, manager: Person
) -> None:
    offer = stage.offer_of(manager)
    elsewhere = stage.person(sandbox, stage.install(sandbox, beta), seed.MANAGER)
    colleague = stage.person(sandbox, manager.portal, seed.ADMIN)
    for other in (elsewhere, colleague):
        with pytest.raises(Missing):
            ask(other, offer, pay_system_id=seed.ACME_PAY, pay_system_name="")
    assert not Approval.objects.exists()


def test_what_needs_no_approval_and_what_is_under_way_is_not_asked_for(
    sandbox: Sandbox, manager: Person
) -> None:
    offer = stage.offer_of(manager)
    with pytest.raises(NotPossible) as found:
        ask(manager, offer, pay_system_id=seed.ACME_PAY, pay_system_name="")
    assert found.value.sentence == reasons.NO_APPROVAL_NEEDED
    lost_payment(sandbox, manager)
    Policy.objects.create(portal=manager.portal, limits={"EUR": "100"})
    with pytest.raises(NotPossible) as found:
        ask(manager, offer, pay_system_id=seed.ACME_PAY, pay_system_name="")
    assert found.value.sentence == reasons.OPEN_ATTEMPT
    assert not Approval.objects.exists()


@pytest.mark.parametrize("still_there", [False, True])
def test_of_two_windows_that_ask_at_once_one_request_is_kept(
    manager: Person, monkeypatch: pytest.MonkeyPatch, still_there: bool
) -> None:
    Policy.objects.create(portal=manager.portal, limits={"EUR": "100"})
    offer = stage.offer_of(manager)
    wanted: dict[str, Any] = {"pay_system_id": seed.ACME_PAY, "pay_system_name": ""}
    first = ask(manager, offer, **wanted)

    def too_late(wanted: Approval) -> Approval:
        raise IntegrityError

    monkeypatch.setattr(requests, "_live_or", too_late)
    if still_there:
        assert ask(manager, offer, **wanted).pk == first.pk
        return
    withdraw(manager, first.pk)
    with pytest.raises(NotPossible) as found:
        ask(manager, offer, **wanted)
    assert found.value.sentence == reasons.DECIDED_MEANWHILE
    assert Approval.objects.get().state == ApprovalState.WITHDRAWN


def test_what_is_decided_while_it_is_withdrawn_stays_decided(
    sandbox: Sandbox, manager: Person, admin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    Policy.objects.create(portal=manager.portal, limits={"EUR": "100"})
    asked = ask(manager, stage.offer_of(manager), pay_system_id=seed.ACME_PAY, pay_system_name="")
    own: Callable[[Person, int], Approval] = requests.withdrawable

    def meanwhile(person: Person, approval_id: int) -> Approval:
        found = own(person, approval_id)
        requests.approve(admin, approval_id)
        return found

    monkeypatch.setattr(requests, "withdrawable", meanwhile)
    with pytest.raises(NotPossible) as found:
        withdraw(manager, asked.pk)
    assert found.value.sentence == reasons.DECIDED_MEANWHILE
    asked.refresh_from_db()
    assert asked.state == ApprovalState.APPROVED


def test_an_approvals_entry_says_all_that_was_approved(manager: Person, admin: Person) -> None:
    Policy.objects.create(portal=manager.portal, limits={"USD": "100"})
    offer = stage.offer_of(manager, deal_id=seed.USD_DEAL, payment_id=seed.USD_PAYMENT)
    asked = ask(manager, offer, pay_system_id=seed.DEMO_CARD_PAY, pay_system_name="")
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


def test_an_approver_is_told_why_and_nothing_about_money(manager: Person, admin: Person) -> None:
    Policy.objects.create(portal=manager.portal, limits={"EUR": "100"})
    offer = stage.offer_of(manager)
    with pytest.raises(NotPossible) as found:
        ask(
            manager,
            replace(offer, sum=Decimal("12500.01")),
            pay_system_id=seed.ACME_PAY,
            pay_system_name="",
        )
    assert found.value.sentence == why_not(reasons.SUM_CHANGED)


# Reading the payment of an attempt without an answer


def test_a_portal_without_the_app_is_not_read(sandbox: Sandbox, manager: Person) -> None:
    attempt = lost_payment(sandbox, manager)
    attempt.portal.uninstalled_at = datetime(2026, 1, 1, tzinfo=UTC)
    with pytest.raises(ChainBroken):
        lookup.settle_by_reading(attempt, asked_at=timezone.now())
    assert sandbox.log == []
    assert Attempt.objects.get().is_open


def test_a_portal_that_moved_is_asked_once_and_not_by_each_token(
    sandbox: Sandbox, manager: Person, admin: Person
) -> None:
    attempt = lost_payment(sandbox, manager)
    sandbox.faults.add(Fault("redirect", times=None))
    with pytest.raises(PortalMoved):
        lookup.settle_by_reading(
            attempt, asked_at=timezone.now(), also=(admin.user_id, admin.client)
        )
    assert len(sandbox.log) == 1
    assert Attempt.objects.get().is_open
