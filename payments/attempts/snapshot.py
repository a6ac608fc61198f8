"""Reads the payment, its order and the pay systems before paying, and the payment back after."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from b24app.errors import B24Error, ChainBroken, NotFound, OutcomeUnknown, Refused
from b24app.identity.session import Caller
from b24app.monitoring.spans import span
from b24app.rest.client import Batch, Client, run_batches
from b24app.tokens.clients import portal_client
from payments import gateway, reasons
from payments.attempts.rights import AccessProof, of_item
from payments.gateway import Order, Payment
from payments.lookups.pay_systems import Systems, SystemsReading
from payments.offer import Offer
from payments.reasons import Stopped


@dataclass(frozen=True)
class Snapshot:
    """Everything that paying depends on, as Bitrix24 has it now."""

    seen: Payment  # as the person's own token reads it
    # The payment's full row and its order, by the portal's token, else the person's; both are None
    # if neither may read orders.
    full_row: Payment | None
    order: Order | None
    systems: Systems | None  # None if the portal's pay systems could not be read
    # How far the portal's clock is ahead of this app's; None if the portal sent no time.
    skew: timedelta | None = None

    @property
    def rows(self) -> list[Payment]:
        return [self.seen] if self.full_row is None else [self.seen, self.full_row]


def read_snapshot(person: Caller, offer: Offer) -> Snapshot:
    """Reads everything that paying depends on, in one round trip.

    Raises Stopped if this person may not pay this payment, a B24Error if it could not be read.
    """
    user_batch = person.client.batch()
    proof = AccessProof(user_batch, offer)
    systems = SystemsReading(person.portal, fresh=True)
    try:
        source = portal_client(person.portal)
    except ChainBroken:
        # The portal has no working token until an administrator opens the app, and never has one if
        # the app knows it by a webhook alone: the person's own token reads instead.
        source = person.client
        queries = _OrderQueries(user_batch, source, offer)
        systems.ask(user_batch)
        user_batch.run()
        skew = user_batch.skew
    else:
        portal_batch = source.batch()
        queries = _OrderQueries(portal_batch, source, offer)
        systems.ask(portal_batch)
        run_batches(user_batch, portal_batch)
        skew = portal_batch.skew if user_batch.skew is None else user_batch.skew
    seen = proof.payment()
    full_row, order = _full_row_and_order(person, offer, queries)
    return Snapshot(seen, full_row, order, systems.result(), skew)


class _OrderQueries:
    """The queries of the payment's full row and its order; they need the right to all orders."""

    def __init__(self, batch: Batch, client: Client, offer: Offer) -> None:
        self.client = client
        self._payment = batch.add(gateway.payment(offer.payment_id))
        # A deal's list of payments lacks their order, but a payment's number begins with its
        # order's number.
        self._orders = batch.add(
            gateway.orders([offer.order_id])
            if offer.order_id is not None
            else gateway.orders_numbered(
                offer.account_number.rpartition(gateway.NUMBER_SEPARATOR)[0]
            )
        )

    def get(self) -> tuple[Payment, Order]:
        payment = self._payment.get()
        if payment.order_id is None:
            raise OutcomeUnknown("a payment without an order")
        for order in self._orders.get():
            if order.id == payment.order_id:
                return payment, order
        # A portal can choose other numbers for payments; the order's id is known now, so read it.
        return payment, self.client.read(gateway.order(payment.order_id))


def _full_row_and_order(
    person: Caller, offer: Offer, queries: _OrderQueries
) -> tuple[Payment | None, Order | None]:
    """Returns the answers; if the portal's token was refused, reads again by the person's."""
    try:
        return queries.get()
    except NotFound as error:
        raise Stopped(reasons.PAYMENT_GONE) from error
    except Refused:
        if queries.client is person.client:
            return None, None
    batch = person.client.batch()
    own_queries = _OrderQueries(batch, person.client, offer)
    batch.run()
    return _full_row_and_order(person, offer, own_queries)


@span("read back")
def read_back(person: Caller, offer: Offer, *, of_own_attempt: bool) -> Payment:
    """Returns the payment as it is now, read by the person's token, else by the portal's.

    If the person's token is refused, the portal's reads only for the person's own attempt: an
    automation may give a paid deal to another person, so that its payer cannot see it any more.
    Raises Stopped if the payment is deleted, Refused if the person may not see it, another B24Error
    if it could not be read.
    """
    try:
        return _read_by_person(person, offer)
    except Refused:
        if not of_own_attempt:
            raise
    except (B24Error, Stopped):
        pass
    return _read_by_portal(person, offer)


def _read_by_person(person: Caller, offer: Offer) -> Payment:
    if offer.owner is None:
        return person.client.read(gateway.payment(offer.payment_id))
    return of_item(person.client.read(gateway.payments_of_item(offer.owner)), offer)


def _read_by_portal(person: Caller, offer: Offer) -> Payment:
    try:
        client = portal_client(person.portal)
    except ChainBroken:
        client = person.client
    try:
        return client.read(gateway.payment(offer.payment_id))
    except NotFound as error:
        raise Stopped(reasons.PAYMENT_GONE) from error
