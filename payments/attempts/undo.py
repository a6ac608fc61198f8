"""Undoes a payment or a mark that this app has made."""

from __future__ import annotations

from b24app.identity.session import Caller
from payments.attempts.execute import run_attempt
from payments.forms import clean_note
from payments.models import Attempt, Kind
from payments.offer import Offer


def undo(person: Caller, offer: Offer, *, note: str) -> Attempt:
    """Sets the payment back to unpaid; no money moves. Waits for the portal.

    Returns and raises as `run_attempt` does; the attempt that paid stays in the ledger, and has
    this one in its `undoings`. Raises NoteNeeded for an empty note.
    """
    return run_attempt(
        person,
        offer,
        kind=Kind.UNDO,
        pay_system_id=offer.pay_system_id,
        note=clean_note(note),
    )
