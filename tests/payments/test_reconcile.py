"""`manage.py reconcile`: open attempts are settled by what the portal says, or handed over."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from b24app import models
from b24app.identity.session import Person
from b24app.rest import client
from payments import reasons
from payments.attempts import transitions
from payments.attempts.messages import messages_of
from payments.attempts.pay import pay
from payments.attempts.reconcile import (
    DELAY_HANDED_OVER,
    DELAYS,
    HAND_OVER_AFTER,
    LEASE,
    SILENCES_A_PORTAL,
    reconcile,
)
from payments.ledger import chain
from payments.models import STALE_CLAIM, Attempt, Kind, State
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.payments import stage
from tests.payments.unconfirmed import OVERDUE, lost_payment, overdue, silence

pytestmark = pytest.mark.django_db

SECOND = timedelta(seconds=1)
OTHERS = [(seed.SEVERAL_DEAL, seed.SEVERAL_PAYMENTS[0]), (seed.USD_DEAL, seed.USD_PAYMENT)]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "pause", lambda seconds: None)


def again(attempt: Attempt) -> Attempt:
    return Attempt.objects.get(pk=attempt.pk)


@pytest.mark.parametrize(
    ("when", "state", "reason"),
    [("after", State.PAID, ""), ("before", State.REFUSED, reasons.NOT_CARRIED_OUT)],
)
def test_what_was_left_open_is_settled_by_what_the_portal_says(
    sandbox: Sandbox, alpha: Portal, manager: Person, when: str, state: State, reason: str
) -> None:
    attempt = lost_payment(sandbox, manager, when=when)

    done = reconcile(now=overdue())

    settled = again(attempt)
    assert (settled.state, settled.reason, settled.due_at) == (state, reason, None)
    assert settled.settled_at is not None
    assert (done.looked_at, done.paid + done.refused) == (1, 1)
    assert [call.method for call in sandbox.log] == [stage.KEPT]
    assert sandbox.log[0].user_id == seed.ADMIN
    assert settled.evidence["answer"] == "none"
    assert settled.evidence["paid"] == ("Y" if alpha.payments[seed.PAYMENT].paid else "N")
    assert settled.evidence["askedBy"] == "portal"


def test_only_what_is_due_is_looked_at_and_that_costs_one_statement(
    sandbox: Sandbox, manager: Person
) -> None:
    attempt = lost_payment(sandbox, manager)
    assert attempt.sent_at is not None
    assert attempt.due_at == attempt.overdue_at

    with CaptureQueriesContext(connection) as queries:
        done = reconcile()

    assert done.looked_at == 0
    assert len(queries) == 1
    assert sandbox.log == []
    assert again(attempt).state == State.UNKNOWN


def test_what_is_due_is_found_by_an_index() -> None:
    """The index has open attempts only, so closed ones are never read."""
    due = Attempt.objects.filter(due_at__lte=timezone.now()).still_open().order_by("due_at", "pk")
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")
    plan = due.explain()
    assert "attempts_to_look_at" in plan or "one_open_attempt_a_payment" in plan


def test_what_is_settled_is_never_due(sandbox: Sandbox, manager: Person) -> None:
    paid = pay(manager, stage.offer_of(manager), pay_system_id=seed.ACME_PAY)
    refused = pay(manager, stage.offer_of(manager), pay_system_id=seed.ACME_PAY)
    assert (paid.state, refused.state) == (State.PAID, State.REFUSED)
    assert not Attempt.objects.exclude(due_at=None).exists()
    assert reconcile(now=timezone.now() + timedelta(days=9)).looked_at == 0


def test_a_claim_of_the_dead_is_given_up_and_one_of_the_living_is_not(
    sandbox: Sandbox, manager: Person
) -> None:
    attempt = lost_payment(sandbox, manager)
    claimed_at = timezone.now()
    Attempt.objects.update(
        state=State.PAYING, sent_at=None, created_at=claimed_at, due_at=claimed_at + STALE_CLAIM
    )
    assert reconcile(now=claimed_at + STALE_CLAIM).left_open == 1
    assert again(attempt).state == State.PAYING
    assert again(attempt).looks == 0

    done = reconcile(now=claimed_at + STALE_CLAIM + 2 * SECOND)

    assert (again(attempt).state, again(attempt).reason) == (State.REFUSED, reasons.ABANDONED)
    assert (done.given_up, again(attempt).due_at) == (1, None)
    assert sandbox.log == []


def test_a_new_claim_says_when_it_is_due(sandbox: Sandbox, manager: Person) -> None:
    due = []

    def look() -> None:
        attempt = Attempt.objects.get()
        due.append((attempt.due_at, attempt.created_at + STALE_CLAIM))

    # Made in this thread, after the claim and before anything is sent.
    sandbox.faults.add(Fault("delay", method="crm.item.payment.update", seconds=0, on_hit=look))
    pay(manager, stage.offer_of(manager), pay_system_id=seed.DEMO_CARD_PAY)
    assert due == [(due[0][1], due[0][1])]


def test_the_payers_own_token_serves_where_the_portals_does_not(
    sandbox: Sandbox, manager: Person
) -> None:
    attempt = lost_payment(sandbox, manager)
    stage.lose_portal_token(manager.portal)

    assert reconcile(now=overdue()).paid == 1

    assert [call.user_id for call in sandbox.log] == [seed.MANAGER]
    assert again(attempt).evidence["askedBy"] == "payer"


def test_a_broken_portal_token_does_not_stop_people(sandbox: Sandbox, manager: Person) -> None:
    lost_payment(sandbox, manager)
    stage.break_portal_token(sandbox, manager.portal)
    assert reconcile(now=overdue()).paid == 1


def test_where_orders_cannot_be_read_the_deal_shows_the_payment(
    sandbox: Sandbox, manager: Person
) -> None:
    attempt = lost_payment(sandbox, manager)
    sandbox.faults.add(Fault("html502", method=stage.KEPT, times=None))

    assert reconcile(now=overdue()).paid == 1

    assert again(attempt).evidence["readIn"] == "object"


@pytest.mark.parametrize("lists", [[], [stage.KEPT]], ids=["by the orders", "by no list"])
def test_only_the_orders_say_that_a_payment_is_gone(
    sandbox: Sandbox, alpha: Portal, manager: Person, lists: list[str]
) -> None:
    attempt = lost_payment(sandbox, manager, when="before")
    del alpha.payments[seed.PAYMENT]
    for method in lists:
        sandbox.faults.add(Fault("html502", method=method, times=None))

    reconcile(now=overdue())

    expected = (State.UNKNOWN, reasons.NO_ANSWER) if lists else (State.REFUSED, "payment_gone")
    assert (again(attempt).state, again(attempt).reason) == expected


def test_a_portal_without_a_serving_pair_does_not_delay_the_others(
    sandbox: Sandbox, beta: Portal, manager: Person
) -> None:
    elsewhere = stage.person(sandbox, stage.install(sandbox, beta), seed.MANAGER)
    stuck, other = lost_payment(sandbox, manager), lost_payment(sandbox, elsewhere)
    manager.portal.tokens.all().delete()

    done = reconcile(now=overdue())

    assert (done.paid, done.left_open, done.failed) == (1, 1, 0)
    assert again(other).state == State.PAID
    assert again(stuck).state == State.UNKNOWN
    assert again(stuck).looks == 1


def test_a_portal_that_removed_the_app_is_asked_nothing(sandbox: Sandbox, manager: Person) -> None:
    attempt = lost_payment(sandbox, manager)
    models.Portal.objects.update(uninstalled_at=timezone.now())
    assert reconcile(now=overdue()).left_open == 1
    assert sandbox.log == []
    assert again(attempt).state == State.UNKNOWN


@pytest.mark.parametrize("page", [2, 50])
def test_a_silent_portal_is_asked_a_few_times_only_and_others_are_settled(
    sandbox: Sandbox,
    alpha: Portal,
    beta: Portal,
    manager: Person,
    monkeypatch: pytest.MonkeyPatch,
    page: int,
) -> None:
    monkeypatch.setattr("payments.attempts.reconcile._PAGE", page)
    elsewhere = stage.person(sandbox, stage.install(sandbox, beta), seed.MANAGER)
    first = lost_payment(sandbox, manager)
    other = lost_payment(sandbox, elsewhere)
    for number in range(SILENCES_A_PORTAL + 3):
        first.pk, first.payment_id = None, 10_000 + number
        first.save(force_insert=True)
    Attempt.objects.filter(pk=other.pk).update(due_at=timezone.now() + SECOND)
    silence(sandbox, host=urlsplit(alpha.url).netloc)

    done = reconcile(now=overdue())

    assert (done.paid, done.left_open) == (1, SILENCES_A_PORTAL)
    assert Attempt.objects.filter(portal=manager.portal, looks=0).count() == 4


def test_one_that_cannot_be_settled_by_our_own_mistake_stops_no_other(
    sandbox: Sandbox, manager: Person
) -> None:
    broken = lost_payment(sandbox, manager)
    Attempt.objects.filter(pk=broken.pk).update(kind="unheard")
    others = [lost_payment(sandbox, manager, deal_id=d, payment_id=p) for d, p in OTHERS]

    done = reconcile(now=overdue())

    assert (done.failed, done.paid) == (1, len(others))
    assert again(broken).looks == 1
    assert reconcile(now=overdue() + HAND_OVER_AFTER).handed_over == 1


def test_looks_come_at_growing_bounded_distances(sandbox: Sandbox, manager: Person) -> None:
    attempt = lost_payment(sandbox, manager)
    silence(sandbox)
    now, distances = overdue(), []
    for looks in range(1, 12):
        reconcile(now=now)
        attempt = again(attempt)
        assert attempt.looks == looks
        assert attempt.due_at is not None
        distances.append(attempt.due_at - now)
        now = attempt.due_at
    assert distances[:3] == [DELAYS.first, 2 * DELAYS.first, 4 * DELAYS.first]
    assert distances[-1] == max(distances) == DELAYS.longest
    assert attempt.handed_over_at is None


def test_without_an_answer_it_is_handed_over_once_and_still_settles_itself(
    sandbox: Sandbox, manager: Person
) -> None:
    attempt = lost_payment(sandbox, manager)
    assert attempt.sent_at is not None
    silence(sandbox)
    late = attempt.sent_at + HAND_OVER_AFTER

    assert reconcile(now=late - SECOND).handed_over == 0
    assert reconcile(now=late + DELAYS.longest).handed_over == 1

    attempt = again(attempt)
    assert (attempt.state, attempt.handed_over_at) == (State.UNKNOWN, late + DELAYS.longest)
    assert attempt.evidence["looking"] == {"looks": 2, "failure": "OutcomeUnknown"}
    assert attempt.due_at == late + DELAYS.longest + DELAY_HANDED_OVER
    assert reconcile(now=attempt.due_at - SECOND).looked_at == 0
    assert reconcile(now=attempt.due_at).handed_over == 0
    sandbox.faults.clear()
    assert reconcile(now=attempt.due_at + DELAY_HANDED_OVER).paid == 1


def test_a_process_that_died_while_paying_leaves_an_open_attempt(
    sandbox: Sandbox, manager: Person
) -> None:
    attempt = lost_payment(sandbox, manager)
    Attempt.objects.update(state=State.PAYING, reason="")
    silence(sandbox)
    reconcile(now=overdue())
    assert (again(attempt).state, again(attempt).reason) == (State.UNKNOWN, reasons.NO_ANSWER)


def test_the_pass_ends_at_its_limit(sandbox: Sandbox, manager: Person) -> None:
    for deal_id, payment_id in OTHERS:
        lost_payment(sandbox, manager, deal_id=deal_id, payment_id=payment_id)
    assert reconcile(now=overdue(), limit=1).paid == 1
    assert reconcile(now=overdue(), limit=5).paid == 1


@pytest.mark.parametrize(
    ("by", "apart", "reason"),
    [
        (seed.MANAGER, timedelta(0), ""),
        (seed.ADMIN, timedelta(0), reasons.PAID_BY_OTHER),
        (None, timedelta(0), reasons.PAID_BY_OTHER),
        (seed.MANAGER, timedelta(seconds=-30), ""),
        (seed.MANAGER, timedelta(seconds=-90), reasons.PAID_EARLIER),
    ],
)
def test_who_paid_it_is_told_apart(
    sandbox: Sandbox,
    alpha: Portal,
    manager: Person,
    by: int | None,
    apart: timedelta,
    reason: str,
) -> None:
    attempt = lost_payment(sandbox, manager)
    assert attempt.sent_at is not None
    attempt.evidence.pop("clock", None)  # As where no answer tells the portal's time.
    attempt.save(update_fields=["evidence"])
    payment = alpha.payments[seed.PAYMENT]
    payment.emp_paid_id, payment.date_paid = by, attempt.sent_at + apart

    assert reconcile(now=overdue()).paid == 1

    settled = again(attempt)
    assert (settled.state, settled.reason) == (State.PAID, reason)
    assert settled.evidence["empPaidId"] == by
    assert len(messages_of(settled)) == (1 if reason else 0)


@pytest.mark.parametrize(
    ("ahead", "apart", "reason"),
    [
        (-300, -301, ""),
        (-300, -310, reasons.PAID_EARLIER),
        (0, -10, reasons.PAID_EARLIER),
        (300, 299, ""),
        (300, 10, reasons.PAID_EARLIER),
    ],
)
def test_a_known_clock_of_the_portal_is_reckoned_with(
    sandbox: Sandbox, alpha: Portal, manager: Person, ahead: int, apart: int, reason: str
) -> None:
    attempt = lost_payment(sandbox, manager)
    assert attempt.sent_at is not None
    attempt.evidence["clock"] = ahead
    attempt.save(update_fields=["evidence"])
    alpha.payments[seed.PAYMENT].date_paid = attempt.sent_at + timedelta(seconds=apart)
    reconcile(now=overdue())
    assert again(attempt).reason == reason


def test_paid_and_undone_meanwhile_is_not_called_never_carried_out(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    attempt = lost_payment(sandbox, manager)
    alpha.payments[seed.PAYMENT].paid = False
    reconcile(now=overdue())
    settled = again(attempt)
    assert (settled.state, settled.reason) == (State.REFUSED, reasons.UNPAID_SINCE)
    assert settled.evidence["paid"] == "N"
    assert settled.evidence["empPaidId"] == seed.MANAGER


def test_an_outcome_that_the_database_refuses_stops_no_other(
    sandbox: Sandbox, manager: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is due again when its lease ends."""
    refused = lost_payment(sandbox, manager)
    others = [lost_payment(sandbox, manager, deal_id=d, payment_id=p) for d, p in OTHERS]
    record = chain.record

    def fail_for_one(*args: Any, attempt: Attempt, **more: Any) -> None:
        if attempt.pk == refused.pk:
            raise DatabaseError("disk full")
        record(*args, attempt=attempt, **more)

    now = overdue()
    with monkeypatch.context() as patched:
        patched.setattr(chain, "record", fail_for_one)
        # The test's transaction would end with its connection.
        patched.setattr(connection, "close_if_unusable_or_obsolete", lambda: None)
        done = reconcile(now=now)
    assert (done.failed, done.paid) == (1, len(others))
    assert (again(refused).state, again(refused).due_at) == (State.UNKNOWN, now + LEASE)
    assert reconcile(now=now + LEASE).paid == 1


