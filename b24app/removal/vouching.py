"""Events with an application_token that is not the stored one: does Bitrix24 vouch for them?

Such an event brings an access token, and the OAuth server and the portal say whose it is. Each
question is a call, and anyone can post an event, so a portal has one question in ASKED_EVERY, over
all processes. Bitrix24 sends an event once: one that comes too early is kept with its tokens,
encrypted, and a worker asks when its turn has come.
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

# Six questions a minute: a burst of forged events delays a genuine one by its number of turns.
ASKED_EVERY = timedelta(seconds=10)
# An event is turned away where its turn would come later: sixty wait at the most. An access token
# lives an hour, and the next administrator's opening brings the application_token as well.
LONGEST_WAIT = timedelta(minutes=10)
# What a queued event is still asked about; later its access token has expired.
TOKENS_LIVE = timedelta(hours=1)

# The events that bring a new application_token, because the old one ended with them.
BRING_TOKENS = frozenset({"ONAPPINSTALL", "ONAPPUPDATE"})


class TooManyEvents(FrameError):
    """More events of this portal wait than are worked soon."""

    status = 429
    sentence_by_default = "too_many_events"


@dataclass(frozen=True)
class Proof:
    """The tokens that an event was posted with."""

    application_token: str = field(repr=False)
    access_token: str = field(repr=False)
    server_endpoint: str | None

    def packed(self) -> str:
        return json.dumps(asdict(self))


@transaction.atomic
def reserve_turn(portal: Portal) -> datetime:
    """When the next question about this portal may be asked; that turn is taken by this call.

    Raises TooManyEvents where that is later than LONGEST_WAIT from now.
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
    """Keep an unproved event until its turn; one that is kept already stays as it is."""
    receipt = EventReceipt(
        portal=portal,
        event=name,
        fingerprint=fingerprint,
        ids=dict(ids),
        is_proved=False,
        proof=proof.packed(),
        next_try_at=ask_at,
    )
    EventReceipt.objects.bulk_create([receipt], ignore_conflicts=True)


def is_vouched_for(portal: Portal, proof: Proof) -> bool:
    """Whether the access token is this app's, of this portal, and an administrator's.

    Each person of the portal holds a token of theirs in the browser: without the last condition
    they could set an application_token that they made up, and forge every event from then on.
    Raises a B24Error where either server did not say.
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
    """Keep the application_token of a proved event. An update drops event bindings: the next
    administrator who opens the app restores them."""
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
    """The same for an event that Bitrix24 vouches for: a proof that the app is installed."""
    if name not in BRING_TOKENS:
        security.warning("a new application_token was taken (member_id %s)", portal.member_id)
    accept(portal, name, application_token)
    claims.refuse(portal)


def prove_kept(receipt: EventReceipt) -> bool:
    """Ask about a kept event; its tokens are forgotten with the answer. False where the event is
    refused. Raises a B24Error where neither server said anything."""
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
