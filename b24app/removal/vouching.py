"""Asks Bitrix24 to vouch for events whose application_token is not the stored one.

Such an event has an access token, and the OAuth server and the portal say whose it is. Each
question costs calls, and anyone can post an event, so all processes together ask one question in
ASKED_EVERY for a portal. Bitrix24 sends an event once, so an event that must wait for its turn is
stored with its encrypted tokens, and a worker asks later.
https://apidocs.bitrix24.com/api-reference/events/safe-event-handlers.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from b24app.errors import FrameError, OpeningRefused, QueryLimit, Refused
from b24app.models import EventReceipt, Portal
from b24app.monitoring.logs import security
from b24app.removal import claims
from b24app.rest import shares
from b24app.rest.client import Client
from b24app.tokens.proof import PROFILE, PostedCredentials, owner_of

# Six questions a minute: each forged event delays a genuine one by one turn.
ASKED_EVERY = timedelta(seconds=10)
# An event is refused if its turn would come later, so at most sixty wait. An access token lives an
# hour, and the next administrator's opening brings the application_token too.
LONGEST_WAIT = timedelta(minutes=10)
# An older queued event is refused, because its access token has expired.
TOKENS_LIVE = timedelta(hours=1)

# The events that replace the application_token.
BRING_TOKENS = frozenset({"ONAPPINSTALL", "ONAPPUPDATE"})


class TooManyEvents(FrameError):
    """Too many events of this portal are waiting."""

    status = 429
    sentence_by_default = "too_many_events"


@dataclass(frozen=True)
class Proof:
    """The tokens that an event was posted with."""

    application_token: str = field(repr=False)
    access_token: str = field(repr=False)
    server_endpoint: str | None

    def to_json(self) -> str:
        return json.dumps(asdict(self))


@transaction.atomic
def reserve_turn(portal: Portal) -> datetime:
    """Reserves the next turn for a question about this portal, and returns its time.

    Raises TooManyEvents if the turn is more than LONGEST_WAIT away.
    """
    now = timezone.now()
    rows = Portal.objects.select_for_update(no_key=True).filter(pk=portal.pk)
    turn = max(now, rows.values_list("next_question_at", flat=True).get() or now)
    if turn > now + LONGEST_WAIT:
        raise TooManyEvents(f"events of {portal.member_id}")
    rows.update(next_question_at=turn + ASKED_EVERY)
    return turn


def keep(
    portal: Portal,
    name: str,
    proof: Proof,
    *,
    fingerprint: str,
    ids: Mapping[str, Any],
    ask_at: datetime,
) -> None:
    """Stores an unproved event until its turn; does nothing if it is stored already."""
    receipt = EventReceipt(
        portal=portal,
        event=name,
        fingerprint=fingerprint,
        ids=dict(ids),
        is_proved=False,
        proof=proof.to_json(),
        due_at=ask_at,
    )
    EventReceipt.objects.bulk_create([receipt], ignore_conflicts=True)


def is_vouched_for(portal: Portal, proof: Proof) -> bool:
    """Whether the access token is of this app, this portal and an administrator.

    Each person of the portal has an access token in the browser. If any token were accepted, any
    person could set an invented application_token and then forge every event.
    Raises a B24Error if a server gave no answer.
    """
    shares.admit(portal.client_endpoint)
    try:
        owner = owner_of(
            proof.access_token,
            member_id=portal.member_id,
            server_endpoint=proof.server_endpoint,
        )
        client = Client(portal.client_endpoint, PostedCredentials(proof.access_token))
        profile = client.read(PROFILE)
    except QueryLimit:
        raise
    except (OpeningRefused, Refused):
        return False
    return profile.is_admin and profile.user_id == owner.user_id


def accept(portal: Portal, name: str, application_token: str) -> None:
    """Stores the application_token of a proved event.

    An update drops event bindings; the next administrator who opens the app restores them.
    """
    values: dict[str, Any] = {}
    if application_token != portal.application_token:
        values["application_token"] = application_token
    if name == "ONAPPUPDATE":
        values["bindings_checked_at"] = None
    for column, value in values.items():
        setattr(portal, column, value)
    if values:
        portal.save(update_fields=list(values))


def accept_vouched(portal: Portal, name: str, application_token: str) -> None:
    """Does the same as `accept` for an event that Bitrix24 vouches for.

    The event also proves that the app is installed, so it ends a claim of a removal.
    """
    if name not in BRING_TOKENS:
        security.warning("a new application_token was taken (member_id %s)", portal.member_id)
    accept(portal, name, application_token)
    claims.refuse(portal)


def prove_kept(receipt: EventReceipt) -> bool:
    """Asks about a stored event, and forgets its tokens with the answer.

    Returns False if the event is refused. Raises a B24Error if the servers gave no answer.
    """
    proof = Proof(**json.loads(receipt.proof))
    is_late = timezone.now() > receipt.received_at + TOKENS_LIVE
    if is_late or not is_vouched_for(receipt.portal, proof):
        security.warning(
            "event refused: not vouched for (event %s, member_id %s)",
            receipt.event,
            receipt.portal.member_id,
        )
        return False
    accept_vouched(receipt.portal, receipt.event, proof.application_token)
    receipt.is_proved = True
    EventReceipt.objects.filter(pk=receipt.pk).update(is_proved=True, proof="")
    return True
