"""The history page by page, newest first: a page costs the same wherever it begins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import Q

from b24app.errors import Missing
from b24app.models import Portal
from payments.history.filters import Filter
from payments.models import Attempt, AttemptQuerySet

# As long as the other lists.
PAGE = 50


@dataclass(frozen=True)
class Page:
    """`next_before` is the last one's number where there is more, for the page below."""

    attempts: list[Attempt]
    next_before: int | None


def visible_to(portal: Portal, user_id: int, *, is_admin: bool) -> AttemptQuerySet:
    """Their own, and all of their portal for whom the portal itself calls its administrator."""
    attempts = Attempt.objects.filter(portal=portal)
    return attempts if is_admin else attempts.filter(user_id=user_id)


def page(
    visible: AttemptQuerySet, wanted: Filter, *, before: int | None = None, size: int = PAGE
) -> Page:
    """What is wanted of what is visible, from below the attempt `before` on.

    Raises Missing where there is no such attempt to be seen.
    """
    found = _newest_first(visible, wanted)
    if before is not None:
        above = visible.filter(pk=before).only("pk", "created_at").first()
        if above is None:
            raise Missing("no such attempt in this history")
        found = found.filter(_below(above))
    attempts = list(found[: size + 1])
    more = len(attempts) > size
    attempts = attempts[:size]
    return Page(attempts, attempts[-1].pk if more else None)


def in_chunks(visible: AttemptQuerySet, wanted: Filter, *, size: int) -> Iterator[list[Attempt]]:
    """All that is wanted, newest first: so many rows in memory at once, and each chunk a statement
    of its own, so that no transaction stays open while somebody reads slowly."""
    found = _newest_first(visible, wanted)
    chunk = list(found[:size])
    while chunk:
        yield chunk
        if len(chunk) < size:
            return
        chunk = list(found.filter(_below(chunk[-1]))[:size])


def _newest_first(visible: AttemptQuerySet, wanted: Filter) -> AttemptQuerySet:
    return visible.filter(wanted.conditions()).order_by("-created_at", "-pk")


def _below(above: Attempt) -> Q:
    """The first condition is the one that an index can begin at; several are made at one time."""
    return Q(created_at__lte=above.created_at) & (
        Q(created_at__lt=above.created_at) | Q(pk__lt=above.pk)
    )
