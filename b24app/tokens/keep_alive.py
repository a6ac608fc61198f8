"""Renews the pairs that serve idle portals before they expire: a refresh token lives 180 days.

Bitrix24 asks apps not to renew tokens regularly, so each pair is renewed once, in its last days.
People's own pairs are not renewed here: a person brings a new pair by opening the app.
https://apidocs.bitrix24.com/settings/oauth/auto-renewal.html
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Q, QuerySet
from django.utils import timezone

from b24app.encryption import WrongKey
from b24app.errors import B24Error, ChainBroken, TokenRejected
from b24app.models import UserToken
from b24app.tokens.store import StoredCredentials
from b24app.work.jobs import Job, Stop, add_job

logger = logging.getLogger(__name__)

LIFETIME = timedelta(days=180)
# A pair is renewed in its last ten days, so ten daily runs may fail before it is lost.
LAST_DAYS = timedelta(days=10)
# Portals that installed the app on the same day are renewed on different days.
SPREAD = timedelta(days=5)
# Renewals in one run, which take some five minutes. In ten days that is 10,000 portals.
AT_MOST = 1000
# Average seconds between two renewals: other apps use the OAuth server too.
PAUSE = 0.2
# After this many failures in a row the OAuth server is down or our own set-up is wrong.
FAILURES_IN_A_ROW = 5
# Rows read together. No cursor stays open meanwhile, because SQLite could not write beside it.
CHUNK = 200

# The golden ratio's fraction of 2**32, whose multiples spread evenly over any interval.
_SPREADING, _WHOLE = 2654435769, 2**32


@dataclass(frozen=True)
class Renewal:
    """The outcome of one renewal."""

    domain: str
    error: str = ""  # "" for a success
    is_general: bool = False  # whether the failure says nothing about this portal


class NoAnswer(Exception):
    """FAILURES_IN_A_ROW renewals failed for a general reason; the next run retries them."""


def renew_due(*, at_most: int = AT_MOST) -> Iterator[Renewal]:
    """Renews the due pairs one after another, the oldest first, and yields each outcome.

    Waits for the OAuth server. Raises NoAnswer after FAILURES_IN_A_ROW general failures.
    """
    in_a_row = 0
    for number, pk in enumerate(_due_pks(at_most)):
        if number:
            pause(PAUSE * random.uniform(0.5, 1.5))  # noqa: S311 - not a secret
        renewal = _renew_one(pk)
        if renewal is None:
            continue
        yield renewal
        in_a_row = in_a_row + 1 if renewal.is_general else 0
        if in_a_row >= FAILURES_IN_A_ROW:
            raise NoAnswer(renewal.error)


def _keep(stop: Stop) -> int:
    renewed = 0
    for renewal in renew_due():
        if renewal.error:
            logger.warning("%s: not renewed: %s", renewal.domain, renewal.error)
        renewed += not renewal.error
        if stop():
            break
    return renewed


add_job(Job("keep_tokens", _keep, period=timedelta(days=1), missed_after=timedelta(days=2)))


def pause(seconds: float) -> None:
    time.sleep(seconds)


def _last_days() -> QuerySet[UserToken]:
    now = timezone.now()
    return UserToken.objects.filter(
        serves_portal=True,
        refreshed_at__gt=now - LIFETIME,
        refreshed_at__lte=now - (LIFETIME - LAST_DAYS),
        failure_code="",
        portal__installed_at__isnull=False,
        portal__uninstalled_at=None,
    )


def _due_pks(at_most: int) -> Iterator[int]:
    """Yields the ids of due pairs, the oldest first, and reads them in chunks by the age index."""
    rows = _last_days().order_by("refreshed_at", "pk").values_list("refreshed_at", "pk")
    given = 0
    chunk = list(rows[:CHUNK])
    while chunk:
        for refreshed_at, pk in chunk:
            if given >= at_most:
                return
            if refreshed_at + LIFETIME - LAST_DAYS + _spread(pk) <= timezone.now():
                given += 1
                yield pk
        last_at, last_pk = chunk[-1]
        after = Q(refreshed_at__gt=last_at) | Q(refreshed_at=last_at, pk__gt=last_pk)
        chunk = list(rows.filter(after)[:CHUNK])


def _spread(pk: int) -> timedelta:
    return SPREAD * (pk * _SPREADING % _WHOLE / _WHOLE)


def _renew_one(pk: int) -> Renewal | None:
    """Renews one pair. Returns None if it was renewed since, or need not be renewed any more."""
    row: UserToken | None = None
    try:
        row = _last_days().select_related("portal").filter(pk=pk).first()
        if row is None:
            return None
        StoredCredentials(row).renew(row.access)
    except (ChainBroken, TokenRejected) as error:
        return Renewal(_domain(pk), str(error))
    except (B24Error, WrongKey) as error:
        return Renewal(_domain(pk), str(error) or type(error).__name__, is_general=True)
    return Renewal(row.portal.domain)


def _domain(pk: int) -> str:
    domains = UserToken.objects.filter(pk=pk).values_list("portal__domain", flat=True)
    return domains.first() or ""
