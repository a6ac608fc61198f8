"""Requests for approval as one person may see them: those that wait for them, and their own."""

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

# One answer of crm.item.list for each kind of object, and more than anybody decides at a sitting.
SHOWN = 50


@dataclass(frozen=True)
class Inbox:
    """`waiting` is in the order of asking, `own` newest first; `owners` are the objects with their
    titles, as this person may read them, and `names` those of everybody in it. `goes_on` says that
    more wait than were looked at."""

    may_decide: bool
    waiting: list[Approval]
    own: list[Approval]
    owners: dict[tuple[int, int], Owner]
    names: dict[int, str]
    goes_on: bool


def read_inbox(person: Person) -> Inbox:
    """Waits for the portal once, and once more for names. Raises the B24Error of what could not be
    read."""
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
    named = {approval.requested_by for approval in found[:SHOWN]}
    named |= {approval.decided_by for approval in own if approval.decided_by is not None}
    names = users.NamesReading(person.portal, named, asker_id=person.user_id)
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
        goes_on=len(found) > SHOWN,
    )


def count_waiting(person: Person) -> int:
    """How many requests of others wait. Asks the database only: whether this person may see each of
    them, and may decide at all, is found out when they look."""
    waiting = Approval.objects.waiting_for(
        person.user_id, portal_id=person.portal.pk, now=timezone.now()
    )
    return waiting.count()


def key_of(approval: Approval) -> tuple[int, int] | None:
    if approval.owner_type is None or approval.owner_id is None:
        return None
    return approval.owner_type, approval.owner_id


def _owners_of(approvals: Iterable[Approval]) -> set[Owner]:
    keys = {key_of(approval) for approval in approvals}
    return {Owner(*key) for key in keys if key is not None}
