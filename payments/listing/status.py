"""Builds the values that templates print for a row: status, owner's link, reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from b24app.localization.times import day
from b24app.models import Portal
from b24app.tokens.proof import origin_of
from payments import reasons
from payments.attempts import messages as sentences
from payments.attempts.messages import messages_of
from payments.gateway import DEAL, SMART_INVOICE, Owner, PaySystem, UnreadableRow
from payments.models import Approval, Attempt, Kind, State
from payments.offer import Offer, seal
from payments.visibility import Choice, Listing, Row

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

# States beside those of an attempt: no attempt yet; and what must not look like a payment that a
# pay system made.
DUE, MARKED, MARKING, UNDOING, NOT_UNDONE = "due", "marked", "marking", "undoing", "not-undone"
WORDS: dict[str, StrOrPromise] = {
    DUE: _("Not paid"),
    MARKED: _("Marked as paid"),
    MARKING: _("Being marked"),
    UNDOING: _("Being undone"),
    NOT_UNDONE: _("Not undone"),
}
WORDS.update((state.value, state.label) for state in State)

_STATES_OF_KIND: dict[tuple[str, str], str] = {
    (Kind.MARK, State.PAID): MARKED,
    (Kind.MARK, State.PAYING): MARKING,
    (Kind.UNDO, State.PAYING): UNDOING,
    (Kind.UNDO, State.REFUSED): NOT_UNDONE,
}

# After one of these refusals the row is outdated: the same offer would be refused again.
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
        reasons.UNPAID_SINCE,
    }
)
# The payment is paid, but not by this attempt.
_PAID_OTHERWISE = frozenset({reasons.PAID_BY_OTHER, reasons.PAID_EARLIER, reasons.PAID_AGAIN})


@dataclass(frozen=True)
class OwnerLink:
    """Links to a deal, an invoice or another item of the CRM."""

    path: str  # For BX24.openPath.
    url: str  # The same page for a new window.
    title: StrOrPromise


@dataclass(frozen=True)
class Status:
    """The status of one payment and what this person can do with it."""

    payment_id: int
    state: str  # A key of WORDS.
    pay_system_id: int
    pay_system_name: str
    offer: str  # Sealed; the row's buttons send it.
    can_pay: bool = False
    can_mark: bool = False
    can_ask: bool = False
    can_ask_to_mark: bool = False
    can_check: bool = False
    can_undo: bool = False
    at: datetime | None = None  # When it was paid, marked or undone.
    sentences: Sequence[StrOrPromise] = ()
    # What to choose from if the payment cannot be paid by its own pay system.
    other_systems: Sequence[PaySystem] = ()

    @property
    def words(self) -> StrOrPromise:
        return WORDS[self.state]

    @property
    def has_choice(self) -> bool:
        """Returns whether the row has a list of pay systems to pay by, or to ask approval for."""
        return (self.can_pay or self.can_ask) and not self.other_systems

    @property
    def has_other_way(self) -> bool:
        """Returns whether it can be paid only by a pay system that is not its own."""
        return (self.can_pay or self.can_ask) and bool(self.other_systems)

    @property
    def has_button(self) -> bool:
        return (
            self.can_pay
            or self.can_ask
            or self.can_mark
            or self.can_ask_to_mark
            or self.can_check
            or self.can_undo
        )


@dataclass(frozen=True)
class Line:
    row: Row
    owner: OwnerLink | None
    status: Status


def lines(listing: Listing, portal: Portal) -> list[Line]:
    """Returns a line for each readable payment of the listing, in its order."""
    return [
        Line(
            row,
            owner_link(row.owner, portal),
            status_of(row, may_pay=listing.may_pay, names=listing.names),
        )
        for row in listing.rows
    ]


@dataclass(frozen=True)
class UnreadableLine:
    row: UnreadableRow
    owner: OwnerLink | None


def unreadable_lines(listing: Listing, portal: Portal) -> list[UnreadableLine]:
    return [UnreadableLine(one.row, owner_link(one.owner, portal)) for one in listing.unreadable]


def owner_link(owner: Owner | None, portal: Portal) -> OwnerLink | None:
    """Returns links to the payment's owner, None if the order belongs to no item of the CRM."""
    if owner is None:
        return None
    path = f"/crm/type/{owner.type_id}/details/{owner.id}/"
    if owner.type_id == DEAL:
        path = f"/crm/deal/details/{owner.id}/"
    url = f"{origin_of(portal.client_endpoint)}{path}"
    return OwnerLink(path, url, owner_title(owner))


def owner_title(owner: Owner) -> StrOrPromise:
    """Returns its title in Bitrix24, or its kind and id if it has no title."""
    title = _("Item %(id)s")
    if owner.type_id == DEAL:
        title = _("Deal %(id)s")
    elif owner.type_id == SMART_INVOICE:
        title = _("Invoice %(id)s")
    return owner.title or title % {"id": owner.id}