def test_an_outcome_and_its_entry_in_the_ledger_are_written_together(
    sandbox: Sandbox, manager: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **more: object) -> None:
        raise RuntimeError("no entry")

    attempt = lost_payment(sandbox, manager)
    with monkeypatch.context() as patched:
        patched.setattr(chain, "record", fail)
        assert reconcile(now=overdue()).failed == 1
        assert (again(attempt).state, again(attempt).looks) == (State.UNKNOWN, 1)
        silence(sandbox)
        reconcile(now=overdue() + HAND_OVER_AFTER)
        assert again(attempt).handed_over_at is None
        with pytest.raises(RuntimeError):
            transitions.close(again(attempt), State.PAID, evidence={})
    assert again(attempt).state == State.UNKNOWN
    sandbox.faults.clear()
    reconcile(now=overdue() + 2 * HAND_OVER_AFTER)
    assert again(attempt).state == State.PAID


def test_a_claim_that_could_not_be_given_up_is_given_up_later(
    sandbox: Sandbox, manager: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **more: object) -> None:
        raise RuntimeError("no entry")

    attempt = lost_payment(sandbox, manager)
    Attempt.objects.update(state=State.PAYING, sent_at=None)
    tomorrow = timezone.now() + HAND_OVER_AFTER + STALE_CLAIM
    with monkeypatch.context() as patched:
        patched.setattr(chain, "record", fail)
        assert reconcile(now=tomorrow).failed == 1
    assert again(attempt).state == State.PAYING
    assert again(attempt).handed_over_at is None

    assert reconcile(now=tomorrow + DELAYS.first).given_up == 1


