"""Changes between the page and Pay, found before anything is sent."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from b24app.identity.session import Person
from payments import reasons
from payments.attempts.messages import after_trying, messages_of
from payments.attempts.pay import pay
from payments.listing import status
from payments.models import Attempt, Kind, State
from payments.offer import Offer
from sandbox.api import envelopes
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.payments import stage

pytestmark = pytest.mark.django_db

UNPAY = "crm.item.payment.unpay"
BY_HAND = "crm.item.payment.pay"
LATER = timedelta(seconds=30)
# Both sides of the limit, with room for the time that a test takes.
NEARLY_TOO_FAR, TOO_FAR = 290, 310


@pytest.fixture
def offer(manager: Person) -> Offer:
    return offered_before(manager)


def offered_before(manager: Person) -> Offer:
    """Makes the offer a while ago, so that later changes differ by whole seconds."""
    offer = stage.offer_of(manager)
    return replace(offer, made_at=offer.made_at - LATER)


@pytest.fixture
def elsewhen(sandbox: Sandbox, alpha: Portal, request: pytest.FixtureRequest) -> Person:
    """The manager in a portal whose clock is so many seconds ahead from the start: none goes
    backwards while it is being asked."""
    sandbox.world.advance(request.param)
    return stage.person(sandbox, stage.install(sandbox, alpha), seed.MANAGER)


def set_back(who: Person) -> None:
    """Sets the payment back as the portal's own page does."""
    who.client.write(UNPAY, {"id": seed.PAYMENT})


def forget_dates(alpha: Portal) -> None:
    payment = alpha.payments[seed.PAYMENT]
    payment.date_paid, payment.provider_data = None, {}


def assert_stopped(sandbox: Sandbox, attempt: Attempt, reason: str, *, sent: int = 0) -> None:
    assert (attempt.state, attempt.reason) == (State.REFUSED, reason)
    assert attempt.sent_at is None
    assert messages_of(attempt) == [after_trying(reason, kind=attempt.kind)]
    assert stage.sent_payments(sandbox) == sent


# Words

GUARDS = [
    reasons.ALREADY_PAID,
    reasons.ORDER_CANCELED,
    reasons.SUM_ZERO,
    reasons.SUM_CHANGED,
    reasons.CURRENCY_CHANGED,
    reasons.PAY_SYSTEM_CHANGED,
    reasons.PAID_BACK,
    reasons.CLOCK_SKEW,
    reasons.PAY_SYSTEM_INACTIVE,
    reasons.PAY_SYSTEM_OF_INVOICES,
    reasons.PAY_SYSTEM_BUILT_IN,
    reasons.PAY_SYSTEM_GONE,
    reasons.PAY_SYSTEM_OF_OTHER_BUYERS,
    reasons.PAY_SYSTEMS_UNREAD,
    reasons.PAY_SYSTEM_UNFIT,
]


@pytest.mark.parametrize("code", GUARDS)
def test_each_has_its_own_message_that_nothing_was_paid(code: str) -> None:
    words = str(after_trying(code, kind=Kind.PAY))
    assert "Nothing was paid" in words
    assert [str(after_trying(other, kind=Kind.PAY)) for other in GUARDS].count(words) == 1


# What changes between the page and Pay


def _paid(alpha: Portal) -> None:
    alpha.payments[seed.PAYMENT].paid = True


def _canceled(alpha: Portal) -> None:
    alpha.orders[seed.ORDER].canceled = True


def _free(alpha: Portal) -> None:
    alpha.payments[seed.PAYMENT].sum = Decimal(0)


def _dearer(alpha: Portal) -> None:
    alpha.payments[seed.PAYMENT].sum += Decimal("0.01")


def _in_dollars(alpha: Portal) -> None:
    alpha.payments[seed.PAYMENT].currency = "USD"


def _bound_elsewhere(alpha: Portal) -> None:
    alpha.payments[seed.PAYMENT].pay_system_id = seed.CASH


def _system(**changes: Any) -> Callable[[Portal], None]:
    def change(alpha: Portal) -> None:
        for name, value in changes.items():
            setattr(alpha.pay_systems[seed.ACME_PAY], name, value)

    return change


def _deleted(alpha: Portal) -> None:
    del alpha.pay_systems[seed.ACME_PAY]


