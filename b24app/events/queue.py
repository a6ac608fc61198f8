"""Queues events in the database; `manage.py work`, or `work_events`, handles them.

Bitrix24 sends an event once, and slows down for handlers that keep it waiting. So the view stores
the event and responds. The queue is not in memory, because it would grow with a burst of events and
be lost with the process.
https://apidocs.bitrix24.com/api-reference/events/index.html
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, QuerySet, Window
from django.db.models.functions import RowNumber
from django.dispatch import receiver
from django.utils import timezone

from b24app.errors import B24Error, BadInput
from b24app.identity.forms import positive_id
from b24app.models import EventReceipt, Portal
from b24app.monitoring import metrics
from b24app.removal import claims, vouching
from b24app.removal.vouching import TooManyEvents
from b24app.signals import Later, payment_saved, pruning
from b24app.work import due_rows
from b24app.work.due_rows import Delays, PortalTurns
from b24app.work.jobs import Job, add_job

logger = logging.getLogger(__name__)

# A worker that has not finished an event after this time has died: two calls of 70 seconds each, a
# renewal between them and all retries take less.
LEASE = timedelta(minutes=10)
# The delays before all tries add up to a day; an administrator looks after a longer outage.
MAX_TRIES = 9
DELAYS = Delays(first=timedelta(seconds=30), factor=4, longest=timedelta(hours=6))
# Events read at once; each is claimed by itself.
_PAGE = 20
# Each person who opens the app can post events with invented ids, so a portal may send this many an
# hour: two for each payment of a bulk run of 500. `manage.py reconcile` settles a payment whose
# event was refused.
EVENTS_AN_HOUR = 1_000
HOUR = timedelta(hours=1)
# Events about one payment that may wait at the same time. A worker may have read the payment for
# the first event before it was saved again; the second event makes it read once more.
MOST_ON_ONE = 2
# Receipts of queued events are kept this long: later no event is delivered again. Those of other
# events are few, and `prune` keeps them longer.
RECEIPTS_KEPT = timedelta(days=30)
# Unproved events are kept this long, because their access token expires after an hour.
UNPROVED_KEPT = timedelta(days=1)


def _send_payment_saved(portal: Portal, ids: Mapping[str, Any]) -> None:
    payment_saved.send(sender=Portal, portal=portal, payment_id=ids["ID"])


_HANDLERS: dict[str, Callable[[Portal, Mapping[str, Any]], None]] = {
    "ONPAYMENTENTITYSAVED": _send_payment_saved,
}
NAMES = frozenset(_HANDLERS)


def ids_of(name: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the ids in a queued event, such as {"ID": 7}; {} for an event that is not queued.

    Raises BadInput if a queued event has no valid id.
    """
    if name not in NAMES:
        return {}
    fields = data.get("FIELDS")
    if not isinstance(fields, dict):
        raise BadInput("an event without fields")
    return {"ID": positive_id(fields.get("ID"))}


def put(portal: Portal, name: str, *, fingerprint: str, data: Mapping[str, Any]) -> None:
    """Queues a proved event for a worker; does nothing if the event is stored already.

    Raises BadInput if the event has no valid id, TooManyEvents if the portal has sent
    EVENTS_AN_HOUR in the last hour.
    """
    ids = ids_of(name, data)
    now = timezone.now()
    of_portal = EventReceipt.objects.filter(portal=portal, event=name)
    lately = of_portal.filter(received_at__gt=now - HOUR)[:EVENTS_AN_HOUR]
    if lately.count() >= EVENTS_AN_HOUR:
        raise TooManyEvents(f"{name} of {portal.member_id}")
    if waiting().filter(portal=portal, event=name, ids=ids)[:MOST_ON_ONE].count() >= MOST_ON_ONE:
        return
    receipt = EventReceipt(
        portal=portal,
        event=name,
        fingerprint=fingerprint,
        ids=ids,
        received_at=now,
        due_at=now,
    )
    # One statement without a transaction, so that a burst of events is stored fast.
    EventReceipt.objects.bulk_create([receipt], ignore_conflicts=True)


def waiting() -> QuerySet[EventReceipt]:
    """Returns the events that still have to be handled, now or later."""
    return EventReceipt.objects.filter(due_at__isnull=False)


metrics.add_gauge("pay_events_waiting", "Events not worked yet", lambda: waiting().count())


