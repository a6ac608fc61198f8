"""Makes a dry run: stores what a run would pay, mark as paid and leave out, and why."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from b24app.identity.session import Person
from payments.bulk.decisions import Decision, decide
from payments.bulk.permission import NotAllowed
from payments.bulk.runs import require_none_active
from payments.bulk.selection import Found, PaymentFinder, PersonRights, rights_of
from payments.models import Policy, RowState, Run, RunRow, RunState
from payments.number_search import NumberSearch
from payments.offer import seal
from payments.policy import rules as policies
from payments.visibility.rows import Row, listing

# Bitrix24 allows longer titles; the list cuts them to this length.
_TITLE_KEPT = 255


def draft_ticked(person: Person, payment_ids: Sequence[int]) -> Run:
    """Stores and returns a dry run of these payments; waits for the portal.

    It replaces the person's earlier dry run. Raises NotAllowed, RunUnfinished if the person has an
    active run, or the B24Error of what could not be read.
    """
    made_at = timezone.now()
    rights, policy = _begin(person)
    found = PaymentFinder(person, is_admin=rights.is_admin).ticked(payment_ids)
    return _store(person, found, rights, policy, made_at)


def draft_all(person: Person, number: NumberSearch) -> Run:
    """Does the same for all payments that this search finds, at most MOST_PAYMENTS of them."""
    made_at = timezone.now()
    rights, policy = _begin(person)
    found = PaymentFinder(person, is_admin=rights.is_admin).all(number)
    return _store(person, found, rights, policy, made_at)


def _begin(person: Person) -> tuple[PersonRights, Policy]:
    require_none_active(person)
    rights, policy = rights_of(person), policies.policy_of(person.portal)
    if not policy.may_bulk(person.user_id, is_admin=rights.is_admin):
        raise NotAllowed(f"user {person.user_id} may not pay several at once")
    return rights, policy


def _store(
    person: Person, found: Found, rights: PersonRights, policy: Policy, made_at: datetime
) -> Run:
    listed = listing(
        person,
        found.seen,
        may_pay=rights.may_pay,
        systems=rights.systems,
        made_at=made_at,
        is_admin=rights.is_admin,
    )
    run = Run(
        portal=person.portal,
        user_id=person.user_id,
        missing=found.missing,
        is_cut=found.is_cut,
        unreadable=[{"id": one.row.id, "number": one.row.name} for one in found.unreadable],
    )
    decided = [
        (row, decide(person, seen, row, rights, policy))
        for seen, row in zip(found.seen, listed.rows, strict=True)
    ]
    # The sort is stable, so each group keeps the order of the list.
    decided.sort(key=lambda pair: pair[1].order)
    rows = [_row(run, position, *pair) for position, pair in enumerate(decided, start=1)]
    with transaction.atomic():
        # Deletes the earlier dry run, which the person did not start.
        Run.objects.filter(
            portal=person.portal, user_id=person.user_id, state=RunState.READY
        ).delete()
        run.save(force_insert=True)
        RunRow.objects.bulk_create(rows)
    return run


def _row(run: Run, position: int, row: Row, decision: Decision) -> RunRow:
    offer = row.offer
    return RunRow(
        run=run,
        position=position,
        kind=decision.kind,
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
        state=RowState.SKIPPED if decision.reason else RowState.WAITING,
        reason=decision.reason,
    )
