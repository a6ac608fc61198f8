"""The rules of a portal: read anew each time they decide, for they are about money and rights."""

from __future__ import annotations

from dataclasses import dataclass

from b24app.models import Portal
from payments.offer import Offer
from payments.payer import Payer


@dataclass(frozen=True)
class Policy:
    undo_hours: int = 24

    def may_undo(self, person_id: int, *, is_admin: bool) -> bool:
        return self.undo_hours > 0


def policy_of(portal: Portal) -> Policy:
    return Policy()


def check(person: Payer, offer: Offer, *, pay_system_id: int, kind: str) -> None:
    """May this person pay what was offered? Raises Stopped where the rules forbid it."""
