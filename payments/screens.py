"""What the screens show: rows and outcomes as values that a template only has to print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from b24app.models import Portal
from b24app.proof import origin_of
from payments import reasons
from payments.gateway import DEAL, SMART_INVOICE, Owner
from payments.models import Attempt, State
from payments.offer import Offer, seal
from payments.visible import Listing, Row

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

# Beside the states of an attempt: nobody has tried yet.
DUE = "due"
WORDS: dict[str, StrOrPromise] = {DUE: _("Not paid")}
WORDS.update((state.value, state.label) for state in State)

# After these, what the person was shown is no longer true: the same offer would be refused again.
_OFFER_IS_OVER = frozenset(
    {
        reasons.ALREADY_PAID,
        reasons.PAID_BACK,
        reasons.CLOCK_SKEW,
        reasons.ORDER_CANCELED,
        reasons.SUM_ZERO,
        reasons.SUM_CHANGED,
        reasons.CURRENCY_CHANGED,
        reasons.PAY_SYSTEM_CHANGED,
        reasons.NO_ORDER_RIGHT,
        reasons.NOT_READABLE,
        reasons.PAYMENT_GONE,
        reasons.REBIND_UNKNOWN,
    }
)


@dataclass(frozen=True)
class OwnerLink:
    """A deal, an invoice or another item: `path` is what BX24.openPath takes, `url` the same page
    for a window of its own."""

    path: str
    url: str
    title: StrOrPromise


@dataclass(frozen=True)
class Status:
    """How one payment stands, and the sealed offer that the button beside that sends."""

    payment_id: int
    state: str
    pay_system_id: int
    pay_system_name: str
    offer: str
    can_pay: bool = False
    can_check: bool = False
    at: datetime | None = None
    sentences: Sequence[StrOrPromise] = ()

    @property
    def words(self) -> StrOrPromise:
        return WORDS[self.state]


@dataclass(frozen=True)
class Line:
    row: Row
    owner: OwnerLink | None
    status: Status


def lines(listing: Listing, portal: Portal) -> list[Line]:
    return [
        Line(row, owner_link(row.owner, portal), status_of(row, may_pay=listing.may_pay))
        for row in listing.rows
    ]


def owner_link(owner: Owner | None, portal: Portal) -> OwnerLink | None:
    """None where an order belongs to nothing in the CRM."""
    if owner is None:
        return None
    path = f"/crm/type/{owner.type_id}/details/{owner.id}/"
    title = _("Item %(id)s")
    if owner.type_id == DEAL:
        path = f"/crm/deal/details/{owner.id}/"
        title = _("Deal %(id)s")
    elif owner.type_id == SMART_INVOICE:
        title = _("Invoice %(id)s")
    url = f"{origin_of(portal.client_endpoint)}{path}"
    return OwnerLink(path, url, owner.title or title % {"id": owner.id})


def status_of(row: Row, *, may_pay: bool) -> Status:
    """How the payment of a listed row stands."""
    payment = row.payment
    status = _due(row.offer)
    if payment.paid:
        return replace(status, state=State.PAID.value, at=payment.date_paid)
    if row.attempt is not None:
        return status_after(row.offer, row.attempt)
    past = [row.paid_back] if row.paid_back else []
    if row.payable:
        return replace(status, can_pay=True, sentences=past)
    # Who may not pay anyway is told so once, above the list.
    return replace(status, sentences=[*past, row.why_not] if may_pay else past)


def status_after(offer: Offer, attempt: Attempt | None) -> Status:
    """How the payment stands after Pay or Check now; None where nobody ever tried."""
    if attempt is None:
        return replace(_due(offer), can_pay=True)
    if attempt.evidence.get("rebound"):
        # What Pay offers next is bound to what was chosen this time.
        offer = replace(
            offer,
            pay_system_id=attempt.pay_system_id,
            pay_system_name=attempt.pay_system_name,
        )
    return replace(
        _due(offer),
        state=attempt.state,
        pay_system_name=attempt.pay_system_name or offer.pay_system_name,
        can_pay=attempt.state == State.REFUSED and attempt.reason not in _OFFER_IS_OVER,
        can_check=attempt.is_open,
        at=attempt.settled_at if attempt.state == State.PAID else None,
        sentences=attempt.sentences,
    )


def _due(offer: Offer) -> Status:
    return Status(
        payment_id=offer.payment_id,
        state=DUE,
        pay_system_id=offer.pay_system_id,
        pay_system_name=offer.pay_system_name,
        offer=seal(offer),
    )
