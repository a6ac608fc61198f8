"""Records failed proofs of openings, and limits the questions that further ones may cause.

Anyone can post an opening with a portal's member_id, which is no secret. Usually the app reads a
screen at the same time as it proves the opening, in part with the portal's own token. For a while
after a failed proof, it proves each opening of that portal first, and then reads the screen.
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

# For this long after a failure openings are proved first, which costs each a round trip.
LATELY = timedelta(minutes=5)
# During a flood, the time of the last failure is stored this often, not each time.
RECORDED_AGAIN_AFTER = timedelta(seconds=30)

# Questions to the OAuth server that one network may cause about one portal: BURST at once, then one
# in each INTERVAL. Questions about genuine tokens do not count.
BURST = 120
INTERVAL = timedelta(seconds=0.5)
# A person waits at most this long for a turn during a flood from their own network.
LONGEST_WAIT = timedelta(seconds=3)
# A row that was not used for this long has no effect any more, and is deleted.
KEPT_FOR = timedelta(hours=1)

_SALT = "b24app.failed_proofs"


def failed_lately(portal: Portal) -> bool:
    """Whether a proof of this portal has failed lately, in any process.

    Makes no query if the portal was read with `failed_proof` joined.
    """
    found: FailedProof | None = getattr(portal, "failed_proof", None)
    return found is not None and found.last_at > timezone.now() - LATELY


def record(portal: Portal) -> None:
    """Records that a proof of this portal has failed now."""
    now = timezone.now()
    row, is_new = FailedProof.objects.get_or_create(portal=portal, defaults={"last_at": now})
    if not is_new and row.last_at < now - RECORDED_AGAIN_AFTER:
        FailedProof.objects.filter(pk=row.pk).update(last_at=now)


def take_turn(request: HttpRequest, about: str) -> str:
    """Waits for this network's turn for a question to the OAuth server.

    `about` is what the question is about, such as a member_id; each has its own turns. Returns a
    key for `give_back`. Raises TooManyOpenings if the turn is more than LONGEST_WAIT away.
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
    """Gives a turn back after a question about a genuine token, which does not count."""
    QuestionPace.objects.filter(key=key).update(free_at=F("free_at") - INTERVAL)


def pause(seconds: float) -> None:
    time.sleep(seconds)


@receiver(pruning)
def _forget(**kwargs: object) -> str:
    old = timezone.now() - KEPT_FOR
    count, _each = QuestionPace.objects.filter(free_at__lt=old).delete()
    FailedProof.objects.filter(last_at__lt=old).delete()
    return f"Openings that were not proved: {count} counters deleted."
