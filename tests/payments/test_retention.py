"""How the ledger ends: by age, with the portal, without names; and how it is still verified."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.test import override_settings
from django.utils import timezone

from b24app import models
from b24app.signals import pruning
from payments.ledger import chain, retention
from payments.models import Attempt, Kind, State
from sandbox.server.app import Sandbox
from sandbox.world.world import Portal
from tests.clocks import at_any_hour
from tests.payments import ledgers, stage

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
YEARS = 3650 * DAY


def long_ago(portal: models.Portal, *numbers: int) -> datetime:
    """Makes these entries and their attempts older than the history is kept."""
    at = timezone.now() - YEARS - DAY
    ids = ledgers.open_to_change(portal, *numbers).values("attempt_id")
    Attempt.objects.filter(pk__in=ids).update(settled_at=at, created_at=at)
    # Hashes the rows as they are now.
    for entry in ledgers.open_to_change(portal, *numbers):
        ledgers.open_to_change(portal, entry.number).update(at=at)
    ledgers.reseal(portal)
    return at


def numbers(portal: models.Portal) -> list[int]:
    return [entry.number for entry in ledgers.entries(portal)]


@at_any_hour
def test_what_is_past_its_time_goes_and_the_rest_can_be_checked(portal: models.Portal) -> None:
    attempts = ledgers.paid(portal, 5)
    long_ago(portal, 1, 2, 3)
    heads = [(entry.number, entry.hash) for entry in ledgers.entries(portal)]

    assert retention.forget_history() == (3, 3)

    assert numbers(portal) == [4, 5, 6]
    removed = ledgers.entries(portal)[-1]
    assert (removed.event, removed.actor_id) == ("removed", None)
    assert (removed.facts["up_to"], removed.facts["hash"]) == heads[2]
    assert removed.facts["count"] == 3
    assert list(Attempt.objects.order_by("pk")) == attempts[3:]
    assert ledgers.findings(portal) == []
    assert retention.forget_history() == (0, 0)
    # A head that was noted before can be checked as long as it is there.
    for place, found in ((4, 0), (2, 0), (1, 1)):
        findings = ledgers.findings(portal, heads[place])
        assert len(findings) == found
        assert all("removed past its time" in finding for finding in findings)


def test_a_cut_goes_on_where_an_earlier_one_ended(portal: models.Portal) -> None:
    ledgers.paid(portal, 4)
    long_ago(portal, 1, 2)
    retention.forget_history()
    assert numbers(portal) == [3, 4, 5]
    ledgers.paid(portal, 1)
    long_ago(portal, 3)
    retention.forget_history()
    assert numbers(portal) == [4, 5, 6, 7]
    assert ledgers.findings(portal) == []


def test_all_is_removed_in_parts(portal: models.Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "_CHUNK", 2)
    ledgers.paid(portal, 5)
    long_ago(portal)
    assert retention.forget_history() == (5, 5)
    removed = ledgers.entries(portal)
    assert [(entry.event, entry.facts["up_to"]) for entry in removed] == [
        ("removed", 2),
        ("removed", 4),
        ("removed", 5),
    ]
    assert ledgers.findings(portal) == []
    ledgers.paid(portal, 1)
    assert ledgers.findings(portal) == []


def test_broken_off_after_a_part_nothing_is_found_wrong(
    portal: models.Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Entries are gone, their attempts are not yet: the next run takes them."""
    ledgers.paid(portal, 3)
    long_ago(portal, 1, 2)
    with monkeypatch.context() as broken:
        broken.setattr(retention, "_delete_without_entries", lambda *args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            retention.forget_history()
    assert Attempt.objects.count() == 3
    assert ledgers.findings(portal) == []
    assert retention.forget_history() == (0, 2)
    assert ledgers.findings(portal) == []


def test_an_open_attempt_keeps_its_entries_and_what_follows(portal: models.Portal) -> None:
    ledgers.paid(portal, 1)
    ledgers.paid(portal, 1, state=State.UNKNOWN, payment_id=5)
    ledgers.paid(portal, 2)
    long_ago(portal)
    retention.forget_history()
    assert numbers(portal) == [2, 3, 4, 5]
    assert Attempt.objects.filter(state=State.UNKNOWN).exists()
    assert Attempt.objects.count() == 3
    assert ledgers.findings(portal) == []


def test_an_attempt_with_a_newer_entry_stays(portal: models.Portal) -> None:
    (attempt,) = ledgers.paid(portal, 1)
    chain.record(portal, "closed", actor_id=1, attempt=attempt)
    long_ago(portal, 1)
    assert retention.forget_history() == (0, 0)
    assert numbers(portal) == [1, 2]


def test_what_was_undone_lately_stays_with_its_undoing(portal: models.Portal) -> None:
    (attempt,) = ledgers.paid(portal, 1)
    ledgers.paid(portal, 1, kind=Kind.UNDO, state=State.UNDONE, undoes=attempt)
    long_ago(portal, 1)
    assert retention.forget_history() == (0, 0)
    assert Attempt.objects.count() == 2
    long_ago(portal, 1, 2)
    assert retention.forget_history() == (2, 2)
    assert not Attempt.objects.exists()
    assert ledgers.findings(portal) == []


@pytest.mark.parametrize("days", [0, 4000])
def test_history_is_kept_as_long_as_is_set(portal: models.Portal, days: int) -> None:
    ledgers.paid(portal, 1)
    long_ago(portal, 1)
    with override_settings(B24_HISTORY_DAYS=days):
        assert retention.forget_history() == (0, 0)
    pruning.send(sender=None)
    assert numbers(portal) == [2]


def test_each_portal_has_its_own_time(
    sandbox: Sandbox, portal: models.Portal, beta: Portal
) -> None:
    other = stage.install(sandbox, beta)
    for row in (portal, other):
        ledgers.paid(row, 2)
    long_ago(other, 1)
    retention.forget_history()
    assert (numbers(portal), numbers(other)) == ([1, 2], [2, 3])
    assert Attempt.objects.filter(portal=portal).count() == 2


def test_texts_written_after_an_erasure_are_not_covered_by_it(portal: models.Portal) -> None:
    ledgers.paid(portal, 1)
    chain.erase_texts(portal)
    ledgers.paid(portal, 1)
    ledgers.open_to_change(portal, 3).update(texts=None)
    assert ledgers.findings(portal) == ["the texts of entry 3 were erased, and no entry says so"]


def test_texts_are_erased_in_parts(portal: models.Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "_AT_ONCE", 2)
    assert chain.erase_texts(portal) == 0
    ledgers.paid(portal, 5)
    assert chain.erase_texts(portal) == 5
    assert numbers(portal) == list(range(1, 9))
    assert ledgers.findings(portal) == []


def test_what_bitrix24_and_people_wrote_is_erased_from_the_evidence(portal: models.Portal) -> None:
    """Codes, ids and sums stay."""
    (attempt, *_others) = ledgers.paid(portal, 2)
    error = {"code": "0", "description": "The manager may not", "status": 403}
    texts = {"pay_system_name": "The manager's card", "note": "The manager said so"}
    Attempt.objects.filter(pk=attempt.pk).update(
        evidence={"error": error, "noteBefore": "Earlier", "paid": "Y"}, **texts
    )
    retention.keep_ids_and_sums(portal)
    kept = Attempt.objects.get(pk=attempt.pk)
    assert kept.evidence == {"error": {**error, "description": ""}, "paid": "Y"}
    assert (kept.pay_system_name, kept.note, kept.sum) == ("", "", attempt.sum)
