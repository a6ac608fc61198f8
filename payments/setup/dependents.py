"""What depends on pay systems that somebody wants to delete."""

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
    """How many of each. `unpaid`: payments set to them, None where the portal does not tell;
    `not_confirmed`: of this app's payments; `approvals`: asked for or given, and not used yet."""

    unpaid: int | None
    not_confirmed: int
    approvals: int


def dependents(client: Client, portal: Portal, pay_system_ids: Collection[int]) -> Dependents:
    """Waits for the portal once."""
    batch = client.batch()
    asked = [batch.add(setup_reads.unpaid_bound_to(one)) for one in pay_system_ids]
    batch.run()
    counts = [pending.get() for pending in asked]
    ours = {"portal": portal, "pay_system_id__in": pay_system_ids}
    return Dependents(
        unpaid=None if None in counts else sum(count or 0 for count in counts),
        not_confirmed=Attempt.objects.still_open().filter(**ours).count(),
        approvals=Approval.objects.live(timezone.now()).filter(**ours).count(),
    )
