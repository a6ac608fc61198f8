"""Decides what a run does with a payment: pays it, marks it as paid, or leaves it out."""

from __future__ import annotations

from dataclasses import dataclass

from b24app.identity.session import Person
from payments import reasons
from payments.attempts import checks
from payments.bulk import messages
from payments.bulk.selection import PersonRights
from payments.lookups.pay_systems import Systems
from payments.models import Kind, Policy
from payments.policy import rules as policies
from payments.reasons import Stopped
from payments.visibility.rows import Row, Seen


@dataclass(frozen=True)
class Decision:
    kind: Kind
    # Why the run leaves the row out, a code of messages.py or payments/reasons.py; else empty.
    reason: str = ""

    @property
    def order(self) -> int:
        """Sorts a run: first what is paid, then what is marked, then what is left out."""
        return 2 if self.reason else (0 if self.kind == Kind.PAY else 1)


def decide(person: Person, seen: Seen, row: Row, rights: PersonRights, policy: Policy) -> Decision:
    """Returns what the run does with this payment. A run never changes the pay system."""
    kind = _kind_by(rights.systems, row.offer.pay_system_id)
    try:
        _check(person, seen, row, rights, policy, kind)
    except Stopped as stop:
        return Decision(kind or Kind.PAY, stop.reason)
    return Decision(kind or Kind.PAY)


def _kind_by(systems: Systems | None, pay_system_id: int) -> Kind | None:
    """Returns None if its payments can neither be paid by an app nor be marked as paid."""
    if systems is None:
        # As in the list: if the portal's pay systems are not known, the payment's own one is tried.
        return Kind.PAY if pay_system_id else None
    system = systems.find(pay_system_id)
    if system is None:
        return None
    if systems.can_be_paid(system):
        return Kind.PAY
    return Kind.MARK if systems.needs_mark(system) else None


def _check(
    person: Person,
    seen: Seen,
    row: Row,
    rights: PersonRights,
    policy: Policy,
    kind: Kind | None,
) -> None:
    """Raises Stopped with the reason why the run leaves the row out."""
    offer = row.offer
    if not rights.may_pay:
        raise Stopped(reasons.NO_ORDER_RIGHT)
    checks.check_payment(row.payment, offer)
    checks.check_order(seen.order)
    if row.attempt is not None:
        raise Stopped(messages.OPEN_ATTEMPT)
    if not policy.allows_system(offer.pay_system_id):
        raise Stopped(messages.SYSTEM_NOT_ALLOWED)
    if kind is None:
        raise Stopped(messages.BOUND_UNFIT)
    if policy.needs_approval(offer.sum, offer.currency):
        # Runs a statement for each row, so only for rows above the limit.
        policies.check(person, offer, pay_system_id=offer.pay_system_id, kind=kind)
    if kind == Kind.MARK and not row.markable:
        raise Stopped(messages.NOT_MARKABLE)
    if kind == Kind.PAY and not (row.payable and row.bound_fits):
        raise Stopped(messages.NOT_PAYABLE)
