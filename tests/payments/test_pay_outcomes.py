"""Paid, Refused, Not confirmed: only the payment itself decides, after every kind of failure."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.utils import timezone

from b24app.errors import AccessDenied, B24Error
from b24app.identity.session import Person
from b24app.rest import client, transport
from payments import reasons
from payments.attempts.messages import messages_of
from payments.attempts.pay import check, pay
from payments.models import SETTLE_AFTER, STALE_CLAIM, Attempt, State
from payments.offer import Offer
from sandbox.api.faults import Fault
from sandbox.server.adapter import SandboxAdapter
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.payments import stage

pytestmark = pytest.mark.django_db

REFUSALS = ["query_limit", "operation_limit", "expired_token"]
SILENCES = ["drop", "delay", "status500", "html502", "redirect", "broken_json"]


@pytest.fixture
def offer(manager: Person) -> Offer:
    return stage.offer_of(manager)


@pytest.fixture
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "pause", lambda seconds: None)


def fault(kind: str, method: str = stage.PAY, when: str = "before", **more: object) -> Fault:
    """Returns a fault; a delay is longer than any caller waits."""
    return Fault(kind, method=method, when=when, seconds=600, **more)  # type: ignore[arg-type]


def overdue(attempt: Attempt) -> None:
    """Lets enough time pass since it was sent."""
    sent_at = timezone.now() - SETTLE_AFTER - timedelta(seconds=1)
    Attempt.objects.filter(pk=attempt.pk).update(sent_at=sent_at)


def assert_true_to(alpha: Portal, attempt: Attempt) -> None:
    """Asserts that Paid is shown only if the portal has it as paid, and that it was paid once."""
    payment = alpha.payments[attempt.payment_id]
    assert payment.times_paid <= 1
    assert (attempt.state == State.PAID) <= payment.paid
    stored = Attempt.objects.get(pk=attempt.pk)
    assert (stored.state, stored.reason) == (attempt.state, attempt.reason)


@pytest.mark.parametrize("kind", [*REFUSALS, *SILENCES, "cut"])
def test_carried_out_and_lost_on_the_way_back_is_paid(
    sandbox: Sandbox, alpha: Portal, manager: Person, offer: Offer, kind: str
) -> None:
    sandbox.faults.add(fault(kind, when="after"))

    attempt = pay(manager, offer, pay_system_id=seed.ACME_PAY)

    assert attempt.state == State.PAID
    assert stage.sent_payments(sandbox) == 1
    assert_true_to(alpha, attempt)


@pytest.mark.parametrize("kind", REFUSALS)
def test_an_error_answer_and_an_unpaid_payment_is_refused(
    sandbox: Sandbox, alpha: Portal, manager: Person, offer: Offer, kind: str
) -> None:
    sandbox.faults.add(fault(kind))

    attempt = pay(manager, offer, pay_system_id=seed.ACME_PAY)

    assert (attempt.state, attempt.reason) == (State.REFUSED, reasons.REFUSED_BY_BITRIX24)
    assert messages_of(attempt)
    assert stage.sent_payments(sandbox) == 1
    assert alpha.payments[seed.PAYMENT].times_paid == 0
    assert_true_to(alpha, attempt)


@pytest.mark.parametrize("kind", SILENCES)
def test_no_clear_answer_and_an_unpaid_payment_is_not_confirmed(
    sandbox: Sandbox, alpha: Portal, manager: Person, offer: Offer, kind: str
) -> None:
    sandbox.faults.add(fault(kind))

    attempt = pay(manager, offer, pay_system_id=seed.ACME_PAY)

    assert (attempt.state, attempt.reason) == (State.UNKNOWN, reasons.NO_ANSWER)
    assert stage.sent_payments(sandbox) == 1
    assert_true_to(alpha, attempt)


def test_true_without_payment_is_refused(
    sandbox: Sandbox, alpha: Portal, manager: Person, offer: Offer
) -> None:
    alpha.payment_save_fails = True

    attempt = pay(manager, offer, pay_system_id=seed.ACME_PAY)

    assert (attempt.state, attempt.reason) == (State.REFUSED, reasons.TRUE_WITHOUT_PAYMENT)
    assert attempt.evidence["answer"] == "true"
    assert attempt.evidence["paid"] == "N"
    assert_true_to(alpha, attempt)


@pytest.mark.parametrize(
    ("deal_id", "payment_id"),
    [
        (seed.CASH_DEAL, seed.CASH_PAYMENT),
        (seed.BILL_DEAL, seed.BILL_PAYMENT),
        (seed.BUILT_IN_DEAL, seed.ON_DELIVERY_PAYMENT),
        (seed.BUILT_IN_DEAL, seed.INNER_PAYMENT),
        (seed.BUILT_IN_DEAL, seed.DOCUMENT_PAYMENT),
    ],
)
def test_pay_systems_that_take_nothing_say_true_and_are_not_believed(
    sandbox: Sandbox, alpha: Portal, manager: Person, deal_id: int, payment_id: int
) -> None:
    # No pair serves the portal, so the kind of pay system is not known before.
    stage.lose_portal_token(manager.portal)
    offer = stage.offer_of(manager, deal_id=deal_id, payment_id=payment_id)

    attempt = pay(manager, offer, pay_system_id=offer.pay_system_id)

    assert (attempt.state, attempt.reason) == (State.REFUSED, reasons.TRUE_WITHOUT_PAYMENT)
    assert stage.sent_payments(sandbox) == 1
    assert_true_to(alpha, attempt)


def test_a_refusal_by_an_acquirer_gets_the_apps_message(sandbox: Sandbox, manager: Person) -> None:
    stage.lose_portal_token(manager.portal)
    offer = stage.offer_of(manager, deal_id=seed.ACQUIRER_DEAL, payment_id=seed.ACQUIRER_PAYMENT)

    attempt = pay(manager, offer, pay_system_id=seed.ACQUIRER)

    assert (attempt.state, attempt.reason) == (State.REFUSED, reasons.REFUSED_BY_BITRIX24)
    assert attempt.evidence["error"]["code"] == "ERROR_PROCESS_REQUEST_RESULT"
    assert "payment system refused" in str(messages_of(attempt)[0])


@pytest.mark.parametrize("kind", [*REFUSALS, *SILENCES])
@pytest.mark.usefixtures("_no_pauses")
def test_a_read_back_that_fails_once_is_made_up_for(
    sandbox: Sandbox, alpha: Portal, manager: Person, offer: Offer, kind: str
) -> None:
    _then(sandbox, fault(kind, method=stage.READ_BACK))

    attempt = pay(manager, offer, pay_system_id=seed.ACME_PAY)

    assert attempt.state == State.PAID
    assert_true_to(alpha, attempt)


@pytest.mark.parametrize("answered", [True, False], ids=["true", "no answer"])
@pytest.mark.usefixtures("_no_pauses")
def test_paid_but_not_read_back_is_not_confirmed_until_it_is(
    sandbox: Sandbox, alpha: Portal, manager: Person, offer: Offer, answered: bool
) -> None:
    if not answered:
        sandbox.faults.add(fault("drop", when="after"))
    _then(
        sandbox,
        fault("html502", method=stage.READ_BACK, times=None),
        fault("html502", method=stage.KEPT, times=None),
    )

    attempt = pay(manager, offer, pay_system_id=seed.ACME_PAY)

    assert attempt.state == State.UNKNOWN
    assert attempt.reason == (reasons.READ_BACK_FAILED if answered else reasons.NO_ANSWER)
    with pytest.raises(B24Error):
        check(manager, offer)
    assert_true_to(alpha, attempt)

    sandbox.faults.clear()
    settled = check(manager, offer)
    assert settled is not None
    assert settled.state == State.PAID
    assert stage.sent_payments(sandbox) == 1
    assert_true_to(alpha, settled)


@pytest.mark.usefixtures("_no_pauses")
def test_what_never_left_is_refused_even_where_nothing_can_be_read_back(
    sandbox: Sandbox, alpha: Portal, manager: Person, offer: Offer
) -> None:
    adapter = transport.mounted_adapter()
    assert isinstance(adapter, SandboxAdapter)
    host = urlsplit(alpha.url).netloc
    sandbox.faults.add(
        Fault(
            "delay",
            method="crm.item.payment.update",
            seconds=0,
            on_hit=lambda: adapter.unreachable_hosts.add(host),
        )
    )

    attempt = pay(manager, offer, pay_system_id=seed.DEMO_CARD_PAY)

    assert (attempt.state, attempt.reason) == (State.REFUSED, reasons.NOT_REACHED)
    assert attempt.evidence["answer"] == "never sent"
    assert_true_to(alpha, attempt)


def test_paid_by_another_person_is_paid_and_says_so(
    sandbox: Sandbox, alpha: Portal, manager: Person, offer: Offer
) -> None:
    def another_person_pays() -> None:
        payment = alpha.payments[seed.PAYMENT]
        payment.paid, payment.emp_paid_id, payment.times_paid = True, seed.ADMIN, 1

    sandbox.faults.add(fault("operation_limit", on_hit=another_person_pays))

    attempt = pay(manager, offer, pay_system_id=seed.ACME_PAY)

    assert (attempt.state, attempt.reason) == (State.PAID, reasons.PAID_BY_OTHER)
    assert attempt.evidence["empPaidId"] == seed.ADMIN
    assert messages_of(attempt)
    assert_true_to(alpha, attempt)


def test_a_deal_that_moves_away_when_paid_is_read_for_its_payer(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    own = stage.person(sandbox, manager.portal, seed.OWN_MANAGER)
    offer = stage.offer_of(own, deal_id=seed.OWN_DEAL, payment_id=seed.OWN_PAYMENT)

    def moves_away() -> None:
        alpha.items[2, seed.OWN_DEAL].responsible_id = seed.ADMIN

    sandbox.faults.add(Fault("delay", method=stage.PAY, seconds=0, on_hit=moves_away))

    attempt = pay(own, offer, pay_system_id=seed.ACME_PAY)

    assert attempt.state == State.PAID
    assert_true_to(alpha, attempt)


def test_not_confirmed_stays_open_while_it_may_still_be_carried_out(
    sandbox: Sandbox, alpha: Portal, manager: Person, offer: Offer
) -> None:
    sandbox.faults.add(fault("drop"))
    attempt = pay(manager, offer, pay_system_id=seed.ACME_PAY)

    assert check(manager, offer) == attempt
    assert Attempt.objects.get().state == State.UNKNOWN
    assert pay(manager, offer, pay_system_id=seed.ACME_PAY) == attempt
    assert stage.sent_payments(sandbox) == 1


def test_not_confirmed_and_unpaid_after_long_enough_was_not_carried_out(
    sandbox: Sandbox, alpha: Portal, manager: Person, offer: Offer
) -> None:
    sandbox.faults.add(fault("drop"))
    overdue(pay(manager, offer, pay_system_id=seed.ACME_PAY))

    settled = check(manager, offer)

    assert settled is not None
    assert (settled.state, settled.reason) == (State.REFUSED, reasons.NOT_CARRIED_OUT)
    again = pay(manager, offer, pay_system_id=seed.ACME_PAY)
    assert again.state == State.PAID
    assert_true_to(alpha, again)


def test_a_process_that_died_after_sending_is_settled_like_no_answer(
    sandbox: Sandbox, alpha: Portal, manager: Person, offer: Offer
) -> None:
    sandbox.faults.add(fault("drop", when="after"))
    attempt = pay(manager, offer, pay_system_id=seed.ACME_PAY)
    Attempt.objects.filter(pk=attempt.pk).update(
        state=State.PAYING, reason="", evidence={}, settled_at=None
    )

    settled = check(manager, offer)

    assert settled is not None
    assert settled.state == State.PAID
    assert_true_to(alpha, settled)


def test_a_payment_that_is_gone_is_settled_only_when_it_is_overdue(
    sandbox: Sandbox, alpha: Portal, manager: Person, offer: Offer
) -> None:
    sandbox.faults.add(fault("drop"))
    attempt = pay(manager, offer, pay_system_id=seed.ACME_PAY)
    del alpha.payments[seed.PAYMENT]

    looked = check(manager, offer)
    assert looked is not None
    assert looked.state == State.UNKNOWN
    overdue(attempt)
    settled = check(manager, offer)

    assert settled is not None
    assert (settled.state, settled.reason) == (State.REFUSED, reasons.PAYMENT_GONE)


def claimed(offer: Offer, manager: Person, *, ago: timedelta) -> Attempt:
    return Attempt.objects.create(
        portal=manager.portal,
        payment_id=offer.payment_id,
        account_number=offer.account_number,
        pay_system_id=offer.pay_system_id,
        bound_pay_system_id=offer.pay_system_id,
        sum=offer.sum,
        currency=offer.currency,
        user_id=manager.user_id,
        created_at=timezone.now() - ago,
    )


def test_an_abandoned_claim_is_released_by_checking(
    sandbox: Sandbox, manager: Person, offer: Offer
) -> None:
    claimed(offer, manager, ago=STALE_CLAIM + timedelta(seconds=1))
    calls = len(sandbox.log)

    settled = check(manager, offer)

    assert settled is not None
    assert (settled.state, settled.reason) == (State.REFUSED, reasons.ABANDONED)
    assert len(sandbox.log) == calls


def test_an_abandoned_claim_is_taken_over_by_paying(
    alpha: Portal, manager: Person, offer: Offer
) -> None:
    stale = claimed(offer, manager, ago=STALE_CLAIM + timedelta(seconds=1))

    attempt = pay(manager, offer, pay_system_id=seed.ACME_PAY)

    assert attempt.state == State.PAID
    stale.refresh_from_db()
    assert (stale.state, stale.reason) == (State.REFUSED, reasons.ABANDONED)
    assert_true_to(alpha, attempt)


def test_a_young_claim_is_joined(sandbox: Sandbox, manager: Person, offer: Offer) -> None:
    young = claimed(offer, manager, ago=timedelta(seconds=1))

    assert pay(manager, offer, pay_system_id=seed.ACME_PAY) == young
    assert check(manager, offer) == young
    assert stage.sent_payments(sandbox) == 0


def test_a_claim_that_was_given_up_sends_nothing(
    sandbox: Sandbox, manager: Person, offer: Offer
) -> None:
    def give_up() -> None:
        Attempt.objects.update(state=State.REFUSED, reason=reasons.ABANDONED)

    # The fault hits the change of the pay system, which is made in this thread, after the claim.
    sandbox.faults.add(Fault("delay", method="crm.item.payment.update", seconds=0, on_hit=give_up))

    attempt = pay(manager, offer, pay_system_id=seed.DEMO_CARD_PAY)

    assert attempt.reason == reasons.ABANDONED
    assert stage.sent_payments(sandbox) == 0


def test_without_an_attempt_there_is_nothing_to_check(
    sandbox: Sandbox, manager: Person, offer: Offer
) -> None:
    calls = len(sandbox.log)
    assert check(manager, offer) is None
    assert len(sandbox.log) == calls


def test_an_attempt_on_the_same_id_in_another_portal_is_ignored(
    sandbox: Sandbox, beta: Portal, manager: Person, offer: Offer
) -> None:
    elsewhere = stage.person(sandbox, stage.install(sandbox, beta), seed.MANAGER)
    sandbox.faults.add(fault("drop"))
    assert pay(manager, offer, pay_system_id=seed.ACME_PAY).state == State.UNKNOWN
    there = stage.offer_of(elsewhere)

    assert check(elsewhere, there) is None
    assert pay(elsewhere, there, pay_system_id=seed.ACME_PAY).state == State.PAID


def test_a_closed_attempt_is_not_asked_about_again(
    sandbox: Sandbox, manager: Person, offer: Offer
) -> None:
    attempt = pay(manager, offer, pay_system_id=seed.ACME_PAY)
    calls = len(sandbox.log)

    assert check(manager, offer) == attempt
    assert len(sandbox.log) == calls


def test_others_may_check_only_what_they_may_see(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    offer = stage.offer_of(manager, deal_id=seed.HIDDEN_DEAL, payment_id=seed.HIDDEN_PAYMENT)
    sandbox.faults.add(fault("drop", when="after"))
    _then(
        sandbox,
        fault("html502", method=stage.READ_BACK),
        fault("html502", method=stage.KEPT),
    )
    assert pay(manager, offer, pay_system_id=seed.ACME_PAY).state == State.UNKNOWN
    sandbox.faults.clear()
    own = stage.person(sandbox, manager.portal, seed.OWN_MANAGER)
    reader = stage.person(sandbox, manager.portal, seed.READER)

    with pytest.raises(AccessDenied):
        check(own, replace(offer, user_id=seed.OWN_MANAGER))
    settled = check(reader, replace(offer, user_id=seed.READER))

    assert settled is not None
    assert (settled.state, settled.reason) == (State.PAID, "")


def _then(sandbox: Sandbox, *faults: Fault) -> None:
    """Switches these faults on when the payment reaches the portal; earlier reads are not
    affected."""

    def switch_on() -> None:
        for one in faults:
            sandbox.faults.add(one)

    sandbox.faults.add(Fault("delay", method=stage.PAY, seconds=0, on_hit=switch_on))
