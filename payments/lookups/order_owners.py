"""Which deals and invoices orders belong to: the portal's answer, remembered for some minutes."""

from __future__ import annotations

from collections.abc import Collection

from django.core.cache import cache

from b24app.models import Portal
from b24app.rest.client import Batch, Client, Pending
from payments import gateway
from payments.gateway import PAGE, BindingsPage, Owner

# An order is bound when it is made and stays there. Where it is moved all the same, the list shows
# it in its old place for so long; paying asks the deal itself.
CACHE_SECONDS = 300

# More pages than the first of a list of fifty orders: enough for ten objects an order.
FURTHER_PAGES = 9


class OrderOwners:
    """Make it, `ask` where `is_known` is false, and after that batch has run, `collect`."""

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
        self._asked: list[tuple[list[int], Pending[BindingsPage]]] = []

    @property
    def is_known(self) -> bool:
        return not self._missing

    def ask(self, batch: Batch) -> None:
        for first in range(0, len(self._missing), PAGE):
            chunk = self._missing[first : first + PAGE]
            self._asked.append((chunk, batch.add(gateway.bindings(chunk))))

    def collect(self, client: Client) -> None:
        """Takes the answers; `client` reads on where an order belongs to so many objects that its
        page was too short. Raises the B24Error of what could not be read."""
        found: dict[int, list[Owner]] = {order_id: [] for order_id in self._missing}
        is_whole = True
        for chunk, pending in self._asked:
            page = pending.get()
            for _ in range(FURTHER_PAGES):
                _sort_in(page, found)
                is_whole &= page.is_whole
                if page.next is None:
                    break
                page = client.read(gateway.bindings(chunk, start=page.next))
            else:
                _sort_in(page, found)
                is_whole &= page.is_whole
        self._owners.update({order_id: tuple(owners) for order_id, owners in found.items()})
        self._missing = []
        if is_whole:  # A row that cannot be read now may be readable the next time.
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


def _sort_in(page: BindingsPage, found: dict[int, list[Owner]]) -> None:
    """Rows of other orders are not ours: a filter that was not understood brings them."""
    for binding in page.bindings:
        if binding.order_id in found:
            found[binding.order_id].append(binding.owner)
