"""A second person's approval: requested, given, declined, withdrawn, and valid for one payment."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction
from django.db import connection as database
from django.test import Client
from django.utils import timezone

from b24app import models
from b24app.errors import Missing
from b24app.identity.session import Person
from payments import reasons
from payments.approvals import requests
from payments.approvals.requests import NotPossible, approve, ask, decline, withdraw
from payments.attempts.messages import why_not
from payments.attempts.pay import pay
from payments.attempts.transitions import claim, close, mark_sent
from payments.gateway import DEAL
from payments.ledger import chain, retention
from payments.models import (
    APPROVAL_LASTS,
    Approval,
    ApprovalState,
    Attempt,
    Entry,
    Kind,
    Policy,
    State,
)
from payments.offer import Offer
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal, Role
from tests.payments import stage
from tests.payments.frames import Frame, offer_in, text_of

pytestmark = pytest.mark.django_db

WAITING, APPROVED, USED = ApprovalState.WAITING, ApprovalState.APPROVED, ApprovalState.USED


@pytest.fixture
def portal(sandbox: Sandbox, alpha: Portal) -> models.Portal:
    row = stage.install(sandbox, alpha)
    Policy.objects.create(portal=row, limits={"EUR": "1000"})
    return row


@pytest.fixture
def max_(sandbox: Sandbox, portal: models.Portal) -> Person:
    """The requester."""
    return stage.person(sandbox, portal, seed.MANAGER)


@pytest.fixture
def ada(sandbox: Sandbox, portal: models.Portal) -> Person:
    """The approver."""
    return stage.person(sandbox, portal, seed.ADMIN)


@pytest.fixture
def frame_of(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> Callable[[int], Frame]:
    return lambda user_id: Frame(client, sandbox, alpha, user_id)


def asked(person: Person, *, pay_system_id: int = seed.ACME_PAY, **more: Any) -> Approval:
    offer = stage.offer_of(person, **more)
    return ask(person, offer, pay_system_id=pay_system_id, pay_system_name="Acme Pay")


def approved(requester: Person, approver: Person, **more: Any) -> Approval:
    return approve(approver, asked(requester, **more).pk)


def paid(person: Person, *, pay_system_id: int = seed.ACME_PAY, **more: Any) -> Attempt:
    return pay(person, stage.offer_of(person, **more), pay_system_id=pay_system_id)


def state_of(approval: Approval) -> str:
    approval.refresh_from_db()
    return approval.state


def age(approval: Approval) -> None:
    past = timezone.now() - timedelta(seconds=1)
    Approval.objects.filter(pk=approval.pk).update(expires_at=past)


# ---- asking


def test_asking_pays_nothing_and_waits(sandbox: Sandbox, max_: Person) -> None:
    approval = asked(max_)
    assert approval.state == WAITING
    assert (approval.sum, approval.currency) == (Decimal(12500), "EUR")
    assert (approval.requested_by, approval.decided_by) == (seed.MANAGER, None)
    assert approval.expires_at - approval.requested_at == APPROVAL_LASTS
    attempt = paid(max_)
    assert (attempt.state, attempt.reason) == (State.REFUSED, reasons.APPROVAL_WAITS)
    assert stage.sent_payments(sandbox) == 0


def test_asking_twice_is_asking_once(max_: Person) -> None:
    assert asked(max_).pk == asked(max_).pk
    assert Approval.objects.count() == 1


def test_asking_for_something_else_takes_the_place_of_the_first(max_: Person) -> None:
    first = asked(max_)
    second = asked(max_, pay_system_id=seed.OTHER_PAY)
    assert state_of(first) == ApprovalState.WITHDRAWN
    assert state_of(second) == WAITING


def test_an_expired_request_does_not_block_a_new_one(max_: Person) -> None:
    first = asked(max_)
    age(first)
    second = asked(max_)
    assert first.pk != second.pk
    assert state_of(first) == ApprovalState.EXPIRED


def test_what_needs_no_approval_is_not_asked_for(portal: models.Portal, max_: Person) -> None:
    offer = stage.offer_of(max_)
    Policy.objects.update(limits={})
    with pytest.raises(NotPossible) as found:
        ask(max_, offer, pay_system_id=seed.ACME_PAY, pay_system_name="Acme Pay")
    assert found.value.sentence == reasons.NO_APPROVAL_NEEDED


def test_a_forbidden_system_is_not_asked_for(max_: Person) -> None:
    offer = stage.offer_of(max_)
    Policy.objects.update(systems=[seed.OTHER_PAY])
    with pytest.raises(NotPossible) as found:
        ask(max_, offer, pay_system_id=seed.ACME_PAY, pay_system_name="Acme Pay")
    assert found.value.sentence == why_not(reasons.POLICY_SYSTEM)


def test_asking_is_checked_as_paying_is(
    sandbox: Sandbox, alpha: Portal, portal: models.Portal, max_: Person
) -> None:
    offer = stage.offer_of(max_)

    def refused(reason: str) -> None:
        with pytest.raises(NotPossible) as found:
            ask(max_, offer, pay_system_id=seed.ACME_PAY, pay_system_name="Acme Pay")
        assert found.value.sentence == why_not(reason)

    alpha.payments[seed.PAYMENT].sum += 1
    refused(reasons.SUM_CHANGED)
    alpha.payments[seed.PAYMENT].sum -= 1
    alpha.users[seed.MANAGER].role = Role.READER
    refused(reasons.NO_ORDER_RIGHT)
    alpha.users[seed.MANAGER].role = Role.MANAGER
    alpha.users[seed.MANAGER].sees_all = False
    alpha.items[DEAL, seed.DEAL].responsible_id = seed.ADMIN
    refused(reasons.NOT_READABLE)
    assert not Approval.objects.exists()


def test_an_offer_to_another_person_does_not_exist(max_: Person, ada: Person) -> None:
    offer = stage.offer_of(max_)
    with pytest.raises(Missing):
        ask(ada, offer, pay_system_id=seed.ACME_PAY, pay_system_name="Acme Pay")


# ---- deciding


def test_an_approval_pays_nothing_and_the_requester_pays_once(
    sandbox: Sandbox, alpha: Portal, max_: Person, ada: Person
) -> None:
    approval = approved(max_, ada)
    assert (approval.state, approval.decided_by) == (APPROVED, seed.ADMIN)
    assert stage.sent_payments(sandbox) == 0
    attempt = paid(max_)
    assert attempt.state == State.PAID
    assert Attempt.objects.get().approval_id == approval.pk
    assert state_of(approval) == USED
    assert alpha.payments[seed.PAYMENT].emp_paid_id == seed.MANAGER


def test_a_persons_own_request_cannot_be_approved_by_them(max_: Person) -> None:
    approval = asked(max_)
    with pytest.raises(NotPossible) as found:
        approve(max_, approval.pk)
    assert found.value.sentence == reasons.OWN_REQUEST
    assert state_of(approval) == WAITING


def test_not_even_the_administrator(ada: Person) -> None:
    approval = asked(ada)
    with pytest.raises(NotPossible):
        approve(ada, approval.pk)


@pytest.mark.parametrize("state", [APPROVED, ApprovalState.DECLINED, USED, WAITING])
def test_the_database_knows_no_approval_of_ones_own(max_: Person, state: str) -> None:
    approval = asked(max_)
    own = {"state": state, "decided_by": seed.MANAGER, "decided_at": timezone.now()}
    with pytest.raises(IntegrityError), transaction.atomic():
        Approval.objects.filter(pk=approval.pk).update(**own)


@pytest.mark.parametrize("state", [APPROVED, USED])
def test_the_database_refuses_an_approval_without_an_approver(max_: Person, state: str) -> None:
    approval = asked(max_)
    with pytest.raises(IntegrityError), transaction.atomic():
        Approval.objects.filter(pk=approval.pk).update(state=state)


def test_the_database_allows_one_live_request(max_: Person) -> None:
    approval = asked(max_)
    approval.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        approval.save(force_insert=True)


@pytest.mark.parametrize("deciding", [approve, lambda who, pk: decline(who, pk, note="No")])
def test_deciding_needs_the_order_right(
    sandbox: Sandbox, portal: models.Portal, max_: Person, deciding: Callable[[Person, int], object]
) -> None:
    approval = asked(max_)
    rita = stage.person(sandbox, portal, seed.READER)
    with pytest.raises(NotPossible) as found:
        deciding(rita, approval.pk)
    assert found.value.sentence == why_not(reasons.NO_ORDER_RIGHT)
    assert state_of(approval) == WAITING


@pytest.mark.parametrize("deciding", [approve, lambda who, pk: decline(who, pk, note="No")])
def test_deciding_needs_the_right_to_see_the_payment(
    sandbox: Sandbox, portal: models.Portal, max_: Person, deciding: Callable[[Person, int], object]
) -> None:
    approval = asked(max_)
    olga = stage.person(sandbox, portal, seed.OWN_MANAGER)
    with pytest.raises(NotPossible) as found:
        deciding(olga, approval.pk)
    assert found.value.sentence == why_not(reasons.NOT_READABLE)
    assert state_of(approval) == WAITING


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sum": Decimal(12501)}, reasons.SUM_CHANGED),
        ({"currency": "USD"}, reasons.CURRENCY_CHANGED),
        ({"pay_system_id": seed.CASH}, reasons.PAY_SYSTEM_CHANGED),
        ({"paid": True}, reasons.ALREADY_PAID),
    ],
)
def test_what_has_changed_is_not_approved(
    alpha: Portal, max_: Person, ada: Person, change: dict[str, Any], reason: str
) -> None:
    approval = asked(max_)
    payment = alpha.payments[seed.PAYMENT]
    for name, value in change.items():
        target = payment if hasattr(payment, name) else alpha.orders[seed.ORDER]
        setattr(target, name, value)
    with pytest.raises(NotPossible) as found:
        approve(ada, approval.pk)
    assert found.value.sentence == why_not(reason)
    assert state_of(approval) == WAITING
    # It can still be removed from the list.
    assert decline(ada, approval.pk, note="It has changed").state == ApprovalState.DECLINED


def test_a_declined_request_says_why_and_pays_nothing(
    sandbox: Sandbox, max_: Person, ada: Person
) -> None:
    approval = decline(ada, asked(max_).pk, note="Ask for a discount first")
    assert (approval.state, approval.note) == (
        ApprovalState.DECLINED,
        "Ask for a discount first",
    )
    assert paid(max_).reason == reasons.NEEDS_APPROVAL
    assert stage.sent_payments(sandbox) == 0
    # And can be requested again.
    assert asked(max_).state == WAITING


def test_what_is_decided_stays(max_: Person, ada: Person, sandbox: Sandbox) -> None:
    approval = approved(max_, ada)
    sam = stage.person(sandbox, max_.portal, seed.SETTINGS_ADMIN)
    with pytest.raises(NotPossible) as found:
        approve(sam, approval.pk)
    assert found.value.sentence == reasons.DECIDED_MEANWHILE
    with pytest.raises(NotPossible):
        decline(sam, approval.pk, note="No")
    assert state_of(approval) == APPROVED


def test_decided_while_another_one_was_looking(sandbox: Sandbox, max_: Person, ada: Person) -> None:
    approval = asked(max_)

    def withdraw_now() -> None:
        Approval.objects.update(state=ApprovalState.WITHDRAWN)

    sandbox.faults.add(Fault("delay", method=stage.READ_BACK, seconds=0, on_hit=withdraw_now))
    with pytest.raises(NotPossible) as found:
        approve(ada, approval.pk)
    assert found.value.sentence == reasons.DECIDED_MEANWHILE
    assert state_of(approval) == ApprovalState.WITHDRAWN


def test_one_that_is_too_old_is_not_approved(max_: Person, ada: Person) -> None:
    approval = asked(max_)
    age(approval)
    with pytest.raises(NotPossible):
        approve(ada, approval.pk)


def test_a_request_of_another_portal_does_not_exist(
    sandbox: Sandbox, beta: Portal, max_: Person
) -> None:
    approval = asked(max_)
    stranger = stage.person(sandbox, stage.install(sandbox, beta), seed.ADMIN)
    with pytest.raises(Missing):
        approve(stranger, approval.pk)
    with pytest.raises(Missing):
        withdraw(stranger, approval.pk)


@pytest.mark.parametrize("is_approved", [True, False])
def test_the_requester_withdraws(
    sandbox: Sandbox, max_: Person, ada: Person, is_approved: bool
) -> None:
    approval = approved(max_, ada) if is_approved else asked(max_)
    with pytest.raises(Missing):
        withdraw(ada, approval.pk)
    assert withdraw(max_, approval.pk).state == ApprovalState.WITHDRAWN
    assert paid(max_).reason == reasons.NEEDS_APPROVAL
    with pytest.raises(NotPossible):
        withdraw(max_, approval.pk)
    assert stage.sent_payments(sandbox) == 0


# ---- paying by it


def test_it_is_good_for_one_payment(
    sandbox: Sandbox, alpha: Portal, max_: Person, ada: Person
) -> None:
    approved(max_, ada)
    assert paid(max_).state == State.PAID
    # It is set back in the portal: the approval was used up by the payment.
    payment = alpha.payments[seed.PAYMENT]
    payment.paid = False
    attempt = paid(max_)
    assert (attempt.state, attempt.reason) == (State.REFUSED, reasons.NEEDS_APPROVAL)
    assert payment.times_paid == 1


def test_it_is_valid_for_the_requester_only(
    sandbox: Sandbox, portal: models.Portal, max_: Person, ada: Person
) -> None:
    approval = approved(max_, ada)
    sam = stage.person(sandbox, portal, seed.SETTINGS_ADMIN)
    assert paid(ada).reason == reasons.NEEDS_APPROVAL
    assert paid(sam).reason == reasons.NEEDS_APPROVAL
    assert state_of(approval) == APPROVED
    assert stage.sent_payments(sandbox) == 0


def test_it_is_good_for_no_other_payment(sandbox: Sandbox, max_: Person, ada: Person) -> None:
    Policy.objects.update(limits={"EUR": "1"})
    approval = approved(max_, ada)
    other = {"deal_id": seed.SEVERAL_DEAL, "payment_id": seed.SEVERAL_PAYMENTS[0]}
    assert paid(max_, **other).reason == reasons.NEEDS_APPROVAL
    assert state_of(approval) == APPROVED


def test_it_is_good_for_no_other_system(
    sandbox: Sandbox, alpha: Portal, max_: Person, ada: Person
) -> None:
    approval = approved(max_, ada)
    attempt = paid(max_, pay_system_id=seed.OTHER_PAY)
    assert attempt.reason == reasons.APPROVED_OTHERWISE
    assert alpha.payments[seed.PAYMENT].pay_system_id == seed.ACME_PAY
    assert state_of(approval) == APPROVED
    assert stage.sent_payments(sandbox) == 0


def test_one_for_another_system_binds_the_payment_to_it(
    alpha: Portal, max_: Person, ada: Person
) -> None:
    approved(max_, ada, pay_system_id=seed.OTHER_PAY)
    assert paid(max_).reason == reasons.APPROVED_OTHERWISE
    assert paid(max_, pay_system_id=seed.OTHER_PAY).state == State.PAID
    assert alpha.payments[seed.PAYMENT].pay_system_id == seed.OTHER_PAY


@pytest.mark.parametrize("change", [{"sum": Decimal(12501)}, {"currency": "USD"}])
def test_it_is_good_for_no_other_sum(
    sandbox: Sandbox, alpha: Portal, max_: Person, ada: Person, change: dict[str, Any]
) -> None:
    Policy.objects.update(limits={"EUR": "1000", "USD": "1000"})
    approved(max_, ada)
    payment = alpha.payments[seed.PAYMENT]
    for name, value in change.items():
        setattr(payment if hasattr(payment, name) else alpha.orders[seed.ORDER], name, value)
    assert paid(max_).reason == reasons.APPROVED_OTHERWISE
    assert stage.sent_payments(sandbox) == 0


def test_one_to_mark_as_paid_is_none_to_pay(sandbox: Sandbox, max_: Person, ada: Person) -> None:
    offer = stage.offer_of(max_)
    to_mark = ask(
        max_, offer, pay_system_id=seed.ACME_PAY, pay_system_name="Acme Pay", kind=Kind.MARK
    )
    approve(ada, to_mark.pk)
    assert paid(max_).reason == reasons.APPROVED_OTHERWISE
    assert stage.sent_payments(sandbox) == 0


def test_one_that_is_too_old_pays_nothing(sandbox: Sandbox, max_: Person, ada: Person) -> None:
    approval = approved(max_, ada)
    age(approval)
    assert paid(max_).reason == reasons.NEEDS_APPROVAL
    assert stage.sent_payments(sandbox) == 0


def test_what_is_refused_before_sending_leaves_it_good(
    sandbox: Sandbox, alpha: Portal, max_: Person, ada: Person
) -> None:
    approval = approved(max_, ada)
    offer = stage.offer_of(max_)
    alpha.orders[seed.ORDER].canceled = True
    assert pay(max_, offer, pay_system_id=seed.ACME_PAY).reason == reasons.ORDER_CANCELED
    assert state_of(approval) == APPROVED
    assert "approval_id" not in Entry.objects.latest("number").facts
    alpha.orders[seed.ORDER].canceled = False
    assert pay(max_, offer, pay_system_id=seed.ACME_PAY).state == State.PAID


@pytest.mark.parametrize("has_asked_again", [False, True])
def test_what_never_left_us_leaves_it_good(
    max_: Person, ada: Person, has_asked_again: bool
) -> None:
    approval = approved(max_, ada)
    attempt, _ = claim(max_, stage.offer_of(max_), kind=Kind.PAY, pay_system_id=seed.ACME_PAY)
    attempt.approval = approval
    assert mark_sent(attempt)
    assert state_of(approval) == USED
    if has_asked_again:
        approval.pk, approval.state = None, WAITING
        approval.decided_by = None
        approval.save(force_insert=True)
    close(attempt, State.REFUSED, reason=reasons.NOT_REACHED, evidence={})
    first = Approval.objects.earliest("pk")
    assert first.state == (USED if has_asked_again else APPROVED)
    assert Attempt.objects.get().state == State.REFUSED


def test_found_and_not_used_it_is_on_no_row_and_in_no_entry(
    sandbox: Sandbox, max_: Person, ada: Person
) -> None:
    """The payment could not be bound to the pay system that was approved."""
    offer = stage.offer_of(max_)
    asked = ask(max_, offer, pay_system_id=seed.DEMO_CARD_PAY, pay_system_name="", kind=Kind.PAY)
    approve(ada, asked.pk)
    sandbox.faults.add(Fault("drop", method="crm.item.payment.update"))
    assert pay(max_, offer, pay_system_id=seed.DEMO_CARD_PAY).reason == reasons.REBIND_UNKNOWN
    assert Attempt.objects.get().approval_id is None
    assert "approval_id" not in Entry.objects.latest("number").facts
    assert state_of(asked) == APPROVED


@pytest.mark.django_db(transaction=True)
def test_it_is_given_back_together_with_the_outcome_or_not_at_all(
    max_: Person, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    approval = approved(max_, ada)
    attempt, _ = claim(max_, stage.offer_of(max_), kind=Kind.PAY, pay_system_id=seed.ACME_PAY)
    attempt.approval = approval
    assert mark_sent(attempt)

    def dies(*_: object, **__: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(type(Approval.objects), "give_back", dies)
    with pytest.raises(RuntimeError):
        close(attempt, State.REFUSED, reason=reasons.NOT_REACHED, evidence={})
    assert Attempt.objects.get().is_open
    assert not Entry.objects.filter(attempt_id=attempt.pk).exists()


def test_what_was_sent_and_not_carried_out_used_it_up(
    sandbox: Sandbox, max_: Person, ada: Person
) -> None:
    approval = approved(max_, ada)
    sandbox.faults.add(Fault("true_without_payment", method=stage.PAY))
    assert paid(max_).reason == reasons.TRUE_WITHOUT_PAYMENT
    assert state_of(approval) == USED
    assert paid(max_).reason == reasons.NEEDS_APPROVAL


def test_withdrawn_while_it_is_being_paid_pays_nothing(
    sandbox: Sandbox, max_: Person, ada: Person
) -> None:
    approval = approved(max_, ada)
    offer = stage.offer_of(max_)
    attempt, _ = claim(max_, offer, kind=Kind.PAY, pay_system_id=seed.ACME_PAY)
    attempt.approval = approval
    withdraw(max_, approval.pk)
    assert not mark_sent(attempt)
    stored = Attempt.objects.get()
    assert (stored.state, stored.reason) == (State.REFUSED, reasons.NEEDS_APPROVAL)
    assert (stored.sent_at, stored.approval_id) == (None, None)


def test_a_claim_that_was_given_up_does_not_use_it(max_: Person, ada: Person) -> None:
    approval = approved(max_, ada)
    attempt, _ = claim(max_, stage.offer_of(max_), kind=Kind.PAY, pay_system_id=seed.ACME_PAY)
    attempt.approval = approval
    Attempt.objects.update(state=State.REFUSED, reason=reasons.ABANDONED)
    assert not mark_sent(attempt)
    assert state_of(approval) == APPROVED


def test_it_is_used_once_however_often_it_is_tried(max_: Person, ada: Person) -> None:
    approval = approved(max_, ada)
    now = timezone.now()
    used = [Approval.objects.use(approval.pk, now=now) for _ in range(3)]
    assert used == [True, False, False]


@pytest.mark.django_db(transaction=True)
def test_of_many_presses_at_once_one_pays_by_it(
    sandbox: Sandbox, alpha: Portal, max_: Person, ada: Person
) -> None:
    approval = approved(max_, ada)
    offer = stage.offer_of(max_)
    press = lambda: pay(max_, offer, pay_system_id=seed.ACME_PAY)  # noqa: E731
    stage.together(*[press] * 4)
    assert alpha.payments[seed.PAYMENT].times_paid == 1
    assert stage.sent_payments(sandbox) == 1
    assert state_of(approval) == USED
    assert Attempt.objects.filter(approval=approval).count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_who_decide_at_once_one_does(
    sandbox: Sandbox, portal: models.Portal, max_: Person, ada: Person
) -> None:
    approval = asked(max_)
    sam = stage.person(sandbox, portal, seed.SETTINGS_ADMIN)

    def outcome(deciding: Callable[[], Approval]) -> str:
        try:
            return deciding().state
        except NotPossible:
            return "too late"

    both = threading.Barrier(2)
    sandbox.faults.add(
        Fault("delay", method=stage.READ_BACK, seconds=0, times=2, on_hit=lambda: both.wait(10))
    )
    found = stage.together(
        lambda: outcome(lambda: approve(ada, approval.pk)),
        lambda: outcome(lambda: decline(sam, approval.pk, note="No")),
    )
    assert found.count("too late") == 1
    assert state_of(approval) in found


@pytest.mark.django_db(transaction=True)
def test_of_two_windows_that_ask_at_once_one_request_is_kept(max_: Person) -> None:
    offer = stage.offer_of(max_)

    def press() -> int:
        return ask(max_, offer, pay_system_id=seed.ACME_PAY, pay_system_name="Acme Pay").pk

    assert len(set(stage.together(press, press, press))) == 1
    assert Approval.objects.count() == 1


def test_lowering_the_limit_demands_and_raising_it_frees(
    sandbox: Sandbox, portal: models.Portal, max_: Person
) -> None:
    Policy.objects.update(limits={"EUR": "12500"})
    offer = stage.offer_of(max_)
    Policy.objects.update(limits={"EUR": "12499"})
    assert pay(max_, offer, pay_system_id=seed.ACME_PAY).reason == reasons.NEEDS_APPROVAL
    Policy.objects.update(limits={"EUR": "12500"})
    assert pay(max_, offer, pay_system_id=seed.ACME_PAY).state == State.PAID


def test_the_command_is_held_by_it_too(
    sandbox: Sandbox, portal: models.Portal, max_: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    ada = stage.person(sandbox, portal, seed.ADMIN)
    approval = asked(ada)

    def run() -> tuple[object, str]:
        with pytest.raises(SystemExit) as left:
            call_command(
                "pay",
                portal=portal.member_id,
                user=seed.ADMIN,
                payment=seed.PAYMENT,
                pay_system=seed.ACME_PAY,
                yes=True,
            )
        return left.value.code, capsys.readouterr().out

    code, said = run()
    assert code == 1
    assert "You have asked for approval" in said
    assert stage.sent_payments(sandbox) == 0
    approve(max_, approval.pk)
    assert run()[0] == 0
    assert state_of(approval) == USED


# ---- the ledger, and what stays


def test_each_step_is_told_to_the_ledger(
    max_: Person, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, int]] = []

    def record(_: models.Portal, event: str, *, actor_id: int, **more: Any) -> None:
        assert database.in_atomic_block
        told.append((event, actor_id))
        if "attempt" not in more:
            assert more["facts"]["payment"] == seed.PAYMENT

    monkeypatch.setattr(chain, "record", record)
    withdraw(max_, asked(max_).pk)
    decline(ada, asked(max_).pk, note="No")
    approved(max_, ada)
    assert told == [
        ("approval_asked", seed.MANAGER),
        ("approval_withdrawn", seed.MANAGER),
        ("approval_asked", seed.MANAGER),
        ("declined", seed.ADMIN),
        ("approval_asked", seed.MANAGER),
        ("approved", seed.ADMIN),
    ]


def test_what_the_ledger_refuses_is_not_approved(
    max_: Person, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    approval = asked(max_)

    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("no ledger")

    monkeypatch.setattr(chain, "record", refuse)
    with pytest.raises(RuntimeError):
        approve(ada, approval.pk)
    assert state_of(approval) == WAITING


def test_a_removal_forgets_the_words_and_in_time_all(
    portal: models.Portal, max_: Person, ada: Person
) -> None:
    approval = decline(ada, asked(max_).pk, note="Ask Olga")
    approved(max_, ada)
    paid(max_)
    retention.keep_ids_and_sums(portal)
    approval.refresh_from_db()
    assert (approval.note, approval.pay_system_name) == ("", "")
    models.Portal.objects.update(uninstalled_at=timezone.now() - timedelta(days=10_000))
    assert retention.forget_uninstalled() == 1
    assert not Approval.objects.exists()
    assert not Policy.objects.exists()


# ---- the screens


def asked_in(frame: Frame) -> str:
    offer = offer_in(frame.tab())
    fields = {"offer": offer, "pay_system_id": seed.ACME_PAY}
    html = text_of(frame.post("/payments/approvals/question/", **fields))
    assert "Ask for approval to pay 12\xa0500.00\xa0EUR by Acme Pay for payment 163/1?" in re.sub(
        r"\s*\n\s*", " ", html
    )
    answer = frame.post("/payments/approvals/ask/", **fields)
    assert answer["HX-Trigger"] == "badges"
    return text_of(answer)


def screen(frame: Frame, path: str = "/payments/approvals/") -> str:
    headers = {"x-frame-session": frame.session, "hx-request": "true"}
    return text_of(frame.client.get(path, headers=headers))


def decided(frame: Frame, decision: str, status: int = 200, **more: object) -> str:
    fields = {"approval": Approval.objects.latest("pk").pk, "decision": decision}
    question = frame.post("/payments/approvals/decision/", **fields)
    text_of(question, status)
    return text_of(frame.post("/payments/approvals/decide/", **fields, **more), status)


def test_above_the_limit_there_is_ask_in_place_of_pay(frame_of: Callable[[int], Frame]) -> None:
    html = frame_of(seed.MANAGER).tab()
    row = html.split(f'<tr data-payment="{seed.PAYMENT}">')[1].split("</tr>")[0]
    assert "Ask for approval" in row
    assert "/payments/question/" not in row
    assert "<select" in row
    assert "needs a second person" in row


def test_the_whole_way_over_the_screens(frame_of: Callable[[int], Frame], alpha: Portal) -> None:
    manager, admin = frame_of(seed.MANAGER), frame_of(seed.ADMIN)
    assert "It has not been decided yet" in asked_in(manager)
    assert "It has not been decided yet" in manager.tab()
    assert screen(admin, "/payments/approvals/waiting/") == "1"
    assert screen(manager, "/payments/approvals/waiting/") == ""
    assert '"decision": "withdraw"' in screen(manager)
    html = screen(admin)
    assert '"decision": "approve"' in html
    assert '"decision": "decline"' in html
    assert "Office chairs for the new floor" in html
    assert "Max Manager" in html
    html = decided(admin, "approve")
    assert "Nothing is paid yet" in html
    assert screen(admin, "/payments/approvals/waiting/") == ""
    html = manager.tab()
    assert "Approved by Ada Admin on " in html
    offer = offer_in(html)
    fields = {"offer": offer, "pay_system_id": seed.ACME_PAY}
    assert 'data-state="paid"' in text_of(manager.post("/payments/pay/", **fields))
    assert alpha.payments[seed.PAYMENT].times_paid == 1
    assert "Used" in screen(manager)


def test_the_row_offers_only_the_system_that_was_approved(max_: Person, ada: Person) -> None:
    approved(max_, ada, pay_system_id=seed.OTHER_PAY)
    row = stage.row_of(stage.tab(max_, seed.DEAL), seed.PAYMENT)
    assert row.payable
    assert not row.bound_fits
    assert [system.id for system in row.systems[1:]] == [seed.OTHER_PAY]


def test_an_approval_of_another_sum_is_none_on_the_row(
    alpha: Portal, max_: Person, ada: Person
) -> None:
    approved(max_, ada)
    alpha.payments[seed.PAYMENT].sum += 1
    row = stage.row_of(stage.tab(max_, seed.DEAL), seed.PAYMENT)
    assert row.can_ask
    assert not row.payable
    assert asked(max_).state == WAITING


def test_one_that_is_too_old_is_none_on_the_row(max_: Person, ada: Person) -> None:
    age(approved(max_, ada))
    row = stage.row_of(stage.tab(max_, seed.DEAL), seed.PAYMENT)
    assert (row.can_ask, row.payable, row.approval) == (True, False, None)


def test_pay_pressed_on_a_page_from_before_the_limit_offers_to_ask(
    frame_of: Callable[[int], Frame],
) -> None:
    Policy.objects.update(limits={})
    manager = frame_of(seed.MANAGER)
    fields = {"offer": offer_in(manager.tab()), "pay_system_id": seed.ACME_PAY}
    Policy.objects.update(limits={"EUR": "1"})
    html = text_of(manager.post("/payments/pay/", **fields))
    assert 'data-state="refused"' in html
    assert "/payments/approvals/question/" in html
    assert "/payments/question/" not in html


def test_a_request_is_declined_with_a_note(frame_of: Callable[[int], Frame]) -> None:
    manager, admin = frame_of(seed.MANAGER), frame_of(seed.ADMIN)
    asked_in(manager)
    fields = {"approval": Approval.objects.get().pk, "decision": "decline"}
    for note in ("", "  ", "a" * 256, "a\0b"):
        answer = admin.post("/payments/approvals/decide/", **fields, note=note)
        assert "Say why" in text_of(answer, 400)
    assert "Declined" in decided(admin, "decline", note="<b>Too dear</b>")
    html = screen(manager)
    assert "Declined by Ada Admin on" in html
    assert "&lt;b&gt;Too dear" in html


def test_the_list_shows_only_what_this_person_may_see(
    frame_of: Callable[[int], Frame], max_: Person
) -> None:
    Policy.objects.update(limits={"EUR": "1"})
    asked(max_)
    own_deal = asked(max_, deal_id=seed.OWN_DEAL, payment_id=seed.OWN_PAYMENT)
    html = screen(frame_of(seed.OWN_MANAGER))
    found = re.findall(r'<tr data-approval="(\d+)">', html)
    assert found == [str(own_deal.pk)]


def test_a_payment_without_a_deal_waits_for_administrators_only(
    frame_of: Callable[[int], Frame], max_: Person, ada: Person
) -> None:
    approval = asked(ada)
    loose = Approval.objects.filter(pk=approval.pk)
    loose.update(owner_type=None, owner_id=None, payment_id=seed.LOOSE_PAYMENT)
    assert "data-approval" not in screen(frame_of(seed.MANAGER))
    loose.update(requested_by=seed.MANAGER)
    assert f'data-approval="{approval.pk}"' in screen(frame_of(seed.ADMIN))


def test_without_the_order_right_nothing_is_listed_to_decide(
    frame_of: Callable[[int], Frame], max_: Person
) -> None:
    asked(max_)
    html = screen(frame_of(seed.READER))
    assert "you cannot approve payments of others" in html
    assert "data-approval" not in html
    decided(frame_of(seed.READER), "approve", 409)


def test_a_full_list_is_one_batch(
    frame_of: Callable[[int], Frame], sandbox: Sandbox, max_: Person
) -> None:
    approval = asked(max_)
    for number in range(60):
        copy = Approval.objects.get(pk=approval.pk)
        copy.pk, copy.payment_id, copy.owner_id = None, 10_000 + number, seed.DEAL
        copy.save(force_insert=True)
    frame = frame_of(seed.ADMIN)
    since = len(sandbox.log)
    html = screen(frame)
    assert len(re.findall("<tr data-approval", html)) == 50
    assert "There are more" in html
    assert len(sandbox.log) == since + 1


def test_the_badge_calls_no_portal(
    frame_of: Callable[[int], Frame], sandbox: Sandbox, max_: Person
) -> None:
    approval = asked(max_)
    frame = frame_of(seed.ADMIN)
    since = len(sandbox.log)
    assert screen(frame, "/payments/approvals/waiting/") == "1"
    age(approval)
    assert screen(frame, "/payments/approvals/waiting/") == ""
    assert len(sandbox.log) == since


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"approval": "x", "decision": "approve"},
        {"approval": "1", "decision": "pay"},
        {"approval": "0", "decision": "approve"},
    ],
)
@pytest.mark.parametrize("path", ["decision", "decide"])
def test_bad_input_is_turned_away(
    frame_of: Callable[[int], Frame], sandbox: Sandbox, path: str, fields: dict[str, str]
) -> None:
    frame = frame_of(seed.MANAGER)
    since = len(sandbox.log)
    text_of(frame.post(f"/payments/approvals/{path}/", **fields), 400)
    assert len(sandbox.log) == since


def test_undoing_is_not_asked_for(frame_of: Callable[[int], Frame]) -> None:
    frame = frame_of(seed.MANAGER)
    fields = {"offer": offer_in(frame.tab()), "pay_system_id": seed.ACME_PAY, "kind": "undo"}
    for path in ("question", "ask"):
        text_of(frame.post(f"/payments/approvals/{path}/", **fields), 400)
    assert not Approval.objects.exists()


def test_a_request_that_is_gone_says_so(frame_of: Callable[[int], Frame]) -> None:
    frame = frame_of(seed.MANAGER)
    fields = {"approval": 999, "decision": "approve"}
    text_of(frame.post("/payments/approvals/decide/", **fields), 404)


def test_an_offer_is_bound_to_what_was_asked_for(max_: Person, ada: Person) -> None:
    approval = asked(max_)
    offer: Offer = requests.offer_of(approval, ada)
    assert offer == replace(
        stage.offer_of(max_),
        user_id=seed.ADMIN,
        pay_system_name="",
        order_id=offer.order_id,
        owner=offer.owner,
        made_at=offer.made_at,
    )
    assert offer.owner is not None
    assert offer.owner.key == (2, seed.DEAL)
