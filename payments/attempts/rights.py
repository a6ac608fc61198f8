"""May this person pay this payment: asked of Bitrix24 with the person's own token, never ours."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from b24app.errors import AccessDenied, NotFound, OutcomeUnknown
from b24app.identity.opening import PROFILE, Profile
from b24app.rest.client import Batch, Pending
from payments import gateway, reasons
from payments.gateway import DEAL, SMART_INVOICE, Owner, Payment, Rows
from payments.offer import Offer
from payments.reasons import Stopped

# An order may belong to several objects; people think of the deal first.
_PREFERENCE = {DEAL: 0, SMART_INVOICE: 1}


def seen_under(
    owners: Iterable[Owner], *, readable: Collection[Owner], is_admin: bool
) -> tuple[bool, Owner | None]:
    """May the person see payments of an order that belongs to these, and under which of them?

    `readable` are those that Bitrix24 shows this person, with their titles. A portal admin sees
    every order, one without a CRM object included.
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
    """The questions that settle it for one offer, to be put into a batch of the person's client."""

    def __init__(self, batch: Batch, offer: Offer) -> None:
        self._offer = offer
        self._right = batch.add(gateway.order_right())
        self._of_item: Pending[Rows[Payment]] | None = None
        self._profile: Pending[Profile] | None = None
        if offer.owner is not None:
            self._of_item = batch.add(gateway.payments_of_item(offer.owner))
        else:
            self._profile = batch.add(PROFILE)
            self._alone = batch.add(gateway.payment(offer.payment_id))

    def payment(self) -> Payment:
        """The payment as this person's token shows it. Raises Stopped where they may not pay it."""
        if not self._right.get():
            raise Stopped(reasons.NO_ORDER_RIGHT)
        try:
            if self._of_item is not None:
                return of_item(self._of_item.get(), self._offer)
            return self._loose_payment()
        except AccessDenied as error:
            raise Stopped(reasons.NOT_READABLE) from error
        except NotFound as error:
            raise Stopped(reasons.PAYMENT_GONE) from error

    def _loose_payment(self) -> Payment:
        """Of an order without a CRM object: there is no right to it but being portal admin."""
        if self._profile is None or not self._profile.get().is_admin:
            raise Stopped(reasons.NOT_READABLE)
        return self._alone.get()


def of_item(payments: Rows[Payment], offer: Offer) -> Payment:
    """Returns the offered one of an object's payments. Raises Stopped where it is not there,
    OutcomeUnknown where it may be the one that cannot be read."""
    for payment in payments.read:
        if payment.id == offer.payment_id:
            return payment
    if payments.may_hide(offer.payment_id):
        raise OutcomeUnknown("a payment that cannot be read may be the one")
    raise Stopped(reasons.PAYMENT_GONE)
