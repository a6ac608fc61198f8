"""Who reads what belongs to the portal as a whole: its own token or, where that is no good, the
person's."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from b24app.errors import AccessDenied, ChainBroken, TokenRejected
from b24app.models import Portal
from b24app.rest.client import Batch, Client
from b24app.tokens.clients import portal_client

T = TypeVar("T")


class Reader:
    """Managers may often, but not everywhere, list payments and orders themselves. `batch` is the
    portal's, or the person's own where nobody serves the portal."""

    def __init__(self, portal: Portal, person_client: Client, person_batch: Batch) -> None:
        self._person_client = person_client
        try:
            self.client = portal_client(portal)
        except ChainBroken:
            self.client, self.batch = person_client, person_batch
        else:
            self.batch = self.client.batch()

    @property
    def is_portals(self) -> bool:
        return self.client is not self._person_client

    def read(self, first: Callable[[], T], *, again: Callable[[Client], T]) -> T:
        """What `first` answers; where the installer's pair or rights are gone, the person's client
        reads from now on, by `again`. Raises the B24Error of what nobody could read."""
        try:
            return first()
        except (ChainBroken, TokenRejected, AccessDenied):
            if not self.is_portals:
                raise
        self.client = self._person_client
        return again(self.client)