def _handler_deleted(alpha: Portal) -> None:
    alpha.handlers.clear()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_paid, reasons.ALREADY_PAID),
        (_canceled, reasons.ORDER_CANCELED),
        (_free, reasons.SUM_ZERO),
        (_dearer, reasons.SUM_CHANGED),
        (_in_dollars, reasons.CURRENCY_CHANGED),
        (_bound_elsewhere, reasons.PAY_SYSTEM_CHANGED),
        (_system(active=False), reasons.PAY_SYSTEM_INACTIVE),
        (_system(registry="CRM_INVOICE"), reasons.PAY_SYSTEM_OF_INVOICES),
        (_system(action_file="cash"), reasons.PAY_SYSTEM_BUILT_IN),
        (_system(action_file="billde"), reasons.PAY_SYSTEM_BUILT_IN),
        (_system(action_file="paypal"), reasons.PAY_SYSTEM_BUILT_IN),
        (_handler_deleted, reasons.PAY_SYSTEM_BUILT_IN),
        (_deleted, reasons.PAY_SYSTEM_GONE),
    ],
)
def test_a_change_since_the_page_was_opened_stops_it(
    sandbox: Sandbox,
    alpha: Portal,
    manager: Person,
    offer: Offer,
    change: Callable[[Portal], None],
    reason: str,
) -> None:
    change(alpha)

    attempt = pay(manager, offer, pay_system_id=seed.ACME_PAY)

    assert_stopped(sandbox, attempt, reason)
    assert alpha.payments[seed.PAYMENT].times_paid == 0


def test_another_pay_system_for_other_buyers_is_not_bound(
    sandbox: Sandbox, alpha: Portal, manager: Person, offer: Offer
) -> None:
    alpha.pay_systems[seed.DEMO_CARD_PAY].person_type_id = 2

    attempt = pay(manager, offer, pay_system_id=seed.DEMO_CARD_PAY)

    assert_stopped(sandbox, attempt, reasons.PAY_SYSTEM_OF_OTHER_BUYERS)
    assert alpha.payments[seed.PAYMENT].pay_system_id == seed.ACME_PAY


def test_another_pay_system_is_not_bound_while_none_can_be_read(
    sandbox: Sandbox, alpha: Portal, manager: Person, offer: Offer
) -> None:
    stage.lose_portal_token(manager.portal)
    cache.clear()

    attempt = pay(manager, offer, pay_system_id=seed.DEMO_CARD_PAY)

    assert_stopped(sandbox, attempt, reasons.PAY_SYSTEMS_UNREAD)
    assert alpha.payments[seed.PAYMENT].pay_system_id == seed.ACME_PAY


# Set back to unpaid meanwhile


