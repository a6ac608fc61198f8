"""The dry run: what would be paid, what would not, and why; nothing is paid here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from b24app.session import Person
from payments import guards, reasons
from payments import policy as policies
from payments.bulk import words
from payments.bulk.allowed import NotAllowed
from payments.bulk.finding import Finding, Found, Standing, standing_of
from payments.bulk.running import require_none_active
from payments.guards import Stopped
from payments.models import Kind, Policy, RowState, Run, RunRow, RunState
from payments.offer import seal
from payments.visible.rows import Row, Seen, listing

# A title can be longer in Bitrix24; nobody reads more of it in a list.
_TITLE_KEPT = 255


def draft_ticked(person: Person, payment_ids: Sequence[int]) -> Run:
    """A run of these, those that would be refused included; waits for the portal.

    Raises NotAllowed, RunUnfinished, or the B24Error of what could not be read.
    """
    made_at = timezone.now()
    standing, policy = _begin(person)
    found = Finding(person, is_admin=standing.is_admin).ticked(payment_ids)
    return _store(person, found, standing, policy, made_at)


def draft_all(person: Person, number: str) -> Run:
    """A run of all that the list finds for this search; see `draft_ticked`."""
    made_at = timezone.now()
    standing, policy = _begin(person)
    found = Finding(person, is_admin=standing.is_admin).all(number)
    return _store(person, found, standing, policy, made_at)


def _begin(person: Person) -> tuple[Standing, Policy]:
    require_none_active(person)
    standing, policy = standing_of(person), policies.policy_of(person.portal)
    if not policy.may_bulk(person.user_id, is_admin=standing.is_admin):
        raise NotAllowed(f"user {person.user_id} may not pay several at once")
    return standing, policy


def _store(
    person: Person, found: Found, standing: Standing, policy: Policy, made_at: datetime
) -> Run:
    listed = listing(
        person,
        found.seen,
        may_pay=standing.may_pay,
        systems=standing.systems,
        made_at=made_at,
        is_admin=standing.is_admin,
    )
    run = Run(
        portal=person.portal,
        user_id=person.user_id,
        missing=found.missing,
        is_cut=found.is_cut,
        unreadable=[{"id": one.row.id, "number": one.row.name} for one in found.unreadable],
    )
    rows = [
        _row(run, place, row, _why_left_out(person, seen, row, standing, policy))
        for place, (seen, row) in enumerate(zip(found.seen, listed.rows, strict=True), start=1)
    ]
    with transaction.atomic():
        # What was shown before and never started is of no use to anybody.
        Run.objects.filter(
            portal=person.portal, user_id=person.user_id, state=RunState.READY
        ).delete()
        run.save(force_insert=True)
        RunRow.objects.bulk_create(rows)
    return run


def _row(run: Run, position: int, row: Row, reason: str) -> RunRow:
    offer = row.offer
    return RunRow(
        run=run,
        position=position,
        payment_id=offer.payment_id,
        account_number=offer.account_number,
        owner_type=offer.owner.type_id if offer.owner else None,
        owner_id=offer.owner.id if offer.owner else None,
        owner_title=offer.owner.title[:_TITLE_KEPT] if offer.owner else "",
        pay_system_id=offer.pay_system_id,
        pay_system_name=offer.pay_system_name,
        sum=offer.sum,
        currency=offer.currency,
        offer=seal(offer),
        state=RowState.SKIPPED if reason else RowState.WAITING,
        reason=reason,
    )


def _why_left_out(person: Person, seen: Seen, row: Row, standing: Standing, policy: Policy) -> str:
    """A code of words.py or reasons.py, or "" where the row can be paid."""
    if not standing.may_pay:
        return reasons.NO_ORDER_RIGHT
    try:
        guards.check_payment(row.payment, row.offer)
        guards.check_order(seen.order)
        if row.attempt is not None:
            return words.OPEN_ATTEMPT
        if not policy.allows_system(row.offer.pay_system_id):
            return words.SYSTEM_NOT_ALLOWED
        if not row.bound_fits:
            return words.BOUND_UNFIT
        if policy.needs_approval(row.offer.sum, row.offer.currency):
            # Only this knows whether it is approved already; it is asked for few rows.
            policies.check(person, row.offer, pay_system_id=row.offer.pay_system_id, kind=Kind.PAY)
        if not row.payable:
            return words.NOT_PAYABLE
    except Stopped as stop:
        return stop.reason
    return ""
