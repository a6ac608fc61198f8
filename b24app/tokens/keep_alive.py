"""Keeps the pairs that serve idle portals alive: a refresh token nobody uses dies on day 180.

Bitrix24 asks apps not to renew by the clock, so only pairs in their last days are, each once. The
people's own pairs are left alone: whoever needs one brings a new one by opening the app.
https://apidocs.bitrix24.com/settings/oauth/auto-renewal.html
"""

from __future__ import annotations

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

LIFETIME = timedelta(days=180)
# What is left of it when a pair is first renewed. Ten daily runs may fail before one is lost.
LAST_DAYS = timedelta(days=10)
# Portals that installed the app on the same day are renewed on different ones.
SPREAD = timedelta(days=5)
# For one run: some five minutes. In ten days that is 10,000 portals.
AT_MOST = 1000
# Seconds between two renewals, on average: the OAuth server is everybody's.
PAUSE = 0.2
# So many failures in a row are no portal's: the server is down, or our own set-up is wrong.
FAILURES_IN_A_ROW = 5
# Rows looked at together. No cursor stays open meanwhile: SQLite could not write beside it.
CHUNK = 200

# Of a golden ratio's fraction of 2**32, whose multiples spread evenly over any interval.
_SPREADING, _WHOLE = 2654435769, 2**32


@dataclass(frozen=True)
class Kept:
    """What has become of one pair that was due: `error` is empty where it was renewed. `ours` are
    failures that say nothing of the portal."""

    domain: str
    error: str = ""
    ours: bool = False


class NoAnswer(Exception):
    """Renewal after renewal fails for a reason that is no portal's; what is due is due tomorrow."""


def keep(*, at_most: int = AT_MOST) -> Iterator[Kept]:
    """Renew what is due, the oldest first, one after another; tell of each as it is done.

    Waits for the OAuth server. Raises NoAnswer after FAILURES_IN_A_ROW.
    """
    in_a_row = 0
    for number, pk in enumerate(_due_pks(at_most)):
        if number:
            pause(PAUSE * random.uniform(0.5, 1.5))  # noqa: S311 - nobody gains by guessing it
        kept = _keep_one(pk)
        if kept is None:
            continue
        yield kept
        in_a_row = in_a_row + 1 if kept.ours else 0
        if in_a_row >= FAILURES_IN_A_ROW:
            raise NoAnswer(kept.error)


def pause(seconds: float) -> None:
    time.sleep(seconds)


def _last_days() -> QuerySet[UserToken]:
    now = timezone.now()
    return UserToken.objects.filter(
        serves_portal=True,
        refreshed_at__gt=now - LIFETIME,
        refreshed_at__lte=now - (LIFETIME - LAST_DAYS),
        broken_code="",
        portal__installed_at__isnull=False,
        portal__uninstalled_at=None,
    )


def _due_pks(at_most: int) -> Iterator[int]:
    """By the index on the age, chunk by chunk, each from where the last one ended."""
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


def _keep_one(pk: int) -> Kept | None:
    """None if somebody else has renewed the pair since, or there is no need any more."""
    row: UserToken | None = None
    try:
        row = _last_days().select_related("portal").filter(pk=pk).first()
        if row is None:
            return None
        StoredCredentials(row).renew(row.access)
    except (ChainBroken, TokenRejected) as error:
        return Kept(_domain(pk), str(error))
    except (B24Error, WrongKey) as error:
        return Kept(_domain(pk), str(error) or type(error).__name__, ours=True)
    return Kept(row.portal.domain)


def _domain(pk: int) -> str:
    domains = UserToken.objects.filter(pk=pk).values_list("portal__domain", flat=True)
    return domains.first() or ""
