"""`manage.py export_portal` and `manage.py forget_person`: what they write, erase and keep."""

from __future__ import annotations

import itertools
import json
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.utils import timezone

from b24app import models
from b24app.identity.session import Person
from payments.ledger import chain
from payments.models import Approval, Attempt, Comment, Entry, Erasure, Policy, Run, RunRow, State
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.payments import ledgers, runs, stage

pytestmark = pytest.mark.django_db

NOTE = "Because Mr. Manager said so"
COLLEAGUE = seed.MANAGER + 1000


def paid_by(portal: models.Portal, user_id: int, **values: Any) -> Attempt:
    """Returns a paid attempt of this person, whose entry has texts."""
    attempt = ledgers.an_attempt(portal, user_id=user_id, **values)
    chain.record(portal, attempt.state, actor_id=user_id, attempt=attempt)
    return attempt


def texts_about(portal: models.Portal, user_id: int) -> tuple[Attempt, Approval]:
    """Returns an attempt and an approval of this person, both with a note; and a logged call."""
    evidence = {"error": {"code": "7", "description": NOTE}, "paid": "Y", "noteBefore": NOTE}
    attempt = paid_by(portal, user_id, note=NOTE, evidence=evidence)
    now = timezone.now()
    approval = Approval.objects.create(
        portal=portal,
        payment_id=attempt.payment_id,
        account_number=attempt.account_number,
        sum=Decimal(1),
        currency="EUR",
        pay_system_id=1,
        bound_pay_system_id=1,
        requested_by=seed.ADMIN,
        decided_by=user_id,
        decided_at=now,
        state="declined",
        note=NOTE,
        expires_at=now,
    )
    models.RestCall.objects.create(
        portal=portal,
        at=now,
        host=portal.domain,
        method="profile",
        user_id=user_id,
        status=200,
        milliseconds=1,
        asked={},
        answered={},
    )
    return attempt, approval


def command(name: str, *arguments: object) -> str:
    said = StringIO()
    call_command(name, *map(str, arguments), stdout=said)
    return said.getvalue()


def test_a_person_is_forgotten_and_the_ledger_still_verifies(
    portal: models.Portal, manager: Person
) -> None:
    attempt, approval = texts_about(portal, seed.MANAGER)
    other, _approval = texts_about(portal, COLLEAGUE)
    runs.drafted(manager, seed.PAYMENT)
    sum_before, head = attempt.sum, ledgers.entries(portal)[-1]

    said = command("forget_person", portal.domain, seed.MANAGER)

    assert "1 pairs of tokens" in said
    assert not portal.tokens.filter(user_id=seed.MANAGER).exists()
    assert not Run.objects.exists()
    callers = models.RestCall.objects.filter(user_id__in=(seed.MANAGER, COLLEAGUE))
    assert list(callers.values_list("user_id", flat=True)) == [COLLEAGUE]
    attempt.refresh_from_db()
    approval.refresh_from_db()
    assert (attempt.note, approval.note) == ("", "")
    assert attempt.evidence == {"error": {"code": "7", "description": ""}, "paid": "Y"}
    assert (attempt.user_id, attempt.sum, attempt.state) == (seed.MANAGER, sum_before, State.PAID)
    other.refresh_from_db()
    assert (other.note, Approval.objects.exclude(note="").count()) == (NOTE, 1)
    texts = {entry.facts.get("user_id"): entry.texts for entry in ledgers.entries(portal)[:2]}
    assert texts[seed.MANAGER] is None
    assert texts[COLLEAGUE] is not None
    assert ledgers.findings(portal, (head.number, head.hash)) == []
    # Once more: nothing is left, and the ledger says nothing new.
    count = Entry.objects.count()
    command("forget_person", portal.member_id, seed.MANAGER)
    assert Entry.objects.count() == count


def test_a_note_that_the_person_wrote_on_anothers_attempt_goes_too(portal: models.Portal) -> None:
    attempt = ledgers.an_attempt(portal, user_id=COLLEAGUE, note=NOTE, state=State.CLOSED)
    chain.record(portal, "closed", actor_id=seed.ADMIN, attempt=attempt)
    command("forget_person", portal.domain, seed.ADMIN)
    attempt.refresh_from_db()
    assert attempt.note == ""
    assert NOTE not in json.dumps([entry.texts for entry in ledgers.entries(portal)])
    assert ledgers.findings(portal) == []


