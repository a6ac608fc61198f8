"""Receives b24app's signals: app removed, person forgotten, payment saved, portal examined, daily
pruning."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import transaction
from django.dispatch import receiver
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from b24app.install.doctor import Line
from b24app.models import Portal
from b24app.signals import (
    payment_saved,
    person_forgotten,
    portal_examined,
    portal_uninstalled,
    pruning,
)
from payments import timeline
from payments.attempts.messages import messages_of
from payments.attempts.settle import settle_saved
from payments.ledger import retention
from payments.models import SETTLE_AFTER, Attempt, AttemptQuerySet, State

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

# Older failures were seen by the people who tried.
_REFUSALS_SHOWN_FOR = timedelta(days=7)
_NUMBERS_SHOWN = 5


@receiver(portal_uninstalled)
def forget(*, portal: Portal, clean: bool, **kwargs: object) -> None:
    """Erases the portal's payments.

    Everything is deleted if its administrator chose that (`clean`) and no payment is unconfirmed.
    Else ids and sums stay for B24_LEDGER_RETENTION_DAYS, for a new installation.
    """
    if clean and not retention.has_unconfirmed(portal):
        retention.forget(portal)
    else:
        with transaction.atomic():
            retention.keep_ids_and_sums(portal)
            timeline.drop(portal)


@receiver(person_forgotten)
def forget_person(*, portal: Portal, user_id: int, **kwargs: object) -> str:
    notes, entries = retention.erase_texts_of_person(portal, user_id)
    return f"Texts: erased from {notes} attempts and approvals and {entries} entries of the ledger."


@receiver(payment_saved)
def settle(*, portal: Portal, payment_id: int, **kwargs: object) -> None:
    settle_saved(portal, payment_id)
    timeline.post_for(portal, payment_id)


@receiver(pruning)
def prune(**kwargs: object) -> str:
    count = retention.forget_uninstalled()
    entries, attempts = retention.forget_history()
    return (
        f"Ledgers of portals that stayed away: {count} attempts deleted. "
        f"History past its time: {entries} entries and {attempts} attempts deleted."
    )


@receiver(portal_examined)
def examine(*, portal: Portal, **kwargs: object) -> list[Line]:
    """Returns the doctor's lines: unconfirmed payments, and why the last refused one failed."""
    attempts, now = Attempt.objects.filter(portal=portal), timezone.now()
    doubtful = attempts.still_open().filter(sent_at__lt=now - SETTLE_AFTER)
    lines = [
        _in_doubt(
            _("Payments in doubt"),
            doubtful.filter(handed_over_at=None),
            _("Press Check now beside each of them."),
        ),
        _in_doubt(
            _("Payments that wait for a decision"),
            doubtful.exclude(handed_over_at=None),
            _("An administrator decides on each of them, at the top of the history."),
        ),
    ]
    refused = attempts.filter(state=State.REFUSED, created_at__gt=now - _REFUSALS_SHOWN_FOR)
    last = refused.order_by("-pk").first()
    if last is not None:
        words = {"number": last.account_number, "why": " ".join(map(str, messages_of(last)))}
        lines.append(Line(_("Last refusal"), True, _("%(number)s: %(why)s") % words))
    return lines


def _in_doubt(name: StrOrPromise, attempts: AttemptQuerySet, advice: StrOrPromise) -> Line:
    last = attempts.order_by("-pk").values_list("account_number", flat=True)
    numbers = list(last[:_NUMBERS_SHOWN])
    if not numbers:
        return Line(name, True, _("None."))
    words = {"count": attempts.count(), "numbers": ", ".join(numbers)}
    message = ngettext_lazy(
        "%(count)s not confirmed: %(numbers)s.",
        "%(count)s not confirmed, the last ones: %(numbers)s.",
        "count",
    )
    return Line(name, False, message % words, advice)
