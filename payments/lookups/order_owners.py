"""Looks up the deals and invoices that orders belong to, and caches them."""

from __future__ import annotations

from collections.abc import Collection

from django.core.cache import cache

from b24app.models import Portal
from b24app.rest.client import Batch, Client, Pending
from payments import gateway
from payments.gateway import PAGE, OrderLinksPage, Owner

# Orders rarely move to another deal. A list shows a moved order at its old deal for this long;
# paying reads the deal itself.
CACHE_SECONDS = 300

# Pages after the first one for fifty orders: enough for ten deals an order.
FURTHER_PAGES = 9


class OrderOwners:
    """The owners of some orders.

    If `is_known` is False, call `ask` with a batch, run the batch, then call `collect`.
    """

    def __init__(self, portal: Portal, order_ids: Collection[int]) -> None:
        self._keys = {
            order_id: f"payments.order_owners.{portal.pk}.{order_id}" for order_id in order_ids
        }
        cached = cache.get_many(self._keys.values())
        self._owners: dict[int, tuple[Owner, ...]] = {
            order_id: tuple(Owner(*pair) for pair in cached[key])
            for order_id, key in self._keys.items()
            if key in cached
        }
        self._missing = [order_id for order_id in self._keys if order_id not in self._owners]
        self._asked: list[tuple[list[int], Pending[OrderLinksPage]]] = []

    @property
    def is_known(self) -> bool:
        return not self._missing

    def ask(self, batch: Batch) -> None:
        for first in range(0, len(self._missing), PAGE):
            chunk = self._missing[first : first + PAGE]
            self._asked.append((chunk, batch.add(gateway.order_links(chunk))))

    def collect(self, client: Client) -> None:
        """Stores the answers. `client` reads the further pages of orders with many owners.

        Raises the B24Error of an answer that could not be read.
        """
        found: dict[int, list[Owner]] = {order_id: [] for order_id in self._missing}
        is_whole = True
        for chunk, pending in self._asked:
            page = pending.get()
            for _ in range(FURTHER_PAGES):
                _add_owners(page, found)
                is_whole &= page.is_whole
                if page.next is None:
                    break
                page = client.read(gateway.order_links(chunk, start=page.next))
            else:
                _add_owners(page, found)
                is_whole &= page.is_whole
        self._owners.update({order_id: tuple(owners) for order_id, owners in found.items()})
        self._missing = []
        if is_whole:  # Else a row that is unreadable now may be readable next time.
            cache.set_many(
                {
                    self._keys[order_id]: [owner.key for owner in owners]
                    for order_id, owners in found.items()
                },
                CACHE_SECONDS,
            )

    def of(self, order_id: int | None) -> tuple[Owner, ...]:
        return self._owners.get(order_id, ()) if order_id is not None else ()

    def all(self) -> set[Owner]:
        return {owner for owners in self._owners.values() for owner in owners}


def _add_owners(page: OrderLinksPage, found: dict[int, list[Owner]]) -> None:
    """Adds the owners of the orders in `found`; a server that ignores the filter sends others."""
    for link in page.links:
        if link.order_id in found:
            found[link.order_id].append(link.owner)