def test_a_payment_paid_by_the_app_and_set_back_needs_a_new_page(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    offer = stage.offer_of(manager)
    assert pay(manager, offer, pay_system_id=seed.ACME_PAY).state == State.PAID
    set_back(manager)
    forget_dates(alpha)  # Only the app's own records know.

    attempt = pay(manager, offer, pay_system_id=seed.ACME_PAY)

    assert_stopped(sandbox, attempt, reasons.PAID_BACK, sent=1)
    assert not alpha.payments[seed.PAYMENT].paid

    # A refusal by a guard does not refuse the next page, which was opened after it.
    assert pay(manager, stage.offer_of(manager), pay_system_id=seed.ACME_PAY).state == State.PAID
    assert stage.sent_payments(sandbox) == 2


def test_what_was_undone_through_the_app_needs_a_new_page(
    sandbox: Sandbox, manager: Person
) -> None:
    offer = stage.offer_of(manager)
    undone(manager)

    attempt = pay(manager, offer, pay_system_id=seed.ACME_PAY)

    assert_stopped(sandbox, attempt, reasons.PAID_BACK)
    assert pay(manager, stage.offer_of(manager), pay_system_id=seed.ACME_PAY).state == State.PAID


@pytest.mark.parametrize("method", [BY_HAND, stage.PAY])
def test_what_was_paid_outside_the_app_and_set_back_needs_a_new_page(
    sandbox: Sandbox, alpha: Portal, manager: Person, offer: Offer, method: str
) -> None:
    ids = {"id": seed.PAYMENT, "PAYMENT_ID": seed.PAYMENT, "PAY_SYSTEM_ID": seed.ACME_PAY}
    manager.client.write(method, ids)
    set_back(manager)
    sent = stage.sent_payments(sandbox)

    attempt = pay(manager, offer, pay_system_id=seed.ACME_PAY)

    assert_stopped(sandbox, attempt, reasons.PAID_BACK, sent=sent)
    date_paid = alpha.payments[seed.PAYMENT].date_paid
    assert date_paid is not None
    assert datetime.fromisoformat(attempt.evidence["paidBefore"]) == date_paid

    now = replace(offer, made_at=timezone.now() + timedelta(seconds=1))
    assert pay(manager, now, pay_system_id=seed.ACME_PAY).state == State.PAID


def test_what_a_pay_system_reported_meanwhile_counts_as_paid(
    sandbox: Sandbox, alpha: Portal, manager: Person, offer: Offer
) -> None:
    alpha.payments[seed.PAYMENT].provider_data["psResponseDate"] = datetime.now(UTC)

    attempt = pay(manager, offer, pay_system_id=seed.ACME_PAY)

    assert_stopped(sandbox, attempt, reasons.PAID_BACK)


def test_what_the_orders_side_cannot_tell_the_deals_list_does(
    sandbox: Sandbox, alpha: Portal, manager: Person, offer: Offer
) -> None:
    sandbox.faults.add(Fault("operation_limit", method=stage.KEPT, times=None))
    alpha.payments[seed.PAYMENT].date_paid = datetime.now(UTC)

    attempt = pay(manager, offer, pay_system_id=seed.ACME_PAY)

    assert_stopped(sandbox, attempt, reasons.PAID_BACK)


@pytest.mark.parametrize("days", [-1, 1])
def test_a_date_before_the_page_or_in_the_future_is_nothing_that_happened_meanwhile(
    alpha: Portal, manager: Person, offer: Offer, days: int
) -> None:
    alpha.payments[seed.PAYMENT].date_paid = datetime.now(UTC) + timedelta(days=days)
    assert pay(manager, offer, pay_system_id=seed.ACME_PAY).state == State.PAID


@pytest.mark.parametrize(
    ("elsewhen", "after_the_page", "state"),
    [
        (200, -10, State.PAID),  # Later than the page by the portal's clock alone.
        (200, 10, State.REFUSED),
        (-200, -10, State.PAID),
        (-200, 10, State.REFUSED),  # Earlier than the page by the portal's clock alone.
    ],
    indirect=["elsewhen"],
)
def test_the_portals_dates_are_read_by_the_portals_clock(
    sandbox: Sandbox, alpha: Portal, elsewhen: Person, after_the_page: int, state: State
) -> None:
    offer = offered_before(elsewhen)
    ahead = timedelta(seconds=sandbox.world.now()) - timedelta(seconds=time.time())
    paid_at = offer.made_at + ahead + timedelta(seconds=after_the_page)
    alpha.payments[seed.PAYMENT].date_paid = paid_at

    assert pay(elsewhen, offer, pay_system_id=seed.ACME_PAY).state == state


def test_dates_that_our_own_refused_try_left_behind_prove_nothing(
    sandbox: Sandbox, alpha: Portal, manager: Person, offer: Offer
) -> None:
    alpha.payment_save_fails = True
    refused = pay(manager, offer, pay_system_id=seed.ACME_PAY)
    assert refused.reason == reasons.TRUE_WITHOUT_PAYMENT
    alpha.payment_save_fails = False
    alpha.payments[seed.PAYMENT].provider_data["psResponseDate"] = datetime.now(UTC)

    assert pay(manager, offer, pay_system_id=seed.ACME_PAY).state == State.PAID
    assert stage.sent_payments(sandbox) == 2


# The next page


def undone(who: Person) -> Attempt:
    return Attempt.objects.create(
        portal=who.portal,
        kind=Kind.UNDO,
        payment_id=seed.PAYMENT,
        account_number="163/1",
        pay_system_id=seed.ACME_PAY,
        bound_pay_system_id=seed.ACME_PAY,
        sum=1,
        currency="EUR",
        user_id=who.user_id,
        state=State.UNDONE,
        sent_at=timezone.now(),
        settled_at=timezone.now(),
    )


def sentences(who: Person, deal_id: int = seed.DEAL) -> list[str]:
    listing = stage.tab(who, deal_id)
    (line,) = status.lines(listing, who.portal)
    assert line.status.can_pay is not line.row.payment.paid
    return [str(sentence) for sentence in line.status.sentences]


def test_a_payment_that_never_was_paid_says_nothing_of_it(manager: Person) -> None:
    assert sentences(manager) == []


def test_a_paid_one_says_so_and_no_more(manager: Person) -> None:
    assert pay(manager, stage.offer_of(manager), pay_system_id=seed.ACME_PAY).state == State.PAID
    assert sentences(manager) == []


@pytest.mark.parametrize("known_by", ["portal", "ledger"])
def test_one_that_was_set_back_says_when_it_was_paid(
    alpha: Portal, manager: Person, known_by: str
) -> None:
    pay(manager, stage.offer_of(manager), pay_system_id=seed.ACME_PAY)
    set_back(manager)
    if known_by == "portal":
        Attempt.objects.all().delete()
    else:
        forget_dates(alpha)

    (sentence,) = sentences(manager)

    assert sentence.startswith("It was paid on ")
    assert sentence.endswith("has been set back to unpaid since.")


def test_one_that_was_undone_says_by_whom(sandbox: Sandbox, manager: Person) -> None:
    undone(manager)
    other = stage.person(sandbox, manager.portal, seed.ADMIN)

    (to_me,), (to_other,) = sentences(manager), sentences(other)

    assert to_me.endswith("by you.")
    assert to_other.endswith(f"by user {seed.MANAGER}.")


def test_what_was_paid_outside_the_app_after_it_was_undone_is_the_news(
    alpha: Portal, manager: Person
) -> None:
    then = timezone.now() - timedelta(days=2)
    Attempt.objects.filter(pk=undone(manager).pk).update(settled_at=then)
    alpha.payments[seed.PAYMENT].date_paid = datetime.now(UTC)

    (sentence,) = sentences(manager)
    assert sentence.startswith("It was paid on ")


def test_an_undone_payment_that_was_paid_again_counts_by_its_last_attempt(
    alpha: Portal, manager: Person
) -> None:
    undone(manager)
    assert pay(manager, stage.offer_of(manager), pay_system_id=seed.ACME_PAY).state == State.PAID
    set_back(manager)
    forget_dates(alpha)

    (sentence,) = sentences(manager)
    assert sentence.startswith("It was paid on ")


def test_all_rows_cost_one_look_into_the_ledger(manager: Person) -> None:
    undone(manager)
    with CaptureQueriesContext(connection) as queries:
        stage.main(manager)
    looks = [query for query in queries if query["sql"].startswith('SELECT "payments_attempt"')]
    of_payments = [query for query in looks if '"payment_id" IN' in query["sql"]]
    assert len(of_payments) == 1
    # And one for the pay systems that this person paid by last, also for all rows.
    assert len(looks) <= 2


# Clocks


@pytest.mark.parametrize("elsewhen", [NEARLY_TOO_FAR, 0, -NEARLY_TOO_FAR], indirect=True)
def test_clocks_within_five_minutes_are_allowed_for_and_kept(
    sandbox: Sandbox, elsewhen: Person
) -> None:
    attempt = pay(elsewhen, offered_before(elsewhen), pay_system_id=seed.ACME_PAY)

    assert attempt.state == State.PAID
    kept = Attempt.objects.get().evidence["clock"]
    assert isinstance(kept, int)
    assert kept == pytest.approx(sandbox.world.now() - time.time(), abs=1)


@pytest.mark.parametrize("elsewhen", [TOO_FAR, -TOO_FAR], indirect=True)
def test_clocks_further_apart_stop_it(sandbox: Sandbox, alpha: Portal, elsewhen: Person) -> None:
    attempt = pay(elsewhen, offered_before(elsewhen), pay_system_id=seed.ACME_PAY)

    assert_stopped(sandbox, attempt, reasons.CLOCK_SKEW)
    kept = Attempt.objects.get().evidence["clock"]
    assert kept == pytest.approx(sandbox.world.now() - time.time(), abs=1)
    assert alpha.payments[seed.PAYMENT].times_paid == 0


def test_clocks_are_compared_also_while_no_pair_serves_the_portal(
    sandbox: Sandbox, manager: Person, offer: Offer
) -> None:
    stage.lose_portal_token(manager.portal)
    sandbox.world.advance(TOO_FAR)
    assert_stopped(sandbox, pay(manager, offer, pay_system_id=seed.ACME_PAY), reasons.CLOCK_SKEW)


def test_a_portal_that_tells_no_time_is_paid_in_all_the_same(
    sandbox: Sandbox, manager: Person, offer: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_time = envelopes.with_time

    def without_time(*args: Any) -> dict[str, Any]:
        envelope = with_time(*args)
        del envelope["time"]
        return envelope

    monkeypatch.setattr(envelopes, "with_time", without_time)
    sandbox.world.advance(TOO_FAR)

    attempt = pay(manager, offer, pay_system_id=seed.ACME_PAY)

    assert attempt.state == State.PAID
    assert "clock" not in attempt.evidence
