"""Reads the requests for approval that a person may decide, and those that they made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.utils import timezone

from b24app.identity.opening import PROFILE
from b24app.identity.session import Person
from payments import gateway
from payments.gateway import Owner
from payments.lookups import users
from payments.models import Approval
from payments.visibility.permitted import ask_readable

# As many as crm.item.list returns in one page, and more than a person decides in one go.
SHOWN = 50


@dataclass(frozen=True)
class Inbox:
    may_decide: bool
    waiting: list[Approval]  # Requests of other people, oldest first.
    own: list[Approval]  # Newest first.
    owners: dict[tuple[int, int], Owner]  # Deals and invoices that this person may read, by key.
    names: dict[int, str]  # Names of the people in it by user id.
    has_more: bool  # More requests wait than were read.


def read_inbox(person: Person) -> Inbox:
    """Waits for the portal once, and once more for names.

    Raises the B24Error of what could not be read.
    """
    now = timezone.now()
    asked = Approval.objects.waiting_for(person.user_id, portal_id=person.portal.pk, now=now)
    found = list(asked.order_by("requested_at")[: SHOWN + 1])
    own = list(
        Approval.objects.filter(portal=person.portal, requested_by=person.user_id).order_by("-pk")[
            :SHOWN
        ]
    )
    batch = person.client.batch()
    right = batch.add(gateway.order_right())
    profile = batch.add(PROFILE)
    readable = ask_readable(batch, _owners_of([*found[:SHOWN], *own]))
    people = {approval.requested_by for approval in found[:SHOWN]}
    people |= {approval.decided_by for approval in own if approval.decided_by is not None}
    names = users.NamesReading(person.portal, people, asker_id=person.user_id)
    names.ask(batch)
    batch.run()
    owners = {owner.key: owner for answer in readable for owner in answer.get()}
    is_admin = profile.get().is_admin
    waiting = [
        approval
        for approval in found[:SHOWN]
        if (key_of(approval) in owners if key_of(approval) is not None else is_admin)
    ]
    return Inbox(
        may_decide=right.get(),
        waiting=waiting,
        own=own,
        owners=owners,
        names=names.result(),
        has_more=len(found) > SHOWN,
    )


def count_waiting(person: Person) -> int:
    """Returns how many requests of other people wait.

    Asks the database only. Which of them this person may see and decide is checked in `read_inbox`.
    """
    waiting = Approval.objects.waiting_for(
        person.user_id, portal_id=person.portal.pk, now=timezone.now()
    )
    return waiting.count()


def key_of(approval: Approval) -> tuple[int, int] | None:
    """Returns type and id of the payment's deal or invoice, None if it has no such item."""
    if approval.owner_type is None or approval.owner_id is None:
        return None
    return approval.owner_type, approval.owner_id


def _owners_of(approvals: Iterable[Approval]) -> set[Owner]:
    keys = {key_of(approval) for approval in approvals}
    return {Owner(*key) for key in keys if key is not None}
