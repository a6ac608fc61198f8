"""What a removal of the app leaves of payments: all in the grace time, and a trace after it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from b24app import models
from b24app.errors import Missing
from b24app.events import queue
from b24app.identity.session import Person
from b24app.signals import pruning
from payments import reasons, timeline
from payments.approvals.requests import ask
from payments.attempts import close, transitions
from payments.attempts.messages import after_trying
from payments.attempts.pay import check, pay
from payments.attempts.reconcile import reconcile
from payments.bulk import runs as running
from payments.bulk.forms import KINDS_OF_A_RUN
from payments.bulk.step import step
from payments.ledger import chain
from payments.models import Approval, Attempt, Comment, Entry, Erasure, Kind, Policy, Run, State
from payments.policy import rules
from sandbox.api.faults import AFTER, BEFORE, Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.b24app.portal_posts import install
from tests.b24app.removals import GRACE, deliver, forged_event, is_removed, later, prune, remove
from tests.payments import attempts, ledgers, runs, stage
from tests.payments.apart import untouched
from tests.payments.frames import Frame, offer_in

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)
Leave = Callable[..., None]
DATA: tuple[Any, ...] = (Attempt, Entry, Approval, Policy, Comment, Run)


@pytest.fixture
def portal(client: Client, sandbox: Sandbox, alpha: Portal) -> models.Portal:
    return install(client, sandbox, alpha)


@pytest.fixture
def leave(client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal) -> Leave:
    """Removes the app from Alpha; work that is due so long after it is done then."""

    def remove_app(*, clean: bool, after: timedelta = GRACE + MINUTE) -> None:
        remove(client, sandbox, alpha, clean=clean)
        with later(after):
            prune()

    return remove_app


def with_data(sandbox: Sandbox, manager: Person) -> Attempt:
    """A row in every table: a payment that is paid, one that is not confirmed, rules, a request
    for an approval, a comment that is owed, and a run. Returns the payment that is in doubt."""
    pay(manager, stage.offer_of(manager), pay_system_id=seed.ACME_PAY)
    sandbox.faults.add(Fault("drop", method=stage.PAY))
    offer = stage.offer_of(manager, deal_id=seed.USD_DEAL, payment_id=seed.USD_PAYMENT)
    in_doubt = pay(manager, offer, pay_system_id=offer.pay_system_id)
    assert in_doubt.is_open
    portal = manager.portal
    paid = Attempt.objects.get(portal=portal, state=State.PAID)
    Comment.objects.create(attempt=paid, due_at=in_doubt.due_at)
    Run.objects.create(portal=portal, user_id=seed.MANAGER)
    stage.set_rules(portal, limits={"EUR": "10"})
    offer = stage.offer_of(manager, deal_id=seed.SEVERAL_DEAL, payment_id=seed.SEVERAL_PAYMENTS[0])
    ask(manager, offer, pay_system_id=seed.ACME_PAY, pay_system_name="Acme Pay")
    Approval.objects.update(note="Ask Acme")
    assert all(table.objects.exists() for table in DATA)
    return in_doubt


def data() -> dict[str, list[dict[str, Any]]]:
    return {table.__name__: list(table.objects.order_by("pk").values()) for table in DATA}


def test_an_employee_who_posts_a_removal_erases_nothing(
    frame: Frame, alpha: Portal, portal: models.Portal
) -> None:
    """Pay, then erase the proof: with the token that the frame's own browser shows."""
    offer = offer_in(frame.tab())
    frame.send("/payments/pay/", offer=offer, pay_system_id=seed.ACME_PAY)
    before = data()
    assert deliver(Client(), forged_event(alpha)).status_code == 200
    for delay in (timedelta(), timedelta(days=1), GRACE, 2 * GRACE):
        with later(delay):
            queue.work()
            prune()
    assert not is_removed(alpha)
    assert data() == before
    assert before["Entry"]
    assert ledgers.findings(portal) == []
    assert "163/1" in frame.tab()


@pytest.mark.parametrize("clean", [True, False])
def test_an_installation_in_the_grace_time_takes_everything_up_again(
    client: Client, sandbox: Sandbox, alpha: Portal, manager: Person, leave: Leave, clean: bool
) -> None:
    in_doubt = with_data(sandbox, manager)
    before = data()
    leave(clean=clean, after=GRACE - MINUTE)
    with later(GRACE - MINUTE):
        timeline.post_due()
        assert data() == before
        back = install(client, sandbox, alpha)
        assert back.pk == manager.portal.pk
        assert data() == before
        again = stage.person(sandbox, back, seed.MANAGER)
        assert rules.policy_of(back).limits == {"EUR": "10"}
        offer = stage.offer_of(again, deal_id=seed.USD_DEAL, payment_id=seed.USD_PAYMENT)
        sent = stage.sent_payments(sandbox)
        settled = check(again, offer)
        assert settled is not None
        assert (settled.pk, settled.is_open) == (in_doubt.pk, False)
        assert stage.sent_payments(sandbox) == sent
        assert ledgers.findings(back) == []
    with later(3 * GRACE):
        prune()
    assert Attempt.objects.count() == len(before["Attempt"])
    assert not Erasure.objects.exists()


