"""What is left of the ledger when a portal removes the app, and when it does not come back."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import override_settings
from django.utils import timezone

from b24app import models
from b24app.signals import portal_uninstalled, pruning
from payments import reasons
from payments.attempts.messages import messages_of
from payments.attempts.pay import pay
from payments.ledger import retention
from payments.models import Attempt, State
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.payments import stage

pytestmark = pytest.mark.django_db


@pytest.fixture
def rows(sandbox: Sandbox, alpha: Portal, beta: Portal) -> list[models.Portal]:
    """Two portals, each with a payment in the ledger."""
    rows = [stage.install(sandbox, portal) for portal in (alpha, beta)]
    for row in rows:
        manager = stage.person(sandbox, row, seed.MANAGER)
        pay(manager, stage.offer_of(manager), pay_system_id=seed.ACME_PAY)
    return rows


@pytest.mark.parametrize(("clean", "left"), [(True, 1), (False, 2)])
def test_the_ledger_of_a_portal_goes_only_with_its_data(
    rows: list[models.Portal], clean: bool, left: int
) -> None:
    portal_uninstalled.send(sender=models.Portal, portal=rows[0], clean=clean)

    assert Attempt.objects.count() == left
    assert Attempt.objects.filter(portal=rows[1]).exists()


def test_of_what_stays_only_ids_and_sums_stay(
    sandbox: Sandbox, alpha: Portal, rows: list[models.Portal]
) -> None:
    manager = stage.person(sandbox, rows[0], seed.MANAGER)
    Attempt.objects.update(
        state=State.REFUSED,
        reason=reasons.REFUSED_BY_BITRIX24,
        evidence={
            "answer": "refused",
            "error": {"code": "X", "description": "Jo Doe's card", "status": 400},
        },
    )
    kept = Attempt.objects.values("payment_id", "sum", "currency", "state").get(portal=rows[0])

    portal_uninstalled.send(sender=models.Portal, portal=rows[0], clean=False)

    text = str(Attempt.objects.filter(portal=rows[0]).values().get())
    assert "Jo Doe" not in text
    assert "Acme" not in text
    attempt = Attempt.objects.get(portal=rows[0])
    assert Attempt.objects.values(*kept).get(portal=rows[0]) == kept
    assert messages_of(attempt)
    assert manager.user_id == attempt.user_id
    assert "Jo Doe" in str(Attempt.objects.values().get(portal=rows[1]))


def test_a_portal_that_stays_away_is_forgotten_in_time(rows: list[models.Portal]) -> None:
    day = timedelta(days=1)
    gone, here = rows
    models.Portal.objects.filter(pk=gone.pk).update(uninstalled_at=timezone.now() - 364 * day)
    pruning.send(sender=None)
    assert Attempt.objects.count() == 2
    models.Portal.objects.filter(pk=gone.pk).update(uninstalled_at=timezone.now() - 366 * day)
    assert retention.forget_uninstalled() == 1
    assert Attempt.objects.get().portal == here


def test_how_long_it_stays_is_a_setting(rows: list[models.Portal]) -> None:
    models.Portal.objects.update(uninstalled_at=timezone.now() - timedelta(days=11))
    with override_settings(B24_LEDGER_RETENTION_DAYS=10):
        pruning.send(sender=None)
    assert not Attempt.objects.exists()