def status_of(row: Row, *, may_pay: bool, names: Mapping[int, str]) -> Status:
    """Returns the status of a listed payment. `names` has the approvers' names by user id."""
    payment, status = row.payment, _due(row.offer)
    if row.attempt is not None and (not payment.paid or row.attempt.kind == Kind.UNDO):
        return status_after(row.offer, row.attempt)
    if payment.paid:
        by_other = payment.emp_paid_id not in (None, row.offer.user_id)
        return replace(
            status,
            state=MARKED if row.marked else State.PAID.value,
            at=payment.date_paid,
            can_undo=row.undoable,
            sentences=[
                *([sentences.PAID_BY_ANOTHER_PERSON] if by_other else []),
                *([sentences.DATE_UNREADABLE] if "date_paid" in payment.unread else []),
                *([row.undo_refused] if row.undo_refused else []),
            ],
        )
    paid_back = [row.paid_back] if row.paid_back else []
    status = replace(
        status,
        can_pay=row.payable,
        can_ask=row.can_ask,
        can_mark=row.markable,
        can_ask_to_mark=row.can_ask_to_mark,
        other_systems=row.other_systems,
    )
    if row.payable or row.markable:
        words = [*paid_back, *_approved(row.approval, names), *_by_hand(row)]
        return replace(status, sentences=words)
    # A person who may not pay at all reads that once, above the list.
    return replace(status, sentences=[*paid_back, row.why_not] if may_pay else paid_back)


def _by_hand(row: Row) -> Sequence[StrOrPromise]:
    """Returns why a payment can be marked as paid but not be paid."""
    if row.payable:
        return ()
    return [sentences.BY_HAND_ONLY if row.why_not == reasons.NO_FITTING_SYSTEM else row.why_not]


def status_after(
    offer: Offer, attempt: Attempt | None, *, choice: Choice | None = None, can_undo: bool = False
) -> Status:
    """Returns the status after a button was pressed. No attempt means that none was ever made.

    `choice` says what the payment can be paid by next; pass it if `can_be_paid_after(attempt)`.
    """
    status = replace(_due(offer_after(offer, attempt)), can_undo=can_undo)
    if choice is not None:
        status = replace(
            status,
            can_pay=not choice.why_not,
            can_ask=choice.can_ask,
            can_mark=choice.markable,
            can_ask_to_mark=choice.can_ask_to_mark,
            other_systems=choice.other_systems,
        )
    if attempt is None:
        return status
    words = list(messages_of(attempt))
    if attempt.state == State.PAID and not attempt.reason and attempt.user_id != offer.user_id:
        words.append(sentences.PAID_BY_ANOTHER_PERSON)
    return replace(
        status,
        state=state_of(attempt),
        pay_system_name=attempt.pay_system_name or offer.pay_system_name,
        can_check=attempt.is_open,
        at=attempt.done_at,
        sentences=words,
    )


def can_be_paid_after(attempt: Attempt) -> bool:
    """Returns whether the payment is unpaid and the offer that the person saw is still valid."""
    if attempt.kind == Kind.UNDO:
        return attempt.state == State.UNDONE and not attempt.reason
    return attempt.state == State.REFUSED and attempt.reason not in _OFFER_IS_OVER


def offer_after(offer: Offer, attempt: Attempt | None) -> Offer:
    """Returns the offer for the next attempt.

    It has the pay system that this attempt bound the payment to. After an undo it is as of now.
    """
    if attempt is None:
        return offer
    if attempt.state == State.UNDONE:
        return replace(offer, made_at=timezone.now())
    if not attempt.evidence.get("rebound"):
        return offer
    return replace(
        offer, pay_system_id=attempt.pay_system_id, pay_system_name=attempt.pay_system_name
    )


def state_of(attempt: Attempt) -> str:
    """Returns the state to show, a key of WORDS."""
    return state_by(attempt.kind, attempt.state, attempt.reason)


def state_by(kind: str, state: str, reason: str) -> str:
    """Returns what `state_of` returns for an attempt with these values."""
    if reason in _PAID_OTHERWISE:
        return State.PAID.value
    return _STATES_OF_KIND.get((kind, state), state)


def status_asked(offer: Offer) -> Status:
    """Returns the status of a payment whose approval has just been asked for."""
    return replace(_due(offer), sentences=[reasons.WAITS_FOR_APPROVAL])


def _approved(approval: Approval | None, names: Mapping[int, str]) -> Sequence[StrOrPromise]:
    if approval is None or approval.decided_by is None or approval.decided_at is None:
        return ()
    words = {
        "name": names.get(approval.decided_by, approval.decided_by),
        "date": day(approval.decided_at),
    }
    return [_("Approved by %(name)s on %(date)s.") % words]


def _due(offer: Offer) -> Status:
    return Status(
        payment_id=offer.payment_id,
        state=DUE,
        pay_system_id=offer.pay_system_id,
        pay_system_name=offer.pay_system_name,
        offer=seal(offer),
    )
