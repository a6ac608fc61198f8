"""What happens here when a portal removes the app, saves a payment, is looked over, or in time."""

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
from b24app.signals import payment_saved, portal_examined, portal_uninstalled, pruning
from payments import timeline
from payments.attempts.messages import messages_of
from payments.attempts.settle import settle_saved
from payments.ledger import retention
from payments.models import SETTLE_AFTER, Attempt, AttemptQuerySet, State

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

# What failed longer ago has been seen by whoever it failed for.
_LOOKED_BACK = timedelta(days=7)
_NUMBERS_SHOWN = 5


@receiver(portal_uninstalled)
def forget(*, portal: Portal, clean: bool, **kwargs: object) -> None:
    """The ledger goes with the portal's data, where its administrator asked for that; else ids and
    sums stay for a new installation. They also stay while a payment that was sent is not confirmed:
    then until B24_LEDGER_RETENTION_DAYS have passed."""
    if clean and not retention.has_money_under_way(portal):
        retention.forget(portal)
    else:
        with transaction.atomic():
            retention.keep_ids_and_sums(portal)
            timeline.drop(portal)


@receiver(payment_saved)
def settle(*, portal: Portal, payment_id: int, **kwargs: object) -> None:
    settle_saved(portal, payment_id)
    timeline.post_of(portal, payment_id)


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
    """What has become of payments lately: those in doubt, and why the last one failed."""
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
    refused = attempts.filter(state=State.REFUSED, created_at__gt=now - _LOOKED_BACK)
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
    said = ngettext_lazy(
        "%(count)s not confirmed: %(numbers)s.",
        "%(count)s not confirmed, the last ones: %(numbers)s.",
        "count",
    )
    return Line(name, False, said % words, advice)
