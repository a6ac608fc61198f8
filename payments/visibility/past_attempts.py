"""Finds the app's earlier attempts on listed payments: open ones, and the last that was paid."""

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
    """Returns, by payment, the open attempt, and the last one that ended as paid or undone.

    Sends one query. Leaves out a claim whose process died before it sent anything: the next payment
    takes it over.
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
    """Returns a sentence on an unpaid payment that was paid once, or "".

    `ended` is the app's last attempt that was paid or undone. Bitrix24 keeps the date of a payment
    that was set back to unpaid; the sentence has the newer of both dates.
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
    """Whether one is later by more than the clocks may differ."""
    return theirs is not None and theirs > ours + CLOCKS_TOO_FAR_APART
