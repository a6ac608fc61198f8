"""What is left of the ledger when a portal removes the app."""

from __future__ import annotations

import pytest

from b24app import models
from b24app.signals import portal_uninstalled
from payments.models import Attempt
from payments.pay import pay
from sandbox import seed
from sandbox.app import Sandbox
from sandbox.world import Portal
from tests.payments import stage


@pytest.mark.django_db
@pytest.mark.parametrize(("clean", "left"), [(True, 1), (False, 2)])
def test_the_ledger_of_a_portal_goes_only_with_its_data(
    sandbox: Sandbox, alpha: Portal, beta: Portal, clean: bool, left: int
) -> None:
    rows = [stage.install(sandbox, portal) for portal in (alpha, beta)]
    for row in rows:
        manager = stage.person(sandbox, row, seed.MANAGER)
        pay(manager, stage.offer_of(manager), pay_system_id=seed.ACME_PAY)

    portal_uninstalled.send(sender=models.Portal, portal=rows[0], clean=clean)

    assert Attempt.objects.count() == left
    assert Attempt.objects.filter(portal=rows[1]).exists()
