"""The claim of a payment: held by one, released when abandoned, closed with its ledger entry."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from django.db import IntegrityError
from django.utils import timezone

from b24app.errors import B24Error
from b24app.identity.session import Person
from payments import reasons
from payments.attempts import transitions
from payments.attempts.pay import check
from payments.ledger import chain, hashing
from payments.models import STALE_CLAIM, Attempt, Entry, Kind, State
from payments.offer import Offer
from sandbox.server.app import Sandbox
from sandbox.world import seed
from tests.payments import stage
from tests.payments.pressing import press

pytestmark = pytest.mark.django_db

STALE = STALE_CLAIM + timedelta(seconds=1)


@pytest.fixture
def offer(manager: Person) -> Offer:
    return stage.offer_of(manager)


def claimed(offer: Offer, manager: Person, *, ago: timedelta = timedelta()) -> Attempt:
    attempt, _ = transitions.claim(manager, offer, kind=Kind.PAY, pay_system_id=seed.ACME_PAY)
    Attempt.objects.filter(pk=attempt.pk).update(created_at=timezone.now() - ago)
    return attempt


def test_an_abandoned_claim_is_released_by_checking(
    sandbox: Sandbox, manager: Person, offer: Offer
) -> None:
    claimed(offer, manager, ago=STALE)
    with stage.no_request(sandbox):
        settled = check(manager, offer)
    assert settled is not None
    assert (settled.state, settled.reason) == (State.REFUSED, reasons.ABANDONED)


def test_an_abandoned_claim_is_taken_over_by_paying(manager: Person, offer: Offer) -> None:
    stale = claimed(offer, manager, ago=STALE)
    assert press(manager, offer).state == State.PAID
    stale.refresh_from_db()
    assert (stale.state, stale.reason) == (State.REFUSED, reasons.ABANDONED)


def test_a_young_claim_is_joined(sandbox: Sandbox, manager: Person, offer: Offer) -> None:
    young = claimed(offer, manager)
    assert press(manager, offer) == check(manager, offer) == young
    assert stage.sent_payments(sandbox) == 0


def test_a_claim_that_was_given_up_sends_nothing(
    sandbox: Sandbox, manager: Person, offer: Offer
) -> None:
    def give_up() -> None:
        Attempt.objects.update(state=State.REFUSED, reason=reasons.ABANDONED)

    # The change of the pay system is made in this thread, after the claim.
    stage.during(sandbox, "crm.item.payment.update", give_up)
    assert press(manager, offer, seed.DEMO_CARD_PAY).reason == reasons.ABANDONED
    assert stage.sent_payments(sandbox) == 0


def test_a_claim_that_cannot_be_made_asks_bitrix24_nothing(
    sandbox: Sandbox, manager: Person, offer: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each round finds the attempt in the way, and then finds it closed."""

    def in_the_way(self: Attempt, **_: object) -> None:
        raise IntegrityError

    monkeypatch.setattr(Attempt, "save", in_the_way)
    with stage.no_request(sandbox), pytest.raises(B24Error, match="again and again"):
        press(manager, offer)
    assert not Attempt.objects.exists()


def test_an_attempt_in_the_way_that_is_closed_by_then_is_no_reason_to_stop(
    manager: Person, offer: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = Attempt.save
    tries: list[Attempt] = []

    def second_time(self: Attempt, **named: Any) -> None:
        tries.append(self)
        if len(tries) == 1:
            raise IntegrityError
        save(self, **named)

    monkeypatch.setattr(Attempt, "save", second_time)
    assert press(manager, offer).state == State.PAID
    assert Attempt.objects.count() == 1


def test_a_claim_that_another_process_released_is_read_again(manager: Person, offer: Offer) -> None:
    attempt = claimed(offer, manager)
    stale = Attempt.objects.get(pk=attempt.pk)
    transitions.give_up(attempt)
    transitions.give_up(stale)
    assert (stale.state, stale.reason) == (State.REFUSED, reasons.ABANDONED)
    assert Entry.objects.filter(attempt_id=attempt.pk).count() == 1


def test_no_outcome_is_kept_without_its_entry(
    manager: Person, offer: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other writers of the portal came first in every round."""
    attempt = claimed(offer, manager)
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
