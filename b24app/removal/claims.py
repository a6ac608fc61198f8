"""Checks claims that the app was removed from a portal, and removes it if they are true.

Each person who opens the app can post the event of a removal, so the event alone changes nothing.
A worker asks the portal and the OAuth server, and `evidence.py` decides by their answers:

    REMOVED    Tokens and sessions end at once; the data stay for B24_REMOVAL_GRACE_DAYS.
    INSTALLED  Nothing changes. The worker asks again after 1, 10 and 60 minutes and a day, because
               the OAuth server may learn of a removal later than the portal. Then it refuses the
               claim.
    UNKNOWN    The worker asks again at the same times, then daily until the grace time since the
               claim is over. Then it refuses the claim; but if no pair is left to ask with, it
               accepts the claim, because the app was not opened in all that time.

A proved opening or an installation ends the claim at any time.
https://apidocs.bitrix24.com/settings/app-uninstallation.html
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet, Value
from django.db.models.functions import Least
from django.utils import timezone

from b24app.models import Portal, RemovalClaim, UserToken
from b24app.monitoring.logs import security
from b24app.removal.evidence import PortalSays, ServerSays, Verdict, ask, decide

logger = logging.getLogger(__name__)

# From the first question of a round to the others.
ASKED_AFTER = (timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=1), timedelta(days=1))
# Between the later questions about a claim that is still undecided.
ASKED_DAILY = timedelta(days=1)
# From the last question about a refused claim to the first about the next claim, so that a person
# who posts the event all day causes some forty questions.
QUIET = timedelta(hours=1)
# A worker that has not finished a claim after this time has died: the calls with three pairs, and
# all their retries, take less.
LEASE = timedelta(minutes=10)

_State = RemovalClaim.State


def claim(portal: Portal, *, clean: bool) -> None:
    """Stores the claim for a worker. Calls no server.

    If a claim is open already, another round of questions follows its present round. `clean` counts
    only if every event of the round has it: a forged event must not delete data that the
    administrator wanted to keep.
    """
    now = timezone.now()
    values = {"with_data": clean, "claimed_at": now, "asked_from": now, "next_ask_at": now}
    row, is_new = RemovalClaim.objects.get_or_create(portal=portal, defaults=values)
    if is_new:
        return
    rows = RemovalClaim.objects.filter(pk=row.pk)
    begin = max(now, (row.asked_at or row.claimed_at) + QUIET)
    if rows.filter(state=_State.REFUSED).update(
        **values | {"asked_from": begin, "next_ask_at": begin},
        state=_State.OPEN,
        asks=0,
        heard_again=False,
    ):
        return
    is_open = rows.filter(state=_State.OPEN)
    if not clean:
        is_open.update(with_data=False)
    is_open.filter(heard_again=False).update(
        heard_again=True, next_ask_at=Least(F("next_ask_at"), Value(now + QUIET))
    )


def open_claim(portal: Portal) -> RemovalClaim | None:
    """Returns the portal's open claim, or None. Makes no query if `removal_claim` was joined."""
    found: RemovalClaim | None = getattr(portal, "removal_claim", None)
    return found if found is not None and found.state == _State.OPEN else None


def refuse(portal: Portal) -> None:
    """Ends the open claim: an opening or an event was proved, so the app is installed."""
    rows = RemovalClaim.objects.filter(portal=portal, state=_State.OPEN)
    if rows.update(state=_State.REFUSED, next_ask_at=None):
        security.warning(
            "claim of a removal refused: the app was opened (member_id %s)", portal.member_id
        )


@transaction.atomic
def end_grace_time(portal: Portal) -> bool:
    """Ends the grace time: the app was opened again. Returns False if the data are erased."""
    locked = Portal.objects.select_for_update().get(pk=portal.pk)
    claims = RemovalClaim.objects.filter(portal=portal, state=_State.REMOVED)
    if locked.uninstalled_at is not None and not claims.delete()[0]:
        return False
    portal.uninstalled_at = portal.bindings_checked_at = None
    portal.session_generation = locked.session_generation
    portal.save(update_fields=["uninstalled_at", "bindings_checked_at"])
    security.warning("portal taken up again (member_id %s)", portal.member_id)
    return True


def due() -> QuerySet[RemovalClaim]:
    return RemovalClaim.objects.filter(state=_State.OPEN, next_ask_at__lte=timezone.now())


