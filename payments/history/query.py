"""Reads attempts in pages and in chunks, newest first; each costs the same wherever it begins."""

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
    attempts: list[Attempt]
    next_before: int | None  # The last attempt's id, for the next page; None on the last page.


def visible_to(portal: Portal, user_id: int, *, is_admin: bool) -> AttemptQuerySet:
    """Returns all attempts of the portal for its administrator, else the person's own attempts.

    The portal itself has to confirm `is_admin`; see `scope_of`.
    """
    attempts = Attempt.objects.filter(portal=portal)
    return attempts if is_admin else attempts.filter(user_id=user_id)


def page(
    visible: AttemptQuerySet, wanted: Filter, *, before: int | None = None, size: int = PAGE
) -> Page:
    """Returns the page of matching attempts that follows the attempt `before`.

    Raises Missing if `before` is not among the visible attempts.
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
    """Yields all matching attempts, newest first, `size` at a time.

    Runs one statement for each chunk, so that no transaction stays open while a browser reads
    slowly.
    """
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
    # The first condition lets the index be used; the second orders attempts made at the same time.
    return Q(created_at__lte=above.created_at) & (
        Q(created_at__lt=above.created_at) | Q(pk__lt=above.pk)
    )
