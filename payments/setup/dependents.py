"""Counts what depends on pay systems that a person is about to delete."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from django.utils import timezone

from b24app.models import Portal
from b24app.rest.client import Client
from payments.gateway import setup_reads
from payments.models import Approval, Attempt


@dataclass(frozen=True)
class Dependents:
    unpaid: int | None  # Unpaid payments that are set to them; None if the portal does not say.
    not_confirmed: int  # Payments of this app whose outcome is not known.
    approvals: int  # Asked for or given, and not used yet.


def dependents(client: Client, portal: Portal, pay_system_ids: Collection[int]) -> Dependents:
    """Waits for the portal once."""
    batch = client.batch()
    asked = [batch.add(setup_reads.count_unpaid_with(one)) for one in pay_system_ids]
    batch.run()
    counts = [pending.get() for pending in asked]
    filters = {"portal": portal, "pay_system_id__in": pay_system_ids}
    return Dependents(
        unpaid=None if None in counts else sum(count or 0 for count in counts),
        not_confirmed=Attempt.objects.still_open().filter(**filters).count(),
        approvals=Approval.objects.live(timezone.now()).filter(**filters).count(),
    )
