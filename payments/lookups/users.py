"""Looks up users' names in the portal by their ids, and caches them."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from django.core.cache import cache
from django.utils.translation import gettext as _

from b24app.errors import B24Error
from b24app.identity.session import Caller
from b24app.models import Portal
from b24app.rest.client import Batch, Client, Pending
from b24app.tokens.clients import portal_client
from payments import gateway
from payments.gateway import PAGE

# Names change rarely; a list may show one that is ten minutes old.
CACHE_SECONDS = 600

# Ten requests of the fifty that a portal allows at once, or a fifth of one batch.
MOST_ASKED = 10 * PAGE

# In the cache: the portal returned no name for this user.
_UNNAMED = ""

logger = logging.getLogger(__name__)


class NamesReading:
    """Reads names from the cache, or in a batch together with other queries.

    People may see different users, so each person's client has its own cached names. Never fails: a
    user without a known name is "User 7".
    """

    def __init__(self, portal: Portal, ids: Iterable[int], *, asker_id: int | None) -> None:
        """`asker_id` is the person whose client reads, None for the portal's own token."""
        self._prefix = f"payments.people.{portal.pk}.{asker_id or 'portal'}"
        self._wanted = sorted(set(ids))
        keys = {self._key(user_id): user_id for user_id in self._wanted}
        self._known: dict[int, str] = {
            keys[key]: name for key, name in cache.get_many(keys).items()
        }
        self._asked: list[tuple[list[int], Pending[dict[int, str]]]] = []

    @property
    def missing(self) -> list[int]:
        return [user_id for user_id in self._wanted if user_id not in self._known][:MOST_ASKED]

    def ask(self, batch: Batch) -> None:
        """Adds the queries to a batch of the asker, unless all names are cached."""
        missing = self.missing
        for first in range(0, len(missing), PAGE):
            chunk = missing[first : first + PAGE]
            self._asked.append((chunk, batch.add(gateway.user_names(chunk))))

    def result(self) -> dict[int, str]:
        """Returns a name for each id; call it after the batch has run."""
        for chunk, pending in self._asked:
            try:
                found_names = pending.get()
            except B24Error as error:
                logger.warning("names of people could not be read: %s", error)
                continue
            found = {user_id: found_names.get(user_id, _UNNAMED) for user_id in chunk}
            cache.set_many(
                {self._key(user_id): name for user_id, name in found.items()}, CACHE_SECONDS
            )
            self._known.update(found)
        self._asked = []
        return {user_id: self._known.get(user_id) or unnamed(user_id) for user_id in self._wanted}

    def _key(self, user_id: int) -> str:
        return f"{self._prefix}.{user_id}"


def names(asker: Caller | Portal, ids: Iterable[int]) -> dict[int, str]:
    """Returns the users' names as the asker sees them; calls the portal if not all are cached.

    Raises nothing. The name is "User 7" if the portal does not answer, if the asker may not see the
    user, and for ids beyond MOST_ASKED.
    """
    portal, asker_id = (asker, None) if isinstance(asker, Portal) else (asker.portal, asker.user_id)
    reading = NamesReading(portal, ids, asker_id=asker_id)
    if reading.missing:
        try:
            batch = _client_of(asker).batch()
        except B24Error as error:
            logger.warning("no token can read names of people: %s", error)
        else:
            reading.ask(batch)
            batch.run()
    return reading.result()


def _client_of(asker: Caller | Portal) -> Client:
    return portal_client(asker) if isinstance(asker, Portal) else asker.client


def unnamed(user_id: int) -> str:
    return _("User %(id)s") % {"id": user_id}
