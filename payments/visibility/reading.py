"""Reads the payments of one screen: the start that all readings share.

A reading is used in three steps, so that one round trip serves several needs: make it, run its
`batches` together (an opening adds its proof to `user_batch` first), call `listing`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from django.utils import timezone

from b24app.identity.session import Person
from b24app.models import Portal
from b24app.rest.client import Client
from payments import gateway
from payments.gateway import Payment, Rows
from payments.lookups.pay_systems import SystemsReading
from payments.lookups.reader import Reader
from payments.visibility.permitted import PermittedPayments, seen_of
from payments.visibility.rows import Listing, listing


class Reading(ABC):
    """`_permitted` of each kind of reading finds the payments; the rest is the same for all."""

    def __init__(self, portal: Portal, client: Client) -> None:
        """`client` calls with the token of the person who looks."""
        self._portal, self._client = portal, client
        self._made_at = timezone.now()
        self.user_batch = client.batch()
        self.batches = [self.user_batch]
        self._right = self.user_batch.add(gateway.order_right())
        self._systems = SystemsReading(portal)

    def listing(self, person: Person, *, is_admin: bool = False) -> Listing:
        """Returns the rows, once `run_batches(*reading.batches)` has run; may wait for the portal
        again. An administrator can read the pay systems where the portal's token cannot.

        Raises AccessDenied where the person may not read the item that the screen belongs to,
        another B24Error where it could not be read.
        """
        found = self._permitted(is_admin=is_admin)
        systems = self._systems
        return listing(
            person,
            found.seen,
            may_pay=self._right.get(),
            systems=systems.result_for_admin(self._client) if is_admin else systems.result(),
            made_at=self._made_at,
            next_before=found.next_before,
            is_admin=is_admin,
            unreadable=found.unreadable,
        )

    @abstractmethod
    def _permitted(self, *, is_admin: bool) -> PermittedPayments: ...


class PortalReading(Reading):
    """Reads payments and orders with the portal's token, then what this person may see of them."""

    def __init__(self, portal: Portal, client: Client) -> None:
        super().__init__(portal, client)
        self._source = Reader(portal, client, self.user_batch)
        if self._source.is_portals:
            self.batches.append(self._source.batch)
            self._systems.ask(self._source.batch)

    def _seen(self, payments: Rows[Payment], *, is_admin: bool) -> PermittedPayments:
        return seen_of(
            payments,
            portal=self._portal,
            source=self._source.client,
            person_client=self._client,
            is_admin=is_admin,
        )