def work(*, stop: Callable[[], bool] = lambda: False, worked_on: set[int] | None = None) -> int:
    """Handles due events until none is left or `stop` returns True; returns their number.

    Checks the claims of removals first: they are few, one for each portal. A portal whose events
    take long gets its next turn after the other portals. Any number of threads, processes and
    machines may do this at once: each event is claimed by one of them. Threads that share
    `worked_on`, the ids of portals in work, never work on one portal together.
    """
    count = claims.work(stop=stop)
    turns = PortalTurns(worked_on)
    while not stop() and (worked := _work_pass(turns, stop)):
        count += worked
        turns.start_pass()
        if stop():
            break
        turns.start_pass()
    return count


def _work_pass(turns: PortalTurns, stop: Callable[[], bool]) -> int:
    return due_rows.work_through(
        _due, _work_on, portal_id_of=lambda receipt: receipt.portal_id, turns=turns, stop=stop
    )


def _due(skipped: list[int]) -> list[EventReceipt]:
    """Returns a page of due events: the first of each portal, then the second of each, and so on.

    So many events of one portal do not delay those of the others.
    """
    due = waiting().filter(due_at__lte=timezone.now()).exclude(portal_id__in=skipped)
    place = Window(RowNumber(), partition_by="portal_id", order_by=["due_at", "pk"])
    page = due.annotate(place=place).order_by("place", "due_at", "pk")[:_PAGE]
    return list(page.select_related("portal"))


def _work_on(receipt: EventReceipt) -> bool:
    if not _claim(receipt):
        return False
    _handle(receipt)
    return True


def _claim(receipt: EventReceipt) -> bool:
    until = timezone.now() + LEASE
    if not due_rows.claim(waiting(), receipt, until=until, tries=F("tries") + 1):
        return False
    receipt.tries += 1
    return True


def _handle(receipt: EventReceipt) -> None:
    portal = receipt.portal
    try:
        # An event of a portal that removed the app is not handled: the app has no tokens there.
        if portal.uninstalled_at is None:
            if not receipt.is_proved and not vouching.prove_kept(receipt):
                receipt.delete()
                return
            if receipt.event in _HANDLERS:
                _HANDLERS[receipt.event](portal, receipt.ids)
    except Later as later:
        _try_again(receipt, at=later.until, failure="")
    except B24Error as error:
        logger.warning(
            "%s of %s: %s %r, try %s of %s",
            receipt.event,
            portal.member_id,
            type(error).__name__,
            str(error),
            receipt.tries,
            MAX_TRIES,
        )
        _try_again(receipt, at=_next_try(receipt), failure=type(error).__name__)
    except Exception as error:  # A bug in one event must not stop the rest.
        logger.exception("%s of %s was not handled", receipt.event, portal.member_id)
        _try_again(receipt, at=_next_try(receipt), failure=type(error).__name__)
    else:
        _update(receipt, handled_at=timezone.now(), due_at=None, failure="")


def _next_try(receipt: EventReceipt) -> datetime:
    return timezone.now() + DELAYS.after(receipt.tries)


def _try_again(receipt: EventReceipt, *, at: datetime, failure: str) -> None:
    if receipt.tries >= MAX_TRIES:
        logger.error("%s of %s was given up", receipt.event, receipt.portal.member_id)
        _update(receipt, due_at=None, failure=failure[:64] or "Later")
        return
    _update(receipt, due_at=at, failure=failure[:64])


def _update(receipt: EventReceipt, **values: Any) -> None:
    due_rows.claimed(waiting(), receipt).update(**values)


# Ids of portals, so that a slow portal holds only one of a worker's threads.
_worked_on: set[int] = set()

add_job(
    Job(
        "work_events",
        lambda stop: work(stop=stop, worked_on=_worked_on),
        # A person who looks at the deal sees the comment that an event posts.
        period=timedelta(seconds=1),
        missed_after=timedelta(minutes=15),
        is_shared=True,
        threads=2,
    )
)


@receiver(pruning)
def _prune(**kwargs: object) -> str:
    """Deletes receipts too old for a second delivery, and unproved events that no worker asked
    about in time."""
    receipts, now = EventReceipt.objects.all(), timezone.now()
    over = receipts.filter(event__in=NAMES, due_at=None, received_at__lt=now - RECEIPTS_KEPT)
    unproved = receipts.filter(is_proved=False, received_at__lt=now - UNPROVED_KEPT)
    unproved.delete()
    count, _each = over.delete()
    return f"Events of payments: {count} receipts deleted."
