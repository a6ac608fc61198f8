"""Builds the values that templates print for requests for approval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from b24app.localization.times import day
from b24app.models import Portal
from payments.approvals.inbox import Inbox, key_of
from payments.listing.status import OwnerLink, owner_link
from payments.models import Approval, ApprovalState

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


class Decision(models.TextChoices):
    APPROVE = "approve", _("Approve")
    DECLINE = "decline", _("Decline")
    WITHDRAW = "withdraw", _("Withdraw")

    @property
    def is_main(self) -> bool:
        return self is Decision.APPROVE


@dataclass(frozen=True)
class ApprovalLine:
    approval: Approval
    owner: OwnerLink | None
    requester: str  # Their name; empty in a person's own requests.
    state: str  # Of ApprovalState.
    decisions: Sequence[Decision] = ()
    sentences: Sequence[StrOrPromise] = ()

    @property
    def words(self) -> StrOrPromise:
        return ApprovalState(self.state).label


def waiting_lines(inbox: Inbox, portal: Portal) -> list[ApprovalLine]:
    return [
        ApprovalLine(
            approval,
            _owner(approval, inbox, portal),
            inbox.names.get(approval.requested_by, ""),
            approval.state,
            decisions=(Decision.APPROVE, Decision.DECLINE),
        )
        for approval in inbox.waiting
    ]


def own_lines(inbox: Inbox, portal: Portal) -> list[ApprovalLine]:
    return [
        own_line(approval, owner=_owner(approval, inbox, portal), names=inbox.names)
        for approval in inbox.own
    ]


def own_line(
    approval: Approval, *, owner: OwnerLink | None = None, names: Mapping[int, str]
) -> ApprovalLine:
    now = timezone.now()
    state = ApprovalState.EXPIRED if approval.is_over(now) else ApprovalState(approval.state)
    return ApprovalLine(
        approval,
        owner,
        "",
        state.value,
        decisions=(Decision.WITHDRAW,) if approval.is_live(now) else (),
        sentences=_own_sentences(approval, state, names),
    )


def decided_line(approval: Approval, *, names: Mapping[int, str]) -> ApprovalLine:
    """Returns the line that replaces the buttons once another person's request is decided."""
    sentences: list[StrOrPromise] = []
    if approval.is_approved:
        name = names.get(approval.requested_by, "")
        sentences = [_("%(name)s can pay it now. Nothing is paid yet.") % {"name": name}]
    return ApprovalLine(approval, None, "", approval.state, sentences=sentences)


def _own_sentences(
    approval: Approval, state: ApprovalState, names: Mapping[int, str]
) -> list[StrOrPromise]:
    if approval.decided_by is None or approval.decided_at is None:
        return []
    words = {
        "name": names.get(approval.decided_by, ""),
        "date": day(approval.decided_at),
        "note": approval.note,
    }
    match state:
        case ApprovalState.APPROVED:
            return [
                _("Approved by %(name)s on %(date)s. Nothing is paid yet: pay it in the list.")
                % words
            ]
        case ApprovalState.DECLINED:
            return [_("Declined by %(name)s on %(date)s: %(note)s") % words]
        case _:
            return [_("Approved by %(name)s on %(date)s.") % words]


def _owner(approval: Approval, inbox: Inbox, portal: Portal) -> OwnerLink | None:
    key = key_of(approval)
    owner = inbox.owners.get(key) if key is not None else None
    return owner_link(owner, portal)
