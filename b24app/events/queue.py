"""Events that are worked after they were answered: kept in the database, taken up one by one.

Bitrix24 sends an event once and slows down for handlers that keep it waiting. So the view stores
it and answers; threads of the same process do the work. Not the request's own thread, when its
response is closed: a burst would hold every thread that people's pages need. Not a pool with a
queue of its own: that would grow with the burst and be lost with the process. The database is the
queue, and a few threads empty it; what they leave behind is taken up by `manage.py work_events`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connections
from django.db.models import F, QuerySet, Window
from django.db.models.functions import RowNumber
from django.dispatch import receiver
from django.utils import timezone

from b24app.due_work import PortalTurns
from b24app.errors import B24Error, BadInput
from b24app.identity.forms import positive_id
from b24app.models import EventReceipt, Portal
from b24app.monitoring import metrics
from b24app.removal import claims, vouching
from b24app.removal.vouching import TooManyEvents
from b24app.signals import Later, payment_saved, pruning

logger = logging.getLogger(__name__)

# Whoever took an event up and did not finish within this is gone: longer than two calls of 70
# seconds each with a renewal between them, and all their retries.
LEASE = timedelta(minutes=10)
# The delays below add up to a day: a portal that is down longer has an administrator on it.
MAX_TRIES = 9
FIRST_DELAY = timedelta(seconds=30)
LONGEST_DELAY = timedelta(hours=6)
# Looked up at once, claimed one by one.
_PAGE = 20
# Each person who opens the app can post events with invented ids, so a portal has this many an
# hour: two saves for each payment of a run of 500. A payment whose event is turned away is settled
# by `manage.py reconcile`.
EVENTS_AN_HOUR = 1_000
HOUR = timedelta(hours=1)
# Events about one payment that wait at the same time: one may be in work and have read the payment
# before it was saved again; the other one reads it after that.
MOST_ON_ONE = 2
# Nobody delivers an event again after this; those of the app's own life are few, and stay.
RECEIPTS_KEPT = timedelta(days=30)
# Long after the access token in it has expired.
UNPROVED_KEPT = timedelta(days=1)


def _tell_of_payment(portal: Portal, ids: Mapping[str, Any]) -> None:
    payment_saved.send(sender=Portal, portal=portal, payment_id=ids["ID"])


_HANDLERS: dict[str, Callable[[Portal, Mapping[str, Any]], None]] = {
    "ONPAYMENTENTITYSAVED": _tell_of_payment,
}
NAMES = frozenset(_HANDLERS)


def ids_of(name: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """What a queued event is about, by the portal's own names; {} for an event that is not queued.

    Raises BadInput for an event that does not say what it is about.
    """
    if name not in NAMES:
        return {}
    fields = data.get("FIELDS")
    if not isinstance(fields, dict):
        raise BadInput("an event without fields")
    return {"ID": positive_id(fields.get("ID"))}


def put(portal: Portal, name: str, *, fingerprint: str, data: Mapping[str, Any]) -> None:
    """Keep a proved event and have it worked soon; one that is kept already stays as it is.

    Raises BadInput for an event that does not say what it is about, TooManyEvents where the portal
    has sent more than EVENTS_AN_HOUR.
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
        next_try_at=now,
    )
    # One statement, with no transaction around it: a burst passes as fast as rows are added.
    EventReceipt.objects.bulk_create([receipt], ignore_conflicts=True)
    call_workers()


def call_workers() -> None:
    """Have this process's threads look at what is due, where it has any."""
    _workers.call()


def waiting() -> QuerySet[EventReceipt]:
    """All that is not worked yet, due or not."""
    return EventReceipt.objects.filter(next_try_at__isnull=False)


metrics.add_gauge("pay_events_waiting", "Events not worked yet", lambda: waiting().count())