def test_texts_that_were_erased_beside_a_persons_are_found(portal: models.Portal) -> None:
    paid_by(portal, COLLEAGUE)
    paid_by(portal, seed.MANAGER)
    command("forget_person", portal.domain, seed.MANAGER)
    assert ledgers.findings(portal) == []
    ledgers.open_to_change(portal, 1).update(texts=None)
    assert ledgers.findings(portal) == ["the texts of entry 1 were erased, and no entry says so"]


def test_who_serves_the_portal_is_named(portal: models.Portal) -> None:
    serving = portal.tokens.get(serves_portal=True).user_id
    assert "An administrator opens the app once" in command("forget_person", portal.domain, serving)
    assert not portal.tokens.filter(serves_portal=True).exists()


def test_another_portals_person_with_that_id_stays(
    sandbox: Sandbox, portal: models.Portal, beta: Portal
) -> None:
    other = stage.install(sandbox, beta)
    attempt, approval = texts_about(other, seed.MANAGER)
    command("forget_person", portal.domain, seed.MANAGER)
    attempt.refresh_from_db()
    approval.refresh_from_db()
    assert (attempt.note, approval.note) == (NOTE, NOTE)
    assert models.RestCall.objects.filter(portal=other, user_id=seed.MANAGER).exists()
    assert other.tokens.exists()


@pytest.mark.parametrize("name", ["forget_person", "export_portal"])
def test_an_unknown_portal_is_refused(portal: models.Portal, name: str) -> None:
    with pytest.raises(CommandError, match=r"other\.example\.com"):
        command(name, "other.example.com", *(["1"] if name == "forget_person" else []))


def exported(portal: models.Portal) -> list[dict[str, Any]]:
    return [json.loads(line) for line in command("export_portal", portal.domain).splitlines()]


def test_all_that_is_kept_of_a_portal_is_exported_without_secrets(
    sandbox: Sandbox, portal: models.Portal, manager: Person, beta: Portal
) -> None:
    now = timezone.now()
    attempt, _approval = texts_about(portal, seed.MANAGER)
    stage.set_rules(portal, limits={"EUR": "10"})
    run = runs.drafted(manager, seed.PAYMENT)
    RunRow.objects.filter(run=run).update(offer="the-offer")
    Comment.objects.create(attempt=attempt)
    models.FailedProof.objects.create(portal=portal, last_at=now)
    models.RemovalClaim.objects.create(portal=portal)
    models.EventReceipt.objects.create(
        portal=portal, event="E", fingerprint="f", is_proved=False, proof="the-proof"
    )
    Erasure.objects.create(
        member_id=portal.member_id,
        what=Erasure.What.TEXTS,
        attempts=1,
        open_attempts=0,
        entries=1,
        last_number=1,
    )
    models.Portal.objects.filter(pk=portal.pk).update(application_token="the-token")
    texts_about(stage.install(sandbox, beta), seed.MANAGER)

    rows = exported(portal)

    counts: dict[str, int] = {}
    for row in rows:
        counts[row["table"]] = counts.get(row["table"], 0) + 1
    of_both_apps = {
        model for name in ("b24app", "payments") for model in apps.get_app_config(name).get_models()
    }
    # These two belong to no portal.
    of_portals = of_both_apps - {models.JobRun, models.QuestionPace}
    assert set(counts) == {model._meta.label for model in of_portals}
    assert counts["b24app.Portal"] == counts["payments.Attempt"] == 1
    for model in (Attempt, Approval, Entry, Policy, Run, models.RestCall, models.UserToken):
        assert counts[model._meta.label] == model._default_manager.filter(portal=portal).count()
    assert rows[0]["table"] == "b24app.Portal"
    (kept,) = (row for row in rows if row["table"] == "payments.Attempt")
    assert (kept["note"], kept["sum"], kept["user_id"]) == (NOTE, "100.5000", seed.MANAGER)
    text = json.dumps(rows)
    pairs = [(pair.access, pair.refresh) for pair in portal.tokens.all()]
    assert pairs
    for secret in ("the-token", "the-proof", "the-offer", *itertools.chain(*pairs)):
        assert secret not in text


def test_an_export_needs_no_key(portal: models.Portal, settings: Any) -> None:
    """The keys may be lost; what is kept can still be handed over."""
    settings.B24_TOKEN_KEYS = ["bG9zdC1sb3N0LWxvc3QtbG9zdC1sb3N0LWxvc3QtMDE="]
    assert exported(portal)
