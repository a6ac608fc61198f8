"""What the portal's administrator allows. Without a word from them: everything Bitrix24 allows."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from b24app.models import Portal
from payments.models import Kind
from payments.offer import Offer
from payments.payer import Payer


@dataclass(frozen=True)
class Policy:
    def allows_system(self, pay_system_id: int) -> bool:
        return True

    def needs_approval(self, sum: Decimal, currency: str) -> bool:
        return False

    def may_bulk(self, person_id: int, *, is_admin: bool) -> bool:
        return True


def policy_of(portal: Portal) -> Policy:
    return Policy()


def check(person: Payer, offer: Offer, *, pay_system_id: int, kind: Kind) -> None:
    """Raises guards.Stopped where the policy forbids it."""