def said_by(*options: str) -> str:
    said = io.StringIO()
    call_command("reconcile", *options, stdout=said)
    return said.getvalue()


def test_the_command_says_in_one_sentence_what_it_did(sandbox: Sandbox, manager: Person) -> None:
    assert said_by().count("\n") == 1
    lost_payment(sandbox, manager)
    Attempt.objects.update(
        sent_at=timezone.now() - OVERDUE, due_at=timezone.now() - SECOND, kind=Kind.PAY
    )
    assert said_by("--limit", "5").startswith("Attempts looked at: 1; paid 1, undone 0, refused 0")


def test_the_command_takes_a_portals_silence_for_no_failure(
    sandbox: Sandbox, manager: Person
) -> None:
    lost_payment(sandbox, manager)
    Attempt.objects.update(sent_at=timezone.now() - OVERDUE, due_at=timezone.now() - SECOND)
    silence(sandbox)
    assert "still open 1" in said_by()


def test_the_command_fails_where_all_did(sandbox: Sandbox, manager: Person) -> None:
    lost_payment(sandbox, manager)
    Attempt.objects.update(
        sent_at=timezone.now() - OVERDUE, due_at=timezone.now() - SECOND, kind="unheard"
    )
    with pytest.raises(CommandError, match="None of them"):
        said_by()


@pytest.mark.parametrize("limit", ["0", "-1", "x"])
def test_the_command_takes_no_nonsense(limit: str) -> None:
    with pytest.raises(CommandError):
        said_by(f"--limit={limit}")


def test_the_command_fails_without_a_database(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "DATABASE_URL": f"sqlite:///{tmp_path}/missing/database",
        "DJANGO_SETTINGS_MODULE": "tests.settings",
    }
    ended = subprocess.run(
        [sys.executable, "manage.py", "reconcile"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path(__file__).resolve().parents[2],
        check=False,
    )
    assert ended.returncode == 1
    assert "database" in ended.stderr