def work(*, stop: Callable[[], bool] = lambda: False) -> int:
    """Works on the due claims; waits for the servers. Returns how many claims it worked on.

    Any number of processes may do this at once: each claim is taken by one of them.
    """
    count = 0
    for found in due().select_related("portal").order_by("next_ask_at", "pk"):
        if stop():
            break
        if not _take(found):
            continue
        count += 1
        try:
            _check(found)
        except Exception:  # A bug in one claim must not stop the rest; the lease ends by itself.
            logger.exception("%s was not checked", found)
    return count


def _take(found: RemovalClaim) -> bool:
    """Takes a claim. Returns False if another worker was faster.

    Taking increments `asks`, so the UPDATE of the second worker matches no row.
    """
    now = timezone.now()
    if not _taken(found).update(asks=F("asks") + 1, asked_at=now, next_ask_at=now + LEASE):
        return False
    found.asks += 1
    return True


def _taken(found: RemovalClaim) -> QuerySet[RemovalClaim]:
    """Returns the row; no row if the claim has ended or another worker has taken it since."""
    return RemovalClaim.objects.filter(pk=found.pk, state=_State.OPEN, asks=found.asks)


def _check(found: RemovalClaim) -> None:
    said_by_portal, said_by_server = ask(found.portal)
    _taken(found).update(portal_said=said_by_portal, server_said=said_by_server)
    verdict = decide(said_by_portal, said_by_server)
    now = timezone.now()
    grace = timedelta(days=settings.B24_REMOVAL_GRACE_DAYS)
    if verdict is Verdict.REMOVED:
        _remove(found, erase_after=now + grace)
        return
    _log(found, verdict, said_by_portal, said_by_server)
    next_at = _next_question(found, now, gives_up_at=found.claimed_at + grace, verdict=verdict)
    if next_at is not None:
        _taken(found).update(next_ask_at=next_at)
    elif verdict is Verdict.UNKNOWN and said_by_server is ServerSays.CHAIN_SPENT:
        # The grace time is over already, and no opening has brought a pair in it.
        _remove(found, erase_after=now)
    else:
        _end_round(found, now)


def _log(
    found: RemovalClaim, verdict: Verdict, portal_said: PortalSays, server_said: ServerSays
) -> None:
    security.warning(
        "claim of a removal is %s: the portal says %r, the OAuth server %r (member_id %s)",
        "not true" if verdict is Verdict.INSTALLED else "not decided",
        str(portal_said),
        str(server_said),
        found.portal.member_id,
    )


def _next_question(
    found: RemovalClaim, now: datetime, *, gives_up_at: datetime, verdict: Verdict
) -> datetime | None:
    """Returns when to ask again in this round; None if the round is over."""
    if found.asks <= len(ASKED_AFTER):
        return max(found.asked_from + ASKED_AFTER[found.asks - 1], now + ASKED_AFTER[0])
    if verdict is Verdict.UNKNOWN and now < gives_up_at:
        return min(now + ASKED_DAILY, gives_up_at)
    return None


def _end_round(found: RemovalClaim, now: datetime) -> None:
    """Refuses the claim; begins a new round if its event came again meanwhile."""
    refused = {"state": _State.REFUSED, "next_ask_at": None}
    if _taken(found).filter(heard_again=False).update(**refused):
        security.warning("claim of a removal refused (member_id %s)", found.portal.member_id)
        return
    begin = now + QUIET
    _taken(found).update(
        heard_again=False, asks=0, claimed_at=now, asked_from=begin, next_ask_at=begin
    )


@transaction.atomic
def _remove(found: RemovalClaim, *, erase_after: datetime) -> None:
    """Ends the portal's tokens, application_token and sessions; its data stay.

    Locks the portal's row, then the claim's, then the serving pair's and the other pairs', so that
    an opening or a renewal in progress ends first.
    """
    now = timezone.now()
    portal = Portal.objects.select_for_update(no_key=True).get(pk=found.portal_id)
    removed = {"removed_at": now, "erase_after": erase_after, "next_ask_at": None}
    if not _taken(found).update(state=_State.REMOVED, **removed):
        return
    pairs = UserToken.objects.filter(portal=portal).order_by("-serves_portal", "pk")
    list(pairs.select_for_update().values_list("pk"))
    UserToken.objects.filter(portal=portal).delete()
    Portal.objects.filter(pk=portal.pk).update(
        application_token="",
        uninstalled_at=now,
        session_generation=F("session_generation") + 1,
        bindings_checked_at=None,
    )
    security.info("portal uninstalled (member_id %s)", portal.member_id)