def work(*, stop: Callable[[], bool] = lambda: False, worked_on: set[int] | None = None) -> int:
    """Work what is due until nothing is or `stop` returns true; returns how many events that were.

    Claims of removals come first: they are few, one a portal. A portal whose events take long gets
    its next turn after the other portals. Any number of threads, processes and machines may do this
    at once: each event is claimed by one of them. Threads that share `worked_on`, ids of portals,
    never work on one portal together.
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
    count = 0
    while page := _due(turns):
        for receipt in page:
            with turns.take(receipt.portal_id) as may:
                if not (may and _claim(receipt)):
                    continue
                _carry_out(receipt)
            count += 1
            if stop():
                return count
    return count


def _due(turns: PortalTurns) -> list[EventReceipt]:
    """The first of each portal, then the second of each: many of one do not delay the others'."""
    due = waiting().filter(next_try_at__lte=timezone.now()).exclude(portal_id__in=turns.skipped())
    place = Window(
        RowNumber(), partition_by="portal_id", order_by=[F("next_try_at").asc(), F("pk").asc()]
    )
    page = due.annotate(place=place).order_by("place", "next_try_at", "pk")[:_PAGE]
    return list(page.select_related("portal"))


def _claim(receipt: EventReceipt) -> bool:
    """Every claim counts up `tries`, so of two that saw the same number one comes too late."""
    seen = waiting().filter(pk=receipt.pk, tries=receipt.tries)
    if not seen.update(tries=F("tries") + 1, next_try_at=timezone.now() + LEASE):
        return False
    receipt.tries += 1
    return True


def _carry_out(receipt: EventReceipt) -> None:
    portal = receipt.portal
    try:
        # Without the app there are no tokens, and nothing to find out.
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
        _try_again(receipt, at=_after(receipt.tries), failure=type(error).__name__)
    except Exception as error:  # A mistake of ours must not stop the others' events.
        logger.exception("%s of %s was not worked", receipt.event, portal.member_id)
        _try_again(receipt, at=_after(receipt.tries), failure=type(error).__name__)
    else:
        _note(receipt, handled_at=timezone.now(), next_try_at=None, failure="")


def _after(tries: int) -> datetime:
    delay = FIRST_DELAY * int(4 ** (tries - 1))
    return timezone.now() + min(delay, LONGEST_DELAY)


def _try_again(receipt: EventReceipt, *, at: datetime, failure: str) -> None:
    if receipt.tries >= MAX_TRIES:
        logger.error("%s of %s was given up", receipt.event, receipt.portal.member_id)
        _note(receipt, next_try_at=None, failure=failure[:64] or "Later")
        return
    _note(receipt, next_try_at=at, failure=failure[:64])


def _note(receipt: EventReceipt, **values: Any) -> None:
    """Unless somebody else has taken it up meanwhile, after our time was over."""
    EventReceipt.objects.filter(pk=receipt.pk, tries=receipt.tries).update(**values)


class _Workers:
    """At most B24_EVENT_THREADS threads of this process, each there while there is work.

    They are daemons: a process that ends does not wait for a backlog, and what it was doing is
    taken up again when the lease is over.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = 0
        # Counts calls, so that one that comes while a thread finds nothing more is not missed.
        self._calls = 0
        # Portals: a slow one holds one of the threads, and the others' events go on.
        self._worked_on: set[int] = set()

    def call(self) -> None:
        with self._lock:
            self._calls += 1
            if self._running >= settings.B24_EVENT_THREADS:
                return
            self._running += 1
        threading.Thread(target=self._run, name="b24app-events", daemon=True).start()

    def _run(self) -> None:
        seen = -1
        while self._goes_on(seen):
            seen = self._calls
            try:
                work(worked_on=self._worked_on)
            except Exception:  # The database is away: whoever calls next tries again.
                logger.exception("events are not worked")
            finally:
                # Django closes them at the end of a request, which is not here.
                connections.close_all()

    def _goes_on(self, seen: int) -> bool:
        with self._lock:
            if self._calls != seen:
                return True
            self._running -= 1
            return False

    @property
    def running(self) -> int:
        with self._lock:
            return self._running


_workers = _Workers()


@receiver(pruning)
def _prune(**kwargs: object) -> str:
    """Delete receipts too old for a second delivery of the same event, and unproved events that no
    worker asked about in time."""
    receipts, now = EventReceipt.objects.all(), timezone.now()
    over = receipts.filter(event__in=NAMES, next_try_at=None, received_at__lt=now - RECEIPTS_KEPT)
    unproved = receipts.filter(is_proved=False, received_at__lt=now - UNPROVED_KEPT)
    unproved.delete()
    count, _each = over.delete()
    return f"Events of payments: {count} receipts deleted."
