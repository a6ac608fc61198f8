"""Each kind of change to a ledger is found."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from b24app import models
from b24app.signals import portal_uninstalled
from payments import reasons
from payments.approvals.requests import approve, ask
from payments.attempts.pay import pay
from payments.attempts.undo import undo
from payments.ledger import chain, hashing, retention
from payments.models import Attempt, Entry, Run, RunState, State
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.payments import ledgers, runs, stage

pytestmark = pytest.mark.django_db


@pytest.fixture
def portal(sandbox: Sandbox, alpha: Portal) -> models.Portal:
    """A portal with five payments, whose entries are numbered 1 to 5."""
    row = stage.install(sandbox, alpha)
    ledgers.paid(row, 5)
    return row


def run(**options: object) -> str:
    out = StringIO()
    call_command("verify_ledger", stdout=out, **options)
    return out.getvalue()


def test_the_command_tells_the_head_or_the_findings(portal: models.Portal) -> None:
    head = ledgers.entries(portal)[-1].hash
    summary = f"{portal.member_id} ({portal.domain}): 5 entries, 0 findings, head 5:{head}\n"
    assert run() == run(portal=portal.member_id) == summary
    assert run(portal=portal.domain, head=(5, head)) == summary
    for mistake in (
        {"portal": portal.domain, "head": (5, "0" * 64)},
        {"head": (5, head)},
        {"portal": "nobody.example.com"},
    ):
        with pytest.raises(CommandError):
            run(**mistake)
    ledgers.open_to_change(portal, 3).update(event="refused")
    out = StringIO()
    with pytest.raises(CommandError) as error:
        call_command("verify_ledger", stdout=out)
    assert error.value.returncode == 1
    assert f"{portal.member_id}: entry 3 does not match its own hash" in out.getvalue()


def set_second(**values: object) -> Callable[[models.Portal], object]:
    return lambda portal: ledgers.open_to_change(portal, 2).update(**values)


def remove(*numbers: int) -> Callable[[models.Portal], object]:
    return lambda portal: ledgers.open_to_change(portal, *numbers).delete()


def renumber(portal: models.Portal, *moves: tuple[int, int]) -> None:
    for before, after in moves:
        ledgers.open_to_change(portal, before).update(number=after)


def close_gap(portal: models.Portal) -> None:
    remove(5)(portal)
    renumber(portal, (4, 5))


NO_MATCH = "entry 2 does not match its own hash"
CHANGES: dict[str, tuple[Callable[[models.Portal], object], str]] = {
    "facts": (set_second(facts={"sum": "1.0000"}), NO_MATCH),
    "facts that no entry has": (set_second(facts={"sum": 1.5}), NO_MATCH),
    "person": (set_second(actor_id=1), NO_MATCH),
    "attempt": (set_second(attempt_id=None), NO_MATCH),
    "texts": (set_second(texts={"note": "X"}), "the texts of entry 2 were changed"),
    "texts erased": (
        set_second(texts=None),
        "the texts of entry 2 were erased, and no entry says so",
    ),
    "texts and their digest": (set_second(texts=None, texts_digest=""), NO_MATCH),
    "hash": (set_second(hash="0" * 64), "entry 3 does not follow the entry before it"),
    "removed from the middle": (remove(2, 3), "entries 2 to 3 are missing"),
    "removed from the beginning": (
        remove(1, 2),
        "entries 1 to 2 are missing, and no entry says that they were removed",
    ),
    "removed from the end": (remove(5), "on payment 271 is paid, and no entry says so"),
    "swapped": (
        lambda portal: renumber(portal, (2, 99), (3, 2), (99, 3)),
        "moved from another place",
    ),
    "renumbered to close a gap": (close_gap, "entry 5 does not match its own hash"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_found(portal: models.Portal, change: str) -> None:
    spoil, expected = CHANGES[change]
    spoil(portal)
    assert any(expected in finding for finding in ledgers.findings(portal))


def test_a_cut_that_does_not_fit_is_found(portal: models.Portal) -> None:
    """An entry about a removed beginning must name the last hash that was removed."""
    ledgers.open_to_change(portal, 1, 2).delete()
    facts = {"up_to": 2, "hash": "0" * 64, "count": 2, "before": "2026-01-01T00:00:00+00:00"}
    chain.record(portal, chain.REMOVED, actor_id=None, facts=facts)
    found = ledgers.findings(portal)
    assert "entry 3 does not follow what was removed before it" in found


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"state": State.REFUSED}, "says state refused, but entry 1 says paid"),
        ({"sum": "1.00"}, "says sum 1.0000, but entry 1 says 100.5000"),
        ({"payment_id": 999}, "says payment_id 999, but entry 1 says 271"),
        ({"user_id": 7}, "says user_id 7, but entry 1 says 3"),
        ({"currency": "USD"}, "says currency USD, but entry 1 says EUR"),
    ],
)
def test_a_working_row_that_says_otherwise_is_found(
    portal: models.Portal, values: dict[str, object], expected: str
) -> None:
    first = ledgers.entries(portal)[0]
    Attempt.objects.filter(pk=first.attempt_id or 0).update(**values)
    (finding,) = ledgers.findings(portal)
    assert expected in finding


def test_only_the_last_entry_of_an_attempt_is_compared(portal: models.Portal) -> None:
    attempt = ledgers.an_attempt(portal, state=State.UNKNOWN, payment_id=5, settled_at=None)
    chain.record(portal, "unknown", actor_id=3, attempt=attempt)
    attempt.state = State.PAID
    attempt.save()
    assert len(ledgers.findings(portal)) == 1
    chain.record(portal, "paid", actor_id=None, attempt=attempt)
    assert ledgers.findings(portal) == []


def test_a_working_row_that_is_gone_is_found(portal: models.Portal) -> None:
    first = ledgers.entries(portal)[0]
    Attempt.objects.filter(pk=first.attempt_id or 0).delete()
    assert ledgers.findings(portal) == [f"entry 1: its attempt {first.attempt_id} is missing"]


def test_an_outcome_needs_an_entry_and_an_open_attempt_needs_none(portal: models.Portal) -> None:
    ledgers.an_attempt(portal, state=State.PAYING, payment_id=5, settled_at=None)
    assert ledgers.findings(portal) == []
    attempt = ledgers.an_attempt(portal)
    (finding,) = ledgers.findings(portal)
    assert finding == f"attempt {attempt.pk} on payment 271 is paid, and no entry says so"


def test_a_head_that_was_noted_finds_an_end_that_is_gone(portal: models.Portal) -> None:
    """Also if the working rows were removed too, without another trace."""
    entries = ledgers.entries(portal)
    noted = (5, entries[-1].hash)
    assert ledgers.findings(portal, noted) == []
    assert ledgers.findings(portal, (4, entries[3].hash)) == []
    Attempt.objects.filter(pk=entries[4].attempt_id or 0).delete()
    ledgers.open_to_change(portal, 5).delete()
    assert ledgers.findings(portal) == []
    (finding,) = ledgers.findings(portal, noted)
    assert "its end is missing" in finding


def test_a_noted_head_finds_a_rewritten_chain(portal: models.Portal) -> None:
    noted = (5, ledgers.entries(portal)[-1].hash)
    ledgers.open_to_change(portal, 4).update(actor_id=1)
    ledgers.reseal(portal)
    assert ledgers.findings(portal) == []
    (finding,) = ledgers.findings(portal, noted)
    assert "rewritten" in finding


@pytest.mark.parametrize("text", ["", "5", "5:abc", f"-1:{'0' * 64}", f"x:{'0' * 64}"])
def test_a_head_that_cannot_be_read_is_not_taken(portal: models.Portal, text: str) -> None:
    with pytest.raises(CommandError):
        call_command("verify_ledger", "--portal", portal.domain, "--head", text)


def test_portals_are_told_apart(sandbox: Sandbox, portal: models.Portal, beta: Portal) -> None:
    other = stage.install(sandbox, beta)
    ledgers.paid(other, 2)
    ledgers.open_to_change(other, 1).update(actor_id=1)
    assert ledgers.findings(portal) == []
    assert len(ledgers.findings(other)) == 1
    assert "0 findings" in run(portal=portal.domain)
    # An entry that was moved from another portal.
    ledgers.open_to_change(other).delete()
    assert ledgers.findings(portal) == []
    ledgers.open_to_change(portal, 1).update(portal=other)
    assert any("entry 1 does not match" in finding for finding in ledgers.findings(other))


def many(portal: models.Portal, count: int) -> None:
    """Appends a long chain in one statement."""
    previous = hashing.GENESIS
    rows = []
    values = {"portal": portal, "at": timezone.now(), "event": "noted", "facts": {"x": "x" * 500}}
    for number in range(1, count + 1):
        entry = Entry(**values, number=number, previous=previous)
        previous = entry.hash = chain.seal(entry, portal.member_id)
        rows.append(entry)
    Entry.objects.bulk_create(rows, batch_size=500)


def test_a_long_chain_takes_no_more_memory_and_few_queries(sandbox: Sandbox, beta: Portal) -> None:
    row = stage.install(sandbox, beta)
    many(row, 5_000)
    tracemalloc.start()
    try:
        with CaptureQueriesContext(connection) as queries:
            assert ledgers.findings(row) == []
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(queries) < 50
    # One chunk of 500 entries at a time, of 5,000 with 500 bytes of facts and their indexes.
    assert peak < 8_000_000


def test_a_portals_life_leaves_it_whole(sandbox: Sandbox, alpha: Portal) -> None:
    """Rules, approvals, payments, marks, undoings, a run, a removal and a return, history that is
    past its time: one after the other."""
    portal = stage.install(sandbox, alpha)
    manager = stage.person(sandbox, portal, seed.MANAGER)
    admin = stage.person(sandbox, portal, seed.ADMIN)
    stage.set_rules(portal, limits={"EUR": "1000"})
    offer = stage.offer_of(manager)
    assert pay(manager, offer, pay_system_id=seed.ACME_PAY).reason == reasons.NEEDS_APPROVAL
    asked = ask(manager, offer, pay_system_id=seed.ACME_PAY, pay_system_name="Acme Pay")
    approve(admin, asked.pk)
    assert pay(manager, offer, pay_system_id=seed.ACME_PAY).state == State.PAID
    stage.set_rules(portal, limits={})
    assert undo(manager, offer, note="Jo Doe asked for it").state == State.UNDONE
    run = runs.started(manager, *seed.SEVERAL_PAYMENTS, seed.CASH_PAYMENT)
    assert runs.worked(manager, run).state == RunState.FINISHED
    assert ledgers.findings(portal) == []
    number, hash_ = ledgers.entries(portal)[-1].number, ledgers.entries(portal)[-1].hash

    portal_uninstalled.send(models.Portal, portal=portal, clean=False)
    assert not Run.objects.exists()
    assert "Jo Doe" not in str([*Entry.objects.values(), *Attempt.objects.values()])
    assert ledgers.findings(portal) == []

    stage.forget_dates(alpha)
    offer = stage.offer_of(stage.person(sandbox, portal, seed.MANAGER))
    assert undo(manager, offer, note="Twice").reason == reasons.NOT_PAID_HERE
    assert pay(manager, offer, pay_system_id=seed.ACME_PAY).state == State.PAID
    assert ledgers.findings(portal, (number, hash_)) == []

    entries, attempts = retention.forget_history(timezone.now() + timedelta(days=3651))
    assert entries > number
    assert (attempts, Attempt.objects.count()) == (attempts, 0)
    assert ledgers.findings(portal) == []
    assert [entry.event for entry in ledgers.entries(portal)] == [chain.REMOVED]
    # Without its attempt nothing is undone, and it is not paid twice.
    assert undo(manager, offer, note="Late").reason == reasons.NOT_PAID_HERE
    assert pay(manager, offer, pay_system_id=seed.ACME_PAY).reason == reasons.ALREADY_PAID
    assert ledgers.findings(portal) == []
