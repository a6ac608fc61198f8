"""Changes between the page and Pay, found before anything is sent."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from b24app.identity.session import Person
from payments import reasons
from payments.listing import status
from payments.models import Attempt, Entry, Kind, State
from payments.offer import Offer
from sandbox.api import envelopes
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.payments import attempts, stage
from tests.payments.pressing import press, refusal

pytestmark = pytest.mark.django_db

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
    who.client.write("crm.item.payment.unpay", {"id": seed.PAYMENT})


def undone(who: Person, *, at: datetime | None = None) -> Attempt:
    at = at or timezone.now()
    return attempts.keep(
        who.portal,
        kind=Kind.UNDO,
        state=State.UNDONE,
        user_id=who.user_id,
        created_at=at,
        settled_at=at,
    )


# What changes between the page and Pay


def payment(**values: Any) -> Callable[[Portal], None]:
    return lambda alpha: vars(alpha.payments[seed.PAYMENT]).update(values)


def order(**values: Any) -> Callable[[Portal], None]:
    return lambda alpha: vars(alpha.orders[seed.ORDER]).update(values)


def system(**values: Any) -> Callable[[Portal], None]:
    return lambda alpha: vars(alpha.pay_systems[seed.ACME_PAY]).update(values)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (payment(paid=True, emp_paid_id=seed.ADMIN), reasons.ALREADY_PAID),
        (payment(sum=Decimal(0)), reasons.SUM_ZERO),
        (payment(sum=Decimal("-0.0")), reasons.SUM_ZERO),
        (payment(sum=Decimal("-12.50")), reasons.SUM_ZERO),
        (payment(sum=Decimal("12500.01")), reasons.SUM_CHANGED),
        (payment(currency="USD"), reasons.CURRENCY_CHANGED),
        (payment(pay_system_id=seed.CASH), reasons.PAY_SYSTEM_CHANGED),
        (payment(order_id=seed.INVOICE_ORDER), reasons.PAYMENT_GONE),
        (lambda alpha: alpha.payments.pop(seed.PAYMENT), reasons.PAYMENT_GONE),
        (order(canceled=True), reasons.ORDER_CANCELED),
        (system(active=False), reasons.PAY_SYSTEM_INACTIVE),
        (system(registry="CRM_INVOICE"), reasons.PAY_SYSTEM_OF_INVOICES),
        (system(action_file="cash"), reasons.PAY_SYSTEM_BUILT_IN),
        (system(action_file="billde"), reasons.PAY_SYSTEM_BUILT_IN),
        (system(action_file="paypal"), reasons.PAY_SYSTEM_BUILT_IN),
        (lambda alpha: alpha.handlers.clear(), reasons.PAY_SYSTEM_BUILT_IN),
        (lambda alpha: alpha.pay_systems.pop(seed.ACME_PAY), reasons.PAY_SYSTEM_GONE),
    ],
)
def test_a_change_since_the_page_was_opened_stops_it(
    sandbox: Sandbox,
    alpha: Portal,
    manager: Person,
    offer: Offer,
    change: Callable[[Portal], object],
    reason: str,
) -> None:
    changed = alpha.payments[seed.PAYMENT]
    change(alpha)
    assert refusal(sandbox, manager, offer) == reason
    assert changed.times_paid == 0
    stored = Attempt.objects.get()
    assert (stored.state, stored.reason) == (State.REFUSED, reason)
    assert stored.sum.is_signed() is (stored.sum < 0)
    assert not Entry.objects.get().facts["sum"].startswith("-0.0")


# Set back to unpaid meanwhile


def test_a_payment_paid_by_the_app_and_set_back_needs_a_new_page(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    offer = stage.offer_of(manager)
    assert press(manager, offer).state == State.PAID
    set_back(manager)
    stage.forget_dates(alpha)  # Only the app's own records know.
    assert refusal(sandbox, manager, offer) == reasons.PAID_BACK
    assert not alpha.payments[seed.PAYMENT].paid
    # A refusal by a check does not refuse the next page, which was opened after it.
    assert press(manager).state == State.PAID
    assert stage.sent_payments(sandbox) == 2


def test_what_was_undone_through_the_app_needs_a_new_page(
    sandbox: Sandbox, manager: Person
) -> None:
    offer = stage.offer_of(manager)
    undone(manager)
    assert refusal(sandbox, manager, offer) == reasons.PAID_BACK
    assert press(manager).state == State.PAID


@pytest.mark.parametrize("method", ["crm.item.payment.pay", stage.PAY])
def test_what_was_paid_outside_the_app_and_set_back_needs_a_new_page(
    sandbox: Sandbox, alpha: Portal, manager: Person, offer: Offer, method: str
) -> None:
    ids = {"id": seed.PAYMENT, "PAYMENT_ID": seed.PAYMENT, "PAY_SYSTEM_ID": seed.ACME_PAY}
    manager.client.write(method, ids)
    set_back(manager)
    assert refusal(sandbox, manager, offer) == reasons.PAID_BACK
    date_paid = alpha.payments[seed.PAYMENT].date_paid
    assert date_paid is not None
    evidence = Attempt.objects.get().evidence
    assert datetime.fromisoformat(evidence["paidBefore"]) == date_paid
    now = replace(offer, made_at=timezone.now() + timedelta(seconds=1))
    assert press(manager, now).state == State.PAID


@pytest.mark.parametrize("where", ["provider", "deal"])
def test_a_date_that_only_one_side_tells_counts_as_paid(
    sandbox: Sandbox, alpha: Portal, manager: Person, offer: Offer, where: str
) -> None:
    """A pay system's own date is in the orders; where these are not read, the deal's list tells."""
    changed = alpha.payments[seed.PAYMENT]
    if where == "provider":
        changed.provider_data["psResponseDate"] = datetime.now(UTC)
    else:
        blocked = {"error": "OPERATION_TIME_LIMIT", "error_description": "Method is blocked."}
        fault = Fault("alter", method=stage.KEPT, alter=lambda envelope: blocked, times=None)
        sandbox.faults.add(fault)
        changed.date_paid = datetime.now(UTC)
    assert refusal(sandbox, manager, offer) == reasons.PAID_BACK


@pytest.mark.parametrize("days", [-1, 1])
def test_a_date_before_the_page_or_in_the_future_is_nothing_that_happened_meanwhile(
    alpha: Portal, manager: Person, offer: Offer, days: int
) -> None:
    alpha.payments[seed.PAYMENT].date_paid = datetime.now(UTC) + timedelta(days=days)
    assert press(manager, offer).state == State.PAID


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
    assert press(elsewhen, offer).state == state


def test_dates_that_our_own_refused_try_left_behind_prove_nothing(
    sandbox: Sandbox, alpha: Portal, manager: Person, offer: Offer
) -> None:
    alpha.payment_save_fails = True
    assert press(manager, offer).reason == reasons.TRUE_WITHOUT_PAYMENT
    alpha.payment_save_fails = False
    alpha.payments[seed.PAYMENT].provider_data["psResponseDate"] = datetime.now(UTC)
    assert press(manager, offer).state == State.PAID
    assert stage.sent_payments(sandbox) == 2


# The next page


def sentences(who: Person) -> list[str]:
    listing = stage.tab(who, seed.DEAL)
    (line,) = status.lines(listing, who.portal)
    assert line.status.can_pay is not line.row.payment.paid
    return [str(sentence) for sentence in line.status.sentences]


def test_one_that_never_was_set_back_says_nothing_of_it(manager: Person) -> None:
    assert sentences(manager) == []
    assert press(manager).state == State.PAID
    assert sentences(manager) == []


@pytest.mark.parametrize("known_by", ["portal", "ledger", "ledger, undone before"])
def test_one_that_was_set_back_says_when_it_was_paid(
    alpha: Portal, manager: Person, known_by: str
) -> None:
    if known_by == "ledger, undone before":
        undone(manager)
    assert press(manager).state == State.PAID
    set_back(manager)
    if known_by == "portal":
        Attempt.objects.all().delete()
    else:
        stage.forget_dates(alpha)
    (sentence,) = sentences(manager)
    assert sentence.startswith("It was paid on ")
    assert sentence.endswith("has been set back to unpaid since.")


def test_one_that_was_undone_says_by_whom(manager: Person, admin: Person) -> None:
    undone(manager)
    (to_me,), (to_other,) = sentences(manager), sentences(admin)
    assert to_me.endswith("by you.")
    assert to_other.endswith(f"by user {seed.MANAGER}.")


def test_what_was_paid_outside_the_app_after_it_was_undone_is_the_news(
    alpha: Portal, manager: Person
) -> None:
    undone(manager, at=timezone.now() - timedelta(days=2))
    alpha.payments[seed.PAYMENT].date_paid = datetime.now(UTC)
    (sentence,) = sentences(manager)
    assert sentence.startswith("It was paid on ")


def test_all_rows_cost_one_look_into_the_ledger(manager: Person) -> None:
    undone(manager)
    with CaptureQueriesContext(connection) as queries:
        stage.main(manager)
    looks = [query for query in queries if query["sql"].startswith('SELECT "payments_attempt"')]
    assert sum('"payment_id" IN' in query["sql"] for query in looks) == 1
    # And one for the pay systems that this person paid by last, also for all rows.
    assert len(looks) <= 2


# Clocks


@pytest.mark.parametrize(
    ("elsewhen", "reason"),
    [
        (NEARLY_TOO_FAR, ""),
        (0, ""),
        (-NEARLY_TOO_FAR, ""),
        (TOO_FAR, reasons.CLOCK_SKEW),
        (-TOO_FAR, reasons.CLOCK_SKEW),
    ],
    indirect=["elsewhen"],
)
def test_clocks_more_than_five_minutes_apart_stop_it(
    sandbox: Sandbox, alpha: Portal, elsewhen: Person, reason: str
) -> None:
    attempt = press(elsewhen, offered_before(elsewhen))
    assert (attempt.state, attempt.reason) == (State.REFUSED if reason else State.PAID, reason)
    assert alpha.payments[seed.PAYMENT].times_paid == stage.sent_payments(sandbox) == (not reason)
    kept = Attempt.objects.get().evidence["clock"]
    assert isinstance(kept, int)
    assert kept == pytest.approx(sandbox.world.now() - time.time(), abs=2)


def test_clocks_are_compared_also_while_no_pair_serves_the_portal(
    sandbox: Sandbox, manager: Person, offer: Offer
) -> None:
    stage.lose_portal_token(manager.portal)
    sandbox.world.advance(TOO_FAR)
    assert refusal(sandbox, manager, offer) == reasons.CLOCK_SKEW


def test_a_portal_that_tells_no_time_is_paid_in_all_the_same(
    sandbox: Sandbox, manager: Person, offer: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_time = envelopes.with_time

    def without_time(*args: Any, **build: Any) -> dict[str, Any]:
        envelope = with_time(*args, **build)
        del envelope["time"]
        return envelope

    monkeypatch.setattr(envelopes, "with_time", without_time)
    sandbox.world.advance(TOO_FAR)
    attempt = press(manager, offer)
    assert attempt.state == State.PAID
    assert "clock" not in attempt.evidence
