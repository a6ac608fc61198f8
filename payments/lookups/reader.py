"""Chooses the token that reads the portal's data: the portal's own, else the person's."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from b24app.errors import AccessDenied, ChainBroken, TokenRejected
from b24app.models import Portal
from b24app.rest.client import Batch, Client
from b24app.tokens.clients import portal_client

T = TypeVar("T")


class Reader:
    """Reads by the portal's token, or by the person's if the portal has no working token.

    Most portals, but not all, let managers list payments and orders themselves.
    """

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
        """Returns `first()`. If the portal's token or its rights are gone, switches to the person's
        client and returns `again(client)`.

        Raises the B24Error of the last of them.
        """
        try:
            return first()
        except (ChainBroken, TokenRejected, AccessDenied):
            if not self.is_portals:
                raise
        self.client = self._person_client
        return again(self.client)
