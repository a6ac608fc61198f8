"""Checks whether an attempt of the app made a listed payment paid, and whether it can be undone."""

from __future__ import annotations

from payments.attempts.evidence import is_dated_otherwise
from payments.attempts.undo_rules import may_undo
from payments.gateway import Payment
from payments.models import Attempt, Kind, Policy, State


def is_marked(payment: Payment, ended: Attempt | None) -> bool:
    """Whether a mark of this app made it paid. `ended` is the last attempt that was paid or
    undone."""
    return ended is not None and ended.kind == Kind.MARK and _made_paid(payment, ended)


def is_undoable(
    payment: Payment, ended: Attempt | None, *, person_id: int, rules: Policy, is_admin: bool
) -> bool:
    """Whether the row of a paid payment offers to undo it. Makes no call.

    False if the date of payment cannot be read: it may have been paid again since.
    """
    return (
        ended is not None
        and "date_paid" not in payment.unread
        and _made_paid(payment, ended)
        and may_undo(person_id, ended, rules=rules, is_admin=is_admin)
    )


def _made_paid(payment: Payment, ended: Attempt) -> bool:
    """Whether this attempt, and nothing later, made the payment paid."""
    if not payment.paid or ended.state != State.PAID or ended.reason:
        return False
    if payment.emp_paid_id not in (None, ended.user_id):
        return False
    evidence = ended.evidence
    return not is_dated_otherwise(payment, {evidence.get("readIn", ""): evidence.get("datePaid")})
