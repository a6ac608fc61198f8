"""A second person's approval: requested, given, declined, withdrawn, and valid for one payment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction
from django.utils import timezone

from b24app import models
from b24app.errors import Missing
from b24app.identity.session import Person
from payments import reasons
from payments.approvals.requests import NotPossible, approve, ask, decline, withdraw
from payments.attempts.messages import why_not
from payments.attempts.pay import pay
from payments.attempts.transitions import claim, close, mark_sent
from payments.gateway import DEAL
from payments.ledger import chain
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

pytestmark = pytest.mark.django_db

WAITING, APPROVED, USED = ApprovalState.WAITING, ApprovalState.APPROVED, ApprovalState.USED
DECLINED, WITHDRAWN = ApprovalState.DECLINED, ApprovalState.WITHDRAWN
OTHER_DEAL = {"deal_id": seed.SEVERAL_DEAL, "payment_id": seed.SEVERAL_PAYMENTS[0]}


def decline_with_note(who: Person, pk: int) -> Approval:
    return decline(who, pk, note="No")


DECISIONS = pytest.mark.parametrize("decide", [approve, decline_with_note])
CHANGES = [
    ({"sum": Decimal(12501)}, reasons.SUM_CHANGED),
    ({"currency": "USD"}, reasons.CURRENCY_CHANGED),
    ({"pay_system_id": seed.CASH}, reasons.PAY_SYSTEM_CHANGED),
    ({"paid": True}, reasons.ALREADY_PAID),
]


@pytest.fixture
def portal(sandbox: Sandbox, alpha: Portal) -> models.Portal:
    row = stage.install(sandbox, alpha)
    Policy.objects.create(portal=row, limits={"EUR": "1000", "USD": "1000"})
    return row


@pytest.fixture
def another(sandbox: Sandbox, portal: models.Portal) -> Person:
    return stage.person(sandbox, portal, seed.SETTINGS_ADMIN)


def request_for(who: Person, offer: Offer, system: int = seed.ACME_PAY, **more: Any) -> Approval:
    return ask(who, offer, pay_system_id=system, pay_system_name="Acme Pay", **more)


def asked(who: Person, system: int = seed.ACME_PAY, **more: Any) -> Approval:
    return request_for(who, stage.offer_of(who, **more), system)


def approved(requester: Person, approver: Person, system: int = seed.ACME_PAY) -> Approval:
    return approve(approver, asked(requester, system).pk)


def paid(who: Person, system: int = seed.ACME_PAY, **more: Any) -> Attempt:
    return pay(who, stage.offer_of(who, **more), pay_system_id=system)


def claimed(who: Person, approval: Approval) -> Attempt:
    """Returns a claim that is about to be sent by this approval."""
    attempt, _ = claim(who, stage.offer_of(who), kind=Kind.PAY, pay_system_id=seed.ACME_PAY)
    attempt.approval = approval
    return attempt


def state_of(approval: Approval) -> str:
    approval.refresh_from_db()
    return approval.state


def age(approval: Approval) -> None:
    past = timezone.now() - timedelta(seconds=1)
    Approval.objects.filter(pk=approval.pk).update(expires_at=past)


def change(alpha: Portal, **values: Any) -> None:
    payment = alpha.payments[seed.PAYMENT]
    for name, value in values.items():
        setattr(payment if hasattr(payment, name) else alpha.orders[seed.ORDER], name, value)


def not_possible(sentence: object, act: Callable[[], object]) -> None:
    with pytest.raises(NotPossible) as found:
        act()
    assert found.value.sentence == sentence


# ---- asking


def test_asking_pays_nothing_and_waits(sandbox: Sandbox, manager: Person) -> None:
    approval = asked(manager)
    assert approval.state == WAITING
    assert (approval.sum, approval.currency) == (Decimal(12500), "EUR")
    assert (approval.requested_by, approval.decided_by) == (seed.MANAGER, None)
    assert approval.expires_at - approval.requested_at == APPROVAL_LASTS
    attempt = paid(manager)
    assert (attempt.state, attempt.reason) == (State.REFUSED, reasons.APPROVAL_WAITS)
    assert stage.sent_payments(sandbox) == 0


def test_one_request_of_a_person_is_live(manager: Person) -> None:
    first = asked(manager)
    assert asked(manager).pk == first.pk
    second = asked(manager, seed.OTHER_PAY)
    assert (state_of(first), state_of(second)) == (WITHDRAWN, WAITING)
    age(second)
    third = asked(manager)
    assert (state_of(second), state_of(third)) == (ApprovalState.EXPIRED, WAITING)
    third.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        third.save(force_insert=True)


@pytest.mark.parametrize(
    ("rules", "sentence"),
    [
        ({"limits": {}}, reasons.NO_APPROVAL_NEEDED),
        ({"systems": [seed.OTHER_PAY]}, why_not(reasons.POLICY_SYSTEM)),
    ],
)
def test_only_payments_above_the_limit_are_asked_for(
    manager: Person, rules: dict[str, Any], sentence: object
) -> None:
    offer = stage.offer_of(manager)
    Policy.objects.update(**rules)
    not_possible(sentence, lambda: request_for(manager, offer))


def test_asking_is_checked_as_paying_is(alpha: Portal, manager: Person, admin: Person) -> None:
    offer, person = stage.offer_of(manager), alpha.users[seed.MANAGER]
    with pytest.raises(Missing):
        request_for(admin, offer)
    change(alpha, sum=12501)
    not_possible(why_not(reasons.SUM_CHANGED), lambda: request_for(manager, offer))
    change(alpha, sum=12500)
    person.role = Role.READER
    not_possible(why_not(reasons.NO_ORDER_RIGHT), lambda: request_for(manager, offer))
    person.role, person.sees_all = Role.MANAGER, False
    alpha.items[DEAL, seed.DEAL].responsible_id = seed.ADMIN
    not_possible(why_not(reasons.NOT_READABLE), lambda: request_for(manager, offer))
    assert not Approval.objects.exists()


# ---- deciding


def test_an_approval_pays_nothing_and_the_requester_pays_once(
    sandbox: Sandbox, alpha: Portal, manager: Person, admin: Person
) -> None:
    approval = approved(manager, admin)
    assert (approval.state, approval.decided_by) == (APPROVED, seed.ADMIN)
    assert stage.sent_payments(sandbox) == 0
    assert paid(manager).state == State.PAID
    assert Attempt.objects.get().approval_id == approval.pk
    assert state_of(approval) == USED
    payment = alpha.payments[seed.PAYMENT]
    assert payment.emp_paid_id == seed.MANAGER
    # It is set back in the portal: the approval was used up by the payment.
    payment.paid = False
    stage.forget_dates(alpha)
    attempt = paid(manager)
    assert (attempt.state, attempt.reason) == (State.REFUSED, reasons.NEEDS_APPROVAL)
    assert payment.times_paid == 1


def test_a_persons_own_request_is_approved_by_another(manager: Person, admin: Person) -> None:
    for person in (manager, admin):
        not_possible(reasons.OWN_REQUEST, partial(approve, person, asked(person).pk))
    assert set(Approval.objects.values_list("state", flat=True)) == {WAITING}


@pytest.mark.parametrize(
    ("state", "by"),
    [
        (APPROVED, None),
        (USED, None),
        *((state, seed.MANAGER) for state in (WAITING, APPROVED, DECLINED, USED)),
    ],
)
def test_the_database_demands_another_person(manager: Person, state: str, by: int | None) -> None:
    approval = asked(manager)
    values = {"state": state, "decided_by": by, "decided_at": timezone.now()}
    with pytest.raises(IntegrityError), transaction.atomic():
        Approval.objects.filter(pk=approval.pk).update(**values)


@DECISIONS
@pytest.mark.parametrize(
    ("user_id", "reason"),
    [(seed.READER, reasons.NO_ORDER_RIGHT), (seed.OWN_MANAGER, reasons.NOT_READABLE)],
)
def test_deciding_needs_the_right_to_see_and_to_pay(
    sandbox: Sandbox,
    manager: Person,
    decide: Callable[[Person, int], object],
    user_id: int,
    reason: str,
) -> None:
    approval = asked(manager)
    person = stage.person(sandbox, manager.portal, user_id)
    not_possible(why_not(reason), lambda: decide(person, approval.pk))
    assert state_of(approval) == WAITING


@pytest.mark.parametrize(("values", "reason"), CHANGES)
def test_a_changed_payment_is_declined_and_not_approved(
    alpha: Portal, manager: Person, admin: Person, values: dict[str, Any], reason: str
) -> None:
    approval = asked(manager)
    change(alpha, **values)
    not_possible(why_not(reason), lambda: approve(admin, approval.pk))
    assert state_of(approval) == WAITING
    assert decline_with_note(admin, approval.pk).state == DECLINED


def test_a_declined_request_pays_nothing(sandbox: Sandbox, manager: Person, admin: Person) -> None:
    approval = decline(admin, asked(manager).pk, note="Ask for a discount first")
    assert (approval.state, approval.note) == (DECLINED, "Ask for a discount first")
    assert paid(manager).reason == reasons.NEEDS_APPROVAL
    assert stage.sent_payments(sandbox) == 0
    assert asked(manager).state == WAITING


@DECISIONS
def test_a_decision_stays(
    manager: Person, admin: Person, another: Person, decide: Callable[[Person, int], object]
) -> None:
    approval = approved(manager, admin)
    not_possible(reasons.DECIDED_MEANWHILE, lambda: decide(another, approval.pk))
    assert state_of(approval) == APPROVED


def test_a_request_withdrawn_meanwhile_or_too_old_is_not_approved(
    sandbox: Sandbox, manager: Person, admin: Person
) -> None:
    first = asked(manager)
    stage.during(sandbox, stage.READ_BACK, lambda: withdraw(manager, first.pk))
    not_possible(reasons.DECIDED_MEANWHILE, lambda: approve(admin, first.pk))
    assert state_of(first) == WITHDRAWN
    second = asked(manager)
    age(second)
    not_possible(reasons.DECIDED_MEANWHILE, lambda: approve(admin, second.pk))


@pytest.mark.parametrize("act", [approve, decline_with_note, withdraw])
def test_a_request_of_another_portal_does_not_exist(
    sandbox: Sandbox, beta: Portal, manager: Person, act: Callable[[Person, int], object]
) -> None:
    approval = asked(manager)
    stranger = stage.person(sandbox, stage.install(sandbox, beta), seed.ADMIN)
    with pytest.raises(Missing):
        act(stranger, approval.pk)
    assert state_of(approval) == WAITING


@pytest.mark.parametrize("is_approved", [True, False])
def test_the_requester_alone_withdraws(
    sandbox: Sandbox, manager: Person, admin: Person, is_approved: bool
) -> None:
    approval = approved(manager, admin) if is_approved else asked(manager)
    with pytest.raises(Missing):
        withdraw(admin, approval.pk)
    assert withdraw(manager, approval.pk).state == WITHDRAWN
    assert paid(manager).reason == reasons.NEEDS_APPROVAL
    not_possible(reasons.DECIDED_MEANWHILE, lambda: withdraw(manager, approval.pk))
    assert stage.sent_payments(sandbox) == 0


# ---- paying by it


def test_an_approval_is_for_its_requester_and_payment_alone(
    sandbox: Sandbox, manager: Person, admin: Person, another: Person
) -> None:
    Policy.objects.update(limits={"EUR": "1"})
    approval = approved(manager, admin)
    tries = (paid(admin), paid(another), paid(manager, **OTHER_DEAL))
    assert {attempt.reason for attempt in tries} == {reasons.NEEDS_APPROVAL}
    assert state_of(approval) == APPROVED
    age(approval)
    assert paid(manager).reason == reasons.NEEDS_APPROVAL
    assert stage.sent_payments(sandbox) == 0


@pytest.mark.parametrize(
    ("kind", "system", "values"),
    [
        (Kind.PAY, seed.ACME_PAY, {"sum": Decimal(12501)}),
        (Kind.PAY, seed.ACME_PAY, {"currency": "USD"}),
        (Kind.MARK, seed.ACME_PAY, {}),
        (Kind.PAY, seed.OTHER_PAY, {}),
    ],
)
def test_an_approval_is_for_one_sum_kind_and_pay_system(
    sandbox: Sandbox,
    alpha: Portal,
    manager: Person,
    admin: Person,
    kind: Kind,
    system: int,
    values: dict[str, Any],
) -> None:
    approval = request_for(manager, stage.offer_of(manager), system, kind=kind)
    approve(admin, approval.pk)
    change(alpha, **values)
    assert paid(manager).reason == reasons.APPROVED_OTHERWISE
    assert alpha.payments[seed.PAYMENT].pay_system_id == seed.ACME_PAY
    assert state_of(approval) == APPROVED
    assert stage.sent_payments(sandbox) == 0
    if system == seed.OTHER_PAY:
        assert paid(manager, system).state == State.PAID
        assert alpha.payments[seed.PAYMENT].pay_system_id == system


def test_a_refusal_before_sending_leaves_it_valid(
    sandbox: Sandbox, alpha: Portal, manager: Person, admin: Person
) -> None:
    approval = approved(manager, admin, seed.DEMO_CARD_PAY)
    offer = stage.offer_of(manager)
    change(alpha, canceled=True)
    canceled = pay(manager, offer, pay_system_id=seed.DEMO_CARD_PAY)
    change(alpha, canceled=False)
    sandbox.faults.add(Fault("drop", method="crm.item.payment.update"))
    unbound = pay(manager, offer, pay_system_id=seed.DEMO_CARD_PAY)
    assert [canceled.reason, unbound.reason] == [reasons.ORDER_CANCELED, reasons.REBIND_UNKNOWN]
    assert set(Attempt.objects.values_list("approval_id", flat=True)) == {None}
    assert "approval_id" not in Entry.objects.latest("number").facts
    assert state_of(approval) == APPROVED


@pytest.mark.parametrize("has_asked_again", [False, True])
def test_a_call_never_made_gives_it_back(
    manager: Person, admin: Person, has_asked_again: bool
) -> None:
    approval = approved(manager, admin)
    attempt = claimed(manager, approval)
    assert mark_sent(attempt)
    assert state_of(approval) == USED
    if has_asked_again:
        again = Approval.objects.get()
        again.pk, again.state, again.decided_by = None, WAITING, None
        again.save(force_insert=True)
    close(attempt, State.REFUSED, reason=reasons.NOT_REACHED, evidence={})
    assert state_of(approval) == (USED if has_asked_again else APPROVED)
    assert Attempt.objects.get().state == State.REFUSED


@pytest.mark.django_db(transaction=True)
def test_it_is_given_back_together_with_the_outcome_or_not_at_all(
    manager: Person, admin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = claimed(manager, approved(manager, admin))
    assert mark_sent(attempt)

    def dies(*_: object, **__: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(type(Approval.objects), "give_back", dies)
    with pytest.raises(RuntimeError):
        close(attempt, State.REFUSED, reason=reasons.NOT_REACHED, evidence={})
    assert Attempt.objects.get().is_open
    assert not Entry.objects.filter(attempt_id=attempt.pk).exists()


def test_a_call_without_effect_uses_it_up(sandbox: Sandbox, manager: Person, admin: Person) -> None:
    approval = approved(manager, admin)
    sandbox.faults.add(Fault("true_without_payment", method=stage.PAY))
    assert paid(manager).reason == reasons.TRUE_WITHOUT_PAYMENT
    assert state_of(approval) == USED
    assert paid(manager).reason == reasons.NEEDS_APPROVAL


def test_a_claim_that_was_given_up_does_not_use_it(manager: Person, admin: Person) -> None:
    approval = approved(manager, admin)
    attempt = claimed(manager, approval)
    Attempt.objects.update(state=State.REFUSED, reason=reasons.ABANDONED)
    assert not mark_sent(attempt)
    assert state_of(approval) == APPROVED
    used = [Approval.objects.use(approval.pk, now=timezone.now()) for _ in range(3)]
    assert used == [True, False, False]


# ---- many at once


@pytest.mark.django_db(transaction=True)
def test_of_many_presses_at_once_one_asks_and_one_pays(
    sandbox: Sandbox, alpha: Portal, manager: Person, admin: Person
) -> None:
    offer = stage.offer_of(manager)
    assert len(set(stage.together(*[lambda: request_for(manager, offer).pk] * 3))) == 1
    approval = Approval.objects.get()
    approve(admin, approval.pk)
    stage.together(*[lambda: pay(manager, offer, pay_system_id=seed.ACME_PAY)] * 4)
    assert (alpha.payments[seed.PAYMENT].times_paid, stage.sent_payments(sandbox)) == (1, 1)
    assert state_of(approval) == USED
    assert Attempt.objects.filter(approval=approval).count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_who_decide_at_once_one_does(
    sandbox: Sandbox, manager: Person, admin: Person, another: Person
) -> None:
    approval = asked(manager)

    def outcome(decide: Callable[[Person, int], Approval], who: Person) -> str:
        try:
            return decide(who, approval.pk).state
        except NotPossible:
            return "too late"

    both = threading.Barrier(2)
    stage.during(sandbox, stage.READ_BACK, lambda: both.wait(10), times=2)
    found = stage.together(
        lambda: outcome(approve, admin), lambda: outcome(decline_with_note, another)
    )
    assert found.count("too late") == 1
    assert state_of(approval) in found


# ---- the command, the ledger, the end


def test_the_command_needs_it_too(
    sandbox: Sandbox, manager: Person, admin: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    approval = asked(admin)

    def run() -> tuple[object, str]:
        target = {"portal": seed.ALPHA, "user": seed.ADMIN, "payment": seed.PAYMENT}
        with pytest.raises(SystemExit) as left:
            call_command("pay", **target, pay_system=seed.ACME_PAY, yes=True)
        return left.value.code, capsys.readouterr().out

    code, said = run()
    assert (code, stage.sent_payments(sandbox)) == (1, 0)
    assert "You have asked for approval" in said
    approve(manager, approval.pk)
    assert run()[0] == 0
    assert state_of(approval) == USED


def test_each_step_is_told_to_the_ledger(manager: Person, admin: Person) -> None:
    withdraw(manager, asked(manager).pk)
    decline_with_note(admin, asked(manager).pk)
    approved(manager, admin)
    entries = Entry.objects.order_by("number")
    assert {entry.facts["payment"] for entry in entries} == {seed.PAYMENT}
    assert [(entry.event, entry.actor_id) for entry in entries] == [
        ("approval_asked", seed.MANAGER),
        ("approval_withdrawn", seed.MANAGER),
        ("approval_asked", seed.MANAGER),
        ("declined", seed.ADMIN),
        ("approval_asked", seed.MANAGER),
        ("approved", seed.ADMIN),
    ]


def test_a_decision_that_the_ledger_refuses_is_not_stored(
    manager: Person, admin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    approval = asked(manager)

    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("no ledger")

    monkeypatch.setattr(chain, "record", refuse)
    with pytest.raises(RuntimeError):
        approve(admin, approval.pk)
    assert state_of(approval) == WAITING
