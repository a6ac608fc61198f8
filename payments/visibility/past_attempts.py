"""What our own records say of listed payments: an attempt in the way, and one that was paid."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from django.utils import timezone
from django.utils.translation import gettext as _

from b24app.localization.times import day
from b24app.models import Portal
from b24app.rest.clock import CLOCKS_TOO_FAR_APART
from payments.gateway import Payment
from payments.models import OPEN_STATES, Attempt, State

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

ByPayment = dict[int, Attempt]


def attempts_on(payment_ids: Iterable[int], *, portal: Portal) -> tuple[ByPayment, ByPayment]:
    """Of each payment the open attempt, and the last that ended as paid or undone; in one query.

    A claim whose process died before it sent anything does not count: paying takes it over.
    """
    now = timezone.now()
    still_open, ended = ByPayment(), ByPayment()
    attempts = Attempt.objects.filter(
        portal=portal,
        payment_id__in=list(payment_ids),
        state__in=(*OPEN_STATES, State.PAID, State.UNDONE),
    )
    for attempt in sorted(attempts, key=lambda one: one.pk):
        if not attempt.is_open:
            ended[attempt.payment_id] = attempt
        elif not attempt.is_abandoned(now):
            still_open[attempt.payment_id] = attempt
    return still_open, ended


def paid_back_words(payment: Payment, ended: Attempt | None, *, reader_id: int) -> StrOrPromise:
    """A sentence on an unpaid payment that was paid once; empty where none is known to have been.

    `ended` is the last attempt of ours that was paid or undone. Bitrix24 keeps the date of a
    payment that was set back, whoever paid it; the newer of both is told.
    """
    if payment.paid:
        return ""
    paid_at = payment.date_paid
    if ended is None or ended.settled_at is None or _is_newer(paid_at, ended.settled_at):
        if paid_at is None:
            return ""
        return _("It was paid on %(date)s and has been set back to unpaid since.") % {
            "date": day(paid_at)
        }
    words = {"date": day(ended.done_at or ended.settled_at), "user": ended.user_id}
    if ended.state == State.PAID:
        return _("It was paid on %(date)s and has been set back to unpaid since.") % words
    if ended.user_id == reader_id:
        return _("It was paid before; that was undone on %(date)s by you.") % words
    return _("It was paid before; that was undone on %(date)s by user %(user)s.") % words


def _is_newer(theirs: datetime | None, ours: datetime) -> bool:
    """By more than both clocks may differ."""
    return theirs is not None and theirs > ours + CLOCKS_TOO_FAR_APART
