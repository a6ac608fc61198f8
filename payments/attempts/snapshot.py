"""How a payment stands in Bitrix24 right now: read before paying, and read back after."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from b24app.errors import B24Error, ChainBroken, NotFound, OutcomeUnknown, Refused
from b24app.identity.session import Caller
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
    """`seen` is the payment as the person's own token shows it, `kept` and `order` as the orders'
    side does: None where neither the portal's token nor the person's may read that. `skew` is how
    far the portal's clock is ahead of ours, None where it did not tell."""

    seen: Payment
    kept: Payment | None
    order: Order | None
    systems: Systems | None
    skew: timedelta | None = None


def read_snapshot(person: Caller, offer: Offer) -> Snapshot:
    """Everything that paying depends on, in one round trip.

    Raises Stopped where this person may not pay this payment, a B24Error where it could not be
    read.
    """
    user_batch = person.client.batch()
    proof = AccessProof(user_batch, offer)
    systems = SystemsReading(person.portal, fresh=True)
    try:
        source = portal_client(person.portal)
    except ChainBroken:
        # Nobody serves the portal until an administrator opens the app, and nobody ever does one
        # that is known by a webhook alone: the person's own has to.
        source = person.client
        side = _OrderSide(user_batch, source, offer)
        systems.ask(user_batch)
        user_batch.run()
        skew = user_batch.skew
    else:
        portal_batch = source.batch()
        side = _OrderSide(portal_batch, source, offer)
        systems.ask(portal_batch)
        run_batches(user_batch, portal_batch)
        skew = portal_batch.skew if user_batch.skew is None else user_batch.skew
    seen = proof.payment()
    kept, order = _order_side(person, offer, side)
    return Snapshot(seen, kept, order, systems.result(), skew)


class _OrderSide:
    """The payment's full row and its order, which are read by the right to orders as a whole."""

    def __init__(self, batch: Batch, client: Client, offer: Offer) -> None:
        self.client = client
        self._payment = batch.add(gateway.payment(offer.payment_id))
        # A deal's list does not say which order a payment is of, but its number begins with it.
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
        # Numbers of their own, which a portal can choose: now the order is known, so ask for it.
        return payment, self.client.read(gateway.order(payment.order_id))


def _order_side(
    person: Caller, offer: Offer, side: _OrderSide
) -> tuple[Payment | None, Order | None]:
    try:
        return side.get()
    except NotFound as error:
        raise Stopped(reasons.PAYMENT_GONE) from error
    except Refused:
        if side.client is person.client:
            return None, None
    batch = person.client.batch()
    own_side = _OrderSide(batch, person.client, offer)
    batch.run()
    return _order_side(person, offer, own_side)


def read_back(person: Caller, offer: Offer, *, of_own_attempt: bool) -> Payment:
    """The payment as it is now: as the person sees it or, for their own attempt, as the portal
    does. Having been paid can move a deal to somebody else, out of its payer's sight.

    Raises Stopped where there is no such payment any more, Refused where the person may not look,
    another B24Error where nobody could read it.
    """
    try:
        return _as_seen(person, offer)
    except Refused:
        if not of_own_attempt:
            raise
    except (B24Error, Stopped):
        pass
    return _as_kept(person, offer)


def _as_seen(person: Caller, offer: Offer) -> Payment:
    if offer.owner is None:
        return person.client.read(gateway.payment(offer.payment_id))
    return of_item(person.client.read(gateway.payments_of_item(offer.owner)), offer)


def _as_kept(person: Caller, offer: Offer) -> Payment:
    try:
        client = portal_client(person.portal)
    except ChainBroken:
        client = person.client
    try:
        return client.read(gateway.payment(offer.payment_id))
    except NotFound as error:
        raise Stopped(reasons.PAYMENT_GONE) from error
