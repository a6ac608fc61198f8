"""Remembers that openings of a portal failed their proof, and bounds what further ones may cost.

Anybody can post an opening with a portal's member_id, which is no secret. Usually a screen is read
while the proof is under way, part of it with the portal's own token. While a proof of the portal
has failed lately, an opening is proved first and read afterwards.
"""

from __future__ import annotations

import time
from datetime import timedelta

from django.db import transaction
from django.db.models import F
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import salted_hmac

from b24app.errors import TooManyOpenings
from b24app.identity import client_address
from b24app.models import FailedProof, Portal, QuestionPace
from b24app.monitoring.logs import security
from b24app.signals import pruning

# How long after a failure openings are proved first. It costs each of them a round trip.
LATELY = timedelta(minutes=5)
# A flood writes the time of its last failure this often, not each time.
NOTED_AGAIN_AFTER = timedelta(seconds=30)

# Questions to the OAuth server that one network may cause about one portal: so many at once, then
# one in each interval. Questions about genuine tokens do not count.
BURST = 120
INTERVAL = timedelta(seconds=0.5)
# A person waits so long for their turn behind a flood from their own network.
LONGEST_WAIT = timedelta(seconds=3)
# Unused for so long, a row says the same as no row.
KEPT_FOR = timedelta(hours=1)

_SALT = "b24app.failed_proofs"


def lately(portal: Portal) -> bool:
    """Whether a proof of this portal has failed lately, in any process.

    Costs no statement if the portal was read with `failed_proof` joined.
    """
    found: FailedProof | None = getattr(portal, "failed_proof", None)
    return found is not None and found.last_at > timezone.now() - LATELY


def note(portal: Portal) -> None:
    """Remember that a proof of this portal has failed just now."""
    now = timezone.now()
    row, is_new = FailedProof.objects.get_or_create(portal=portal, defaults={"last_at": now})
    if not is_new and row.last_at < now - NOTED_AGAIN_AFTER:
        FailedProof.objects.filter(pk=row.pk).update(last_at=now)


def take_turn(request: HttpRequest, about: str) -> str:
    """Wait for this network's turn to have a question asked; returns what `give_back` takes.

    `about` names what is asked: questions about different things have turns of their own. Raises
    TooManyOpenings where the turn is too far off.
    """
    text = f"{about} {client_address.network_of(request)}"
    key = salted_hmac(_SALT, text, algorithm="sha256").hexdigest()
    with transaction.atomic():
        now = timezone.now()
        rows = QuestionPace.objects.select_for_update()
        row, _is_new = rows.get_or_create(key=key, defaults={"free_at": now})
        free_at = max(row.free_at, now)
        wait = free_at - BURST * INTERVAL - now
        if wait <= LONGEST_WAIT:
            row.free_at = free_at + INTERVAL
            row.save(update_fields=["free_at"])
    if wait > LONGEST_WAIT:
        security.warning("too many openings that are not proved (%s)", about)
        raise TooManyOpenings(about)
    if wait > timedelta():
        pause(wait.total_seconds())
    return key


def give_back(key: str) -> None:
    """The question was about a genuine token, so it does not count."""
    QuestionPace.objects.filter(key=key).update(free_at=F("free_at") - INTERVAL)


def pause(seconds: float) -> None:
    time.sleep(seconds)


@receiver(pruning)
def _forget(**kwargs: object) -> str:
    old = timezone.now() - KEPT_FOR
    count, _each = QuestionPace.objects.filter(free_at__lt=old).delete()
    FailedProof.objects.filter(last_at__lt=old).delete()
    return f"Openings that were not proved: {count} counters deleted."
