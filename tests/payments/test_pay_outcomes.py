"""Paid, Refused, Not confirmed: only the payment itself decides, after every kind of failure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from django.utils import timezone

from b24app.errors import AccessDenied, B24Error, ChainBroken, PortalMoved
from b24app.identity.session import Person
from b24app.rest import transport
from payments import reasons
from payments.attempts import lookup
from payments.attempts.messages import messages_of
from payments.attempts.pay import check
from payments.models import SETTLE_AFTER, Attempt, State
from payments.offer import Offer
from sandbox.api.faults import Fault
from sandbox.server.adapter import SandboxAdapter
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.payments import stage
from tests.payments.pressing import press
from tests.payments.unconfirmed import lost_payment, silence

pytestmark = pytest.mark.django_db

REFUSALS = ["query_limit", "operation_limit", "expired_token"]
SILENCES = ["drop", "delay", "status500", "html502", "redirect", "broken_json"]


@pytest.fixture
def offer(manager: Person) -> Offer:
    return stage.offer_of(manager)


def fault(sandbox: Sandbox, kind: str, method: str = stage.PAY, when: str = "before") -> None:
    """Adds a fault; a delay is longer than any caller waits."""
    sandbox.faults.add(Fault(kind, method=method, when=when, seconds=600))


def overdue(attempt: Attempt) -> None:
    """Lets enough time pass since it was sent."""
    sent_at = timezone.now() - SETTLE_AFTER - timedelta(seconds=1)
    Attempt.objects.filter(pk=attempt.pk).update(sent_at=sent_at)


def outcome(alpha: Portal, attempt: Attempt | None) -> tuple[str, str]:
    """Returns state and reason; asserts that they are stored, that Paid is shown only if the portal
    has it as paid, and that it was paid once."""
    assert attempt is not None
    payment = alpha.payments.get(attempt.payment_id)
    assert payment is None or payment.times_paid <= 1
    assert attempt.state != State.PAID or (payment is not None and payment.paid)
    stored = Attempt.objects.get(pk=attempt.pk)
    assert (stored.state, stored.reason) == (attempt.state, attempt.reason)
    assert attempt.state == State.PAID or messages_of(attempt)
    return attempt.state, attempt.reason


@pytest.mark.parametrize(
    ("kind", "when", "expected"),
    [
        *[(kind, "after", (State.PAID, "")) for kind in (*REFUSALS, *SILENCES, "cut")],
        *[(kind, "before", (State.REFUSED, reasons.REFUSED_BY_BITRIX24)) for kind in REFUSALS],
        *[(kind, "before", (State.UNKNOWN, reasons.NO_ANSWER)) for kind in SILENCES],
    ],
)
def test_whatever_the_answer_the_payment_decides(
    sandbox: Sandbox,
    alpha: Portal,
    manager: Person,
    offer: Offer,
    kind: str,
    when: str,
    expected: tuple[str, str],
) -> None:
    """Carried out it is paid; else it is refused after an error, and not confirmed after none."""
    fault(sandbox, kind, when=when)
    assert outcome(alpha, press(manager, offer)) == expected
    assert stage.sent_payments(sandbox) == 1
    assert alpha.payments[seed.PAYMENT].paid is (when == "after")


def test_true_without_payment_is_refused(
    sandbox: Sandbox, alpha: Portal, manager: Person, offer: Offer
) -> None:
    alpha.payment_save_fails = True
    attempt = press(manager, offer)
    assert outcome(alpha, attempt) == (State.REFUSED, reasons.TRUE_WITHOUT_PAYMENT)
    assert (attempt.evidence["answer"], attempt.evidence["paid"]) == ("true", "N")


@pytest.mark.parametrize(
    ("deal_id", "payment_id", "reason"),
    [
        (seed.CASH_DEAL, seed.CASH_PAYMENT, reasons.TRUE_WITHOUT_PAYMENT),
        (seed.BILL_DEAL, seed.BILL_PAYMENT, reasons.TRUE_WITHOUT_PAYMENT),
        (seed.BUILT_IN_DEAL, seed.ON_DELIVERY_PAYMENT, reasons.TRUE_WITHOUT_PAYMENT),
        (seed.BUILT_IN_DEAL, seed.INNER_PAYMENT, reasons.TRUE_WITHOUT_PAYMENT),
        (seed.BUILT_IN_DEAL, seed.DOCUMENT_PAYMENT, reasons.TRUE_WITHOUT_PAYMENT),
        (seed.ACQUIRER_DEAL, seed.ACQUIRER_PAYMENT, reasons.REFUSED_BY_BITRIX24),
    ],
)
def test_pay_systems_that_take_nothing_are_not_believed(
    sandbox: Sandbox, alpha: Portal, manager: Person, deal_id: int, payment_id: int, reason: str
) -> None:
    # No pair serves the portal, so the kind of pay system is not known before.
    stage.lose_portal_token(manager.portal)
    offer = stage.offer_of(manager, deal_id=deal_id, payment_id=payment_id)
    attempt = press(manager, offer, offer.pay_system_id)
    assert outcome(alpha, attempt) == (State.REFUSED, reason)
    assert stage.sent_payments(sandbox) == 1
    if reason == reasons.REFUSED_BY_BITRIX24:
        assert attempt.evidence["error"]["code"] == "ERROR_PROCESS_REQUEST_RESULT"
        assert "payment system refused" in str(messages_of(attempt)[0])


@pytest.mark.parametrize("kind", [*REFUSALS, *SILENCES])
@pytest.mark.usefixtures("no_pauses")
def test_a_read_back_that_fails_once_is_made_up_for(
    sandbox: Sandbox, alpha: Portal, manager: Person, offer: Offer, kind: str
) -> None:
    stage.during(sandbox, stage.PAY, lambda: fault(sandbox, kind, stage.READ_BACK))
    assert outcome(alpha, press(manager, offer)) == (State.PAID, "")


@pytest.mark.parametrize("answered", [True, False], ids=["true", "no answer"])
@pytest.mark.usefixtures("no_pauses")
def test_paid_but_not_read_back_is_not_confirmed_until_it_is(
    sandbox: Sandbox, alpha: Portal, manager: Person, offer: Offer, answered: bool
) -> None:
    if not answered:
        fault(sandbox, "drop", when="after")
    stage.during(sandbox, stage.PAY, lambda: silence(sandbox))
    reason = reasons.READ_BACK_FAILED if answered else reasons.NO_ANSWER
    assert outcome(alpha, press(manager, offer)) == (State.UNKNOWN, reason)
    with pytest.raises(B24Error):
        check(manager, offer)
    assert Attempt.objects.get().state == State.UNKNOWN

    sandbox.faults.clear()
    assert outcome(alpha, check(manager, offer)) == (State.PAID, "")
    assert stage.sent_payments(sandbox) == 1


def test_what_never_left_is_refused_even_where_nothing_can_be_read_back(
    sandbox: Sandbox, alpha: Portal, manager: Person, offer: Offer, no_pauses: None
) -> None:
    adapter = transport.mounted_adapter()
    assert isinstance(adapter, SandboxAdapter)
    unreachable, host = adapter.unreachable_hosts, urlsplit(alpha.url).netloc
    stage.during(sandbox, "crm.item.payment.update", lambda: unreachable.add(host))
    attempt = press(manager, offer, seed.DEMO_CARD_PAY)
    assert outcome(alpha, attempt) == (State.REFUSED, reasons.NOT_REACHED)
    assert attempt.evidence["answer"] == "never sent"


def test_paid_by_another_person_is_paid_and_says_so(
    sandbox: Sandbox, alpha: Portal, manager: Person, offer: Offer
) -> None:
    def another_person_pays() -> None:
        payment = alpha.payments[seed.PAYMENT]
        payment.paid, payment.emp_paid_id, payment.times_paid = True, seed.ADMIN, 1

    stage.during(sandbox, stage.PAY, another_person_pays)
    fault(sandbox, "operation_limit")
    attempt = press(manager, offer)
    assert outcome(alpha, attempt) == (State.PAID, reasons.PAID_BY_OTHER)
    assert attempt.evidence["empPaidId"] == seed.ADMIN
    assert messages_of(attempt)


def test_a_deal_that_moves_away_when_paid_is_read_for_its_payer(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    own = stage.person(sandbox, manager.portal, seed.OWN_MANAGER)
    offer = stage.offer_of(own, deal_id=seed.OWN_DEAL, payment_id=seed.OWN_PAYMENT)
    deal = alpha.items[2, seed.OWN_DEAL]
    stage.during(sandbox, stage.PAY, lambda: setattr(deal, "responsible_id", seed.ADMIN))
    assert outcome(alpha, press(own, offer)) == (State.PAID, "")


# ---- what is not confirmed, checked again


@pytest.mark.parametrize("is_gone", [False, True])
def test_not_confirmed_stays_open_until_it_can_be_carried_out_no_more(
    sandbox: Sandbox, alpha: Portal, manager: Person, offer: Offer, is_gone: bool
) -> None:
    fault(sandbox, "drop")
    attempt = press(manager, offer)
    payment = alpha.payments[seed.PAYMENT]
    if is_gone:
        del alpha.payments[seed.PAYMENT]
    assert check(manager, offer) == press(manager, offer) == attempt
    assert outcome(alpha, Attempt.objects.get()) == (State.UNKNOWN, reasons.NO_ANSWER)
    assert stage.sent_payments(sandbox) == 1

    overdue(attempt)
    reason = reasons.PAYMENT_GONE if is_gone else reasons.NOT_CARRIED_OUT
    assert outcome(alpha, check(manager, offer)) == (State.REFUSED, reason)
    alpha.payments[seed.PAYMENT] = payment
    assert outcome(alpha, press(manager, offer)) == (State.PAID, "")


def test_without_an_open_attempt_checking_asks_bitrix24_nothing(
    sandbox: Sandbox, manager: Person, offer: Offer
) -> None:
    with stage.no_request(sandbox):
        assert check(manager, offer) is None
    attempt = press(manager, offer)
    with stage.no_request(sandbox):
        assert check(manager, offer) == attempt


def test_an_attempt_on_the_same_id_in_another_portal_is_ignored(
    sandbox: Sandbox, beta: Portal, manager: Person, offer: Offer
) -> None:
    elsewhere = stage.person(sandbox, stage.install(sandbox, beta), seed.MANAGER)
    fault(sandbox, "drop")
    assert press(manager, offer).state == State.UNKNOWN
    there = stage.offer_of(elsewhere)
    assert check(elsewhere, there) is None
    assert press(elsewhere, there).state == State.PAID


def test_others_may_check_only_what_they_may_see(sandbox: Sandbox, manager: Person) -> None:
    lost_payment(sandbox, manager, deal_id=seed.HIDDEN_DEAL, payment_id=seed.HIDDEN_PAYMENT)
    offer = stage.offer_of(manager, deal_id=seed.HIDDEN_DEAL, payment_id=seed.HIDDEN_PAYMENT)
    own = stage.person(sandbox, manager.portal, seed.OWN_MANAGER)
    reader = stage.person(sandbox, manager.portal, seed.READER)
    with pytest.raises(AccessDenied):
        check(own, replace(offer, user_id=seed.OWN_MANAGER))
    settled = check(reader, replace(offer, user_id=seed.READER))
    assert settled is not None
    assert (settled.state, settled.reason) == (State.PAID, "")


def test_a_portal_without_the_app_is_not_read(sandbox: Sandbox, manager: Person) -> None:
    attempt = lost_payment(sandbox, manager)
    attempt.portal.uninstalled_at = datetime(2026, 1, 1, tzinfo=UTC)
    with stage.no_request(sandbox), pytest.raises(ChainBroken):
        lookup.settle_by_reading(attempt, asked_at=timezone.now())
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
