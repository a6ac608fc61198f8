"""The ledger: appended by many at once, never changed, sealed entry by entry."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from b24app import models
from payments.ledger import chain, hashing
from payments.models import AppendOnly, Entry, State
from sandbox.server.app import Sandbox
from sandbox.world.world import Portal
from tests.payments import ledgers, stage
from tests.payments.test_cost import statements
from tests.processes import started, tell

pytestmark = pytest.mark.django_db
WRITERS, EACH = 4, 50


def assert_whole(portal: models.Portal, count: int) -> None:
    assert [entry.number for entry in ledgers.entries(portal)] == list(range(1, count + 1))
    assert ledgers.findings(portal) == []


def test_each_entry_seals_the_one_before_it(portal: models.Portal) -> None:
    for place in range(3):
        chain.record(portal, "noted", actor_id=3, facts={"place": place})
    one, two, three = ledgers.entries(portal)
    assert one.previous == hashing.GENESIS
    assert (two.previous, three.previous) == (one.hash, two.hash)
    assert len({one.hash, two.hash, three.hash}) == 3
    assert_whole(portal, 3)


def test_an_entry_says_all_that_the_attempt_says(portal: models.Portal) -> None:
    evidence = {
        "answer": "refused",
        "empPaidId": 3,
        "readIn": "object",
        "askedBy": "event",
        "before": {"object": None, "order": "2026-11-23T09:00:00+00:00"},
        "error": {"code": "X", "description": "Jo Doe's card", "status": 400},
        "words": "of a kind nobody knows",
    }
    attempt = ledgers.an_attempt(
        portal,
        evidence=evidence,
        note="asked by Jo Doe",
        settled_at=datetime(2026, 11, 24, 9, tzinfo=UTC),
    )

    chain.record(portal, "paid", actor_id=3, attempt=attempt, facts={"sum_asked": Decimal("1.10")})

    entry = Entry.objects.get()
    assert (entry.event, entry.actor_id, entry.attempt_id) == ("paid", 3, attempt.pk)
    facts = entry.facts
    assert (facts["kind"], facts["state"], facts["sum"]) == ("pay", "paid", "100.5000")
    assert facts["owner"] == [2, 8061]
    assert facts["settled_at"] == "2026-11-24T09:00:00.000000+00:00"
    assert facts["sum_asked"] == "1.10"
    assert facts["evidence"] == {
        "answer": "refused",
        "empPaidId": 3,
        "readIn": "object",
        "askedBy": "event",
        "before": {"object": None, "order": "2026-11-23T09:00:00+00:00"},
        "error": {"code": "X", "status": 400},
    }
    assert "Jo Doe" not in json.dumps(facts)
    assert "nobody knows" not in json.dumps(facts)
    assert entry.texts is not None
    assert entry.texts["note"] == "asked by Jo Doe"
    assert entry.texts["evidence"]["error"]["description"] == "Jo Doe's card"
    assert entry.texts_digest == hashing.digest_of(entry.texts)


def test_the_same_texts_never_have_the_same_digest(portal: models.Portal) -> None:
    """Otherwise a reader of an erased entry could try out names."""
    for note in ("Jo Doe", "Jo Doe", ""):
        chain.record(portal, "noted", actor_id=3, texts={"note": note})
    one, two, without = ledgers.entries(portal)
    assert one.texts_digest != two.texts_digest
    assert (without.texts, without.texts_digest) == (None, "")


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (Decimal("1E+2"), "100"),
        (0.1, "0.1"),
        (True, True),
        (datetime(2026, 1, 2, 3, tzinfo=UTC), "2026-01-02T03:00:00.000000+00:00"),
        ({2: (Decimal("1.0"), None)}, {"2": ["1.0", None]}),
        (State.PAID, "paid"),
        ("a\0b\ud83d", "a\ufffdb?"),
        ("№ 163 · 東京 \u2028", "№ 163 · 東京 \u2028"),
    ],
)
def test_a_sealed_value_comes_back(portal: models.Portal, value: object, kept: object) -> None:
    chain.record(portal, "noted", actor_id=3, facts={"value": value})
    assert Entry.objects.get().facts == {"value": kept}
    assert_whole(portal, 1)


def test_an_append_is_one_select_and_one_insert(portal: models.Portal) -> None:
    attempt = ledgers.an_attempt(portal)
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            chain.record(portal, "paid", actor_id=3, attempt=attempt)
        kinds = [sql.split(" ", 1)[0] for sql in statements(queries)]
        assert kinds == ["SELECT", "INSERT"]


def test_each_portal_has_its_own_chain(
    sandbox: Sandbox, portal: models.Portal, beta: Portal
) -> None:
    other = stage.install(sandbox, beta)
    for row in (portal, other, portal):
        chain.record(row, "noted", actor_id=3)
    assert_whole(portal, 2)
    assert_whole(other, 1)
    assert ledgers.entries(portal)[0].hash != ledgers.entries(other)[0].hash


def test_what_is_rolled_back_was_never_appended(portal: models.Portal) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        chain.record(portal, "noted", actor_id=3)
        1 / 0  # noqa: B018
    chain.record(portal, "noted", actor_id=3)
    assert_whole(portal, 1)


def test_entries_cannot_be_changed_or_deleted(portal: models.Portal) -> None:
    chain.record(portal, "noted", actor_id=3)
    entry = Entry.objects.get()
    entry.event = "paid"
    forbidden: list[Callable[[], object]] = [
        entry.save,
        entry.delete,
        partial(Entry.objects.update, event="paid"),
        partial(Entry.objects.filter(pk=entry.pk).update, event="paid"),
        Entry.objects.all().delete,
        partial(Entry.objects.bulk_update, [entry], ["event"]),
        partial(Entry.objects.update_or_create, pk=entry.pk, defaults={"event": "paid"}),
    ]
    for change in forbidden:
        with pytest.raises(AppendOnly):
            change()
    assert Entry.objects.get().event == "noted"


def test_a_writer_that_lost_a_number_takes_the_next_and_its_transaction_goes_on(
    portal: models.Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another writer's entry comes between the reading of the last one and the writing."""
    read = chain._head
    answers = [read(portal)]
    for _ in range(2):
        chain.record(portal, "noted", actor_id=7)
        answers.append(read(portal))
    monkeypatch.setattr(chain, "_head", lambda portal: answers.pop(0))
    with transaction.atomic():
        attempt = ledgers.an_attempt(portal)
        chain.record(portal, "paid", actor_id=3, attempt=attempt)
    assert [entry.actor_id for entry in ledgers.entries(portal)] == [7, 7, 3]
    assert_whole(portal, 3)


def test_a_clash_without_another_writer_is_an_error(
    portal: models.Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain.record(portal, "noted", actor_id=3)
    monkeypatch.setattr(chain, "_head", lambda portal: (0, hashing.GENESIS))
    with pytest.raises(IntegrityError):
        chain.record(portal, "noted", actor_id=3)
    assert_whole(portal, 1)


@pytest.mark.django_db(transaction=True)
def test_processes_append_without_a_gap_or_a_fork(portal: models.Portal) -> None:
    with ExitStack() as stack:
        task = {"portal": portal.pk, "count": EACH}
        processes = [
            stack.enter_context(started("tests.payments.appending_process", **task, actor=actor))
            for actor in range(WRITERS)
        ]
        for process in processes:
            tell(process, "go")
        for process in processes:
            out, _ = process.communicate(timeout=60)
            assert out == "done\n"
            assert process.returncode == 0

    assert_whole(portal, WRITERS * EACH)
