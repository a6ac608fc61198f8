"""Asks Bitrix24 whether a person may see and pay a payment, always by the person's own token."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from b24app.errors import AccessDenied, NotFound, OutcomeUnknown
from b24app.identity.opening import PROFILE, Profile
from b24app.rest.client import Batch, Pending
from payments import gateway, reasons
from payments.gateway import DEAL, SMART_INVOICE, Owner, Payment, Rows
from payments.offer import Offer
from payments.reasons import Stopped

# An order may belong to several CRM items; a list shows the deal first.
_PREFERENCE = {DEAL: 0, SMART_INVOICE: 1}


def seen_under(
    owners: Iterable[Owner], *, readable: Collection[Owner], is_admin: bool
) -> tuple[bool, Owner | None]:
    """Returns whether the person may see payments of an order with these owners, and the owner that
    allows it.

    `readable` are the owners that Bitrix24 shows this person, with their titles. A portal admin may
    see every order, also one without an owner.
    """
    titled = {owner.key: owner for owner in readable}
    ordered = sorted(owners, key=lambda owner: (_PREFERENCE.get(owner.type_id, 2), owner.id))
    for owner in ordered:
        found = titled.get(owner.key)
        if found is not None:
            return True, found
    if is_admin:
        return True, ordered[0] if ordered else None
    return False, None


class AccessProof:
    """The queries that prove a person's right to pay one offer, added to a batch of the person."""

    def __init__(self, batch: Batch, offer: Offer) -> None:
        self._offer = offer
        self._right = batch.add(gateway.order_right())
        # Bitrix24's own check before paying is of orders in general, not of this one.
        self._may_read_order = batch.add(gateway.may_read_order_of(offer.payment_id))
        self._of_item: Pending[Rows[Payment]] | None = None
        self._profile: Pending[Profile] | None = None
        if offer.owner is not None:
            self._of_item = batch.add(gateway.payments_of_item(offer.owner))
        else:
            self._profile = batch.add(PROFILE)
            self._payment = batch.add(gateway.payment(offer.payment_id))

    def payment(self) -> Payment:
        """Returns the payment as the person's token reads it; call it after the batch has run.

        Raises Stopped if the person may not pay it, or if it is deleted.
        """
        if not self._right.get():
            raise Stopped(reasons.NO_ORDER_RIGHT)
        try:
            payment = self._seen_payment()
            may_read_order = self._may_read_order.get()
        except AccessDenied as error:
            raise Stopped(reasons.NOT_READABLE) from error
        except NotFound as error:
            raise Stopped(reasons.PAYMENT_GONE) from error
        if not may_read_order:
            raise Stopped(reasons.ORDER_NOT_READABLE)
        return payment

    def _seen_payment(self) -> Payment:
        if self._of_item is not None:
            return of_item(self._of_item.get(), self._offer)
        # Only a portal admin may pay the payment of an order without a CRM item.
        if self._profile is None or not self._profile.get().is_admin:
            raise Stopped(reasons.NOT_READABLE)
        return self._payment.get()


def of_item(payments: Rows[Payment], offer: Offer) -> Payment:
    """Returns the offered payment out of an item's payments. Raises Stopped if it is missing,
    OutcomeUnknown if it may be one that cannot be read."""
    for payment in payments.read:
        if payment.id == offer.payment_id:
            return payment
    if payments.may_hide(offer.payment_id):
        raise OutcomeUnknown("a payment that cannot be read may be this one")
    raise Stopped(reasons.PAYMENT_GONE)