def test_an_attempt_in_doubt_is_settled_by_cron_after_the_portal_is_back(
    client: Client, sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    in_doubt = with_data(sandbox, manager)
    remove(client, sandbox, alpha, clean=True)
    for days, is_back in ((2, False), (4, True)):
        with later(timedelta(days=days)):
            if is_back:
                install(client, sandbox, alpha)
            reconcile()
            in_doubt.refresh_from_db()
        assert in_doubt.is_open is not is_back


def test_after_the_grace_time_all_is_erased_where_that_was_asked_for(
    client: Client,
    sandbox: Sandbox,
    beta: Portal,
    manager: Person,
    leave: Leave,
    caplog: pytest.LogCaptureFixture,
) -> None:
    other = stage.person(sandbox, install(client, sandbox, beta), seed.MANAGER)
    runs.worked(other, runs.started(other, seed.PAYMENT))
    with_data(sandbox, manager)
    own = Attempt.objects.filter(portal=manager.portal)
    own.filter(state=State.UNKNOWN).update(state=State.REFUSED, due_at=None)
    count, entries = own.count(), ledgers.entries(manager.portal)
    # A claim that was never sent holds up no erasure.
    attempts.keep(manager.portal, payment_id=9, state=State.PAYING, sent_at=None, settled_at=None)
    with caplog.at_level(logging.INFO, "payments"), untouched(other.portal):
        leave(clean=True)
    for table in (Attempt, Entry, Approval, Policy, Run):
        assert not table.objects.filter(portal=manager.portal).exists(), table
    assert not Comment.objects.exclude(attempt__portal=other.portal).exists()
    row, last = Erasure.objects.get(), entries[-1]
    assert (row.member_id, row.what) == (seed.ALPHA, Erasure.What.ALL)
    assert (row.attempts, row.open_attempts, row.entries) == (count + 1, 0, len(entries))
    assert (row.last_number, row.last_hash) == (last.number, last.hash)
    assert row.removed_at is not None
    assert f"{last.number}:{last.hash}" in caplog.text


def test_after_the_grace_time_ids_and_sums_stay_where_the_data_were_not_to_go(
    sandbox: Sandbox, manager: Person, leave: Leave, settings: Settings
) -> None:
    with_data(sandbox, manager)
    kept = list(Attempt.objects.values("pk", "sum", "state"))
    leave(clean=False)
    with later(GRACE + MINUTE):
        prune()
    assert list(Attempt.objects.values("pk", "sum", "state")) == kept
    assert "Acme" not in str(data())
    assert ledgers.entries(manager.portal)[-1].event == "texts_erased"
    assert set(Comment.objects.values_list("due_at", "given_up")) == {(None, True)}
    assert not Run.objects.exists()
    assert ledgers.findings(manager.portal) == []
    row = Erasure.objects.get()
    assert row.what == Erasure.What.TEXTS
    assert (row.attempts, row.open_attempts) == (2, 1)
    with later(timedelta(days=settings.B24_LEDGER_RETENTION_DAYS, minutes=1)):
        prune()
    assert not Attempt.objects.exists()
    assert [each.what for each in Erasure.objects.order_by("pk")] == ["texts", "all"]


def test_money_under_way_is_kept_with_ids_and_sums_also_after_a_clean_removal(
    sandbox: Sandbox, manager: Person, leave: Leave
) -> None:
    in_doubt = with_data(sandbox, manager)
    leave(clean=True)
    kept = Attempt.objects.get(pk=in_doubt.pk)
    assert (kept.sum, kept.is_open) == (in_doubt.sum, True)
    assert ledgers.findings(manager.portal) == []
    assert Erasure.objects.get().open_attempts == 1


def test_an_erasure_that_fails_leaves_all_and_stops_no_other(
    client: Client,
    sandbox: Sandbox,
    beta: Portal,
    portal: models.Portal,
    leave: Leave,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = install(client, sandbox, beta)
    for row in (portal, other):
        ledgers.paid(row, 1)
    leave(clean=True, after=timedelta())
    remove(client, sandbox, beta, clean=True)
    forget = Approval.objects.filter

    def fail_for_alpha(**values: Any) -> Any:
        if values.get("portal") == portal:
            raise RuntimeError("the disk is full")
        return forget(**values)

    with later(GRACE + MINUTE), monkeypatch.context() as broken:
        broken.setattr(Approval.objects, "filter", fail_for_alpha)
        failures = [
            each for _, each in pruning.send_robust(sender=None) if isinstance(each, Exception)
        ]
        assert "1 portals were not erased" in str(failures)
    assert Attempt.objects.get().portal == portal
    assert Entry.objects.get().portal == portal
    assert Erasure.objects.get().member_id == seed.BETA
    with later(GRACE + MINUTE):
        prune()
    assert not Attempt.objects.exists()


def test_the_grace_time_also_bounds_how_early_the_retention_may_end(
    portal: models.Portal, leave: Leave, settings: Settings
) -> None:
    settings.B24_LEDGER_RETENTION_DAYS = 0
    ledgers.paid(portal, 1)
    leave(clean=False, after=GRACE - MINUTE)
    assert Attempt.objects.exists()


# ---- a payment on its way meanwhile


@pytest.mark.parametrize("when", [BEFORE, AFTER])
def test_a_removal_while_a_payment_is_on_its_way_loses_nothing(
    frame: Frame, sandbox: Sandbox, alpha: Portal, leave: Leave, when: str
) -> None:
    offer = offer_in(frame.tab())
    stage.during(sandbox, stage.PAY, lambda: leave(clean=True, after=2 * GRACE), when=when)
    html = frame.send("/payments/pay/", offer=offer, pay_system_id=seed.ACME_PAY)
    attempt = Attempt.objects.get()
    assert attempt.sent_at is not None
    assert f'data-state="{attempt.state}"' in html
    assert attempt.is_open
    assert alpha.payments[seed.PAYMENT].times_paid == (when == AFTER)
    assert ledgers.findings(attempt.portal) == []


def erase() -> None:
    """Deletes the rows, as no part of the app does while a payment is in work."""
    Comment.objects.all().delete()
    Attempt.objects.all().delete()


@pytest.mark.parametrize(
    ("method", "when", "state", "paid"),
    [
        (stage.READ_BACK, BEFORE, "refused", 0),
        (stage.PAY, BEFORE, "paid", 1),
        (stage.PAY, AFTER, "paid", 1),
    ],
)
def test_a_row_that_is_gone_is_an_outcome_in_words_and_a_line_in_the_log(
    frame: Frame,
    sandbox: Sandbox,
    alpha: Portal,
    caplog: pytest.LogCaptureFixture,
    method: str,
    when: str,
    state: str,
    paid: int,
) -> None:
    offer = offer_in(frame.tab())
    stage.during(sandbox, method, erase, when=when)
    with caplog.at_level(logging.ERROR, "payments"):
        html = frame.send("/payments/pay/", offer=offer, pay_system_id=seed.ACME_PAY)
    assert f'data-state="{state}"' in html
    assert alpha.payments[seed.PAYMENT].times_paid == paid
    assert not Attempt.objects.exists()
    line = " ".join(record.getMessage() for record in caplog.records)
    for part in (seed.ALPHA, f"payment {seed.PAYMENT} of order", "12500.0000 EUR", "user 3"):
        assert part in line
    if not paid:
        assert "Nothing was paid. The app was removed from this Bitrix24 meanwhile." in html


def test_giving_up_what_is_gone_already_raises_nothing(portal: models.Portal) -> None:
    attempt = attempts.keep(portal, state=State.PAYING, sent_at=None, settled_at=None)
    erase()
    assert transitions.give_up(attempt).reason == reasons.ABANDONED


def test_closing_a_gone_attempt_is_told(
    sandbox: Sandbox, portal: models.Portal, manager: Person
) -> None:
    attempt = attempts.handed_over(portal)
    chain.record(portal, "unknown", actor_id=3, attempt=attempt)
    sandbox.faults.add(Fault("status500", times=None, on_hit=erase))
    with pytest.raises(Missing):
        close.close_by_hand(attempt, by=manager, note="the bank says so")


@pytest.mark.parametrize(
    "change",
    [
        lambda person, run: running.pause(run),
        lambda person, run: running.resume(run),
        lambda person, run: running.stop(run),
        lambda person, run: running.start(run, KINDS_OF_A_RUN),
        step,
    ],
)
def test_a_run_that_is_gone_is_told(manager: Person, change: Callable[..., object]) -> None:
    run = runs.started(manager, seed.PAYMENT)
    Run.objects.all().delete()
    with pytest.raises(running.RunErased) as told:
        change(manager, run)
    assert told.value.status == 404


@pytest.mark.parametrize("when", [BEFORE, AFTER])
def test_a_run_that_vanishes_in_a_step_keeps_its_payment(
    manager: Person, sandbox: Sandbox, alpha: Portal, when: str
) -> None:
    run = runs.started(manager, seed.PAYMENT)
    stage.during(sandbox, stage.PAY, Run.objects.all().delete, when=when)
    with pytest.raises(running.RunErased):
        step(manager, run)
    assert alpha.payments[seed.PAYMENT].times_paid == 1
    assert Attempt.objects.get().state == State.PAID
    assert ledgers.findings(manager.portal) == []


@pytest.mark.parametrize("kind", list(Kind))
def test_a_removal_that_stopped_an_attempt_is_told_for_every_kind(kind: Kind) -> None:
    assert "Nothing was" in str(after_trying(reasons.APP_REMOVED, kind=kind))
