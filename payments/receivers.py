"""What happens here when a portal removes the app, saves a payment, is looked over, or in time."""

from __future__ import annotations

from datetime import timedelta

from django.dispatch import receiver
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from b24app.doctor import Line
from b24app.models import Portal
from b24app.signals import payment_saved, portal_examined, portal_uninstalled, pruning
from payments import comments, retention
from payments.models import SETTLE_AFTER, Attempt, State
from payments.settle import settle_saved

# What failed longer ago has been seen by whoever it failed for.
_LOOKED_BACK = timedelta(days=7)
_NUMBERS_SHOWN = 5


@receiver(portal_uninstalled)
def forget(*, portal: Portal, clean: bool, **kwargs: object) -> None:
    """The ledger goes with the portal's data, where its administrator asked for that; else ids and
    sums stay for a new installation."""
    if clean:
        retention.forget(portal)
    else:
        retention.keep_ids_and_sums(portal)


@receiver(payment_saved)
def settle(*, portal: Portal, payment_id: int, **kwargs: object) -> None:
    settle_saved(portal, payment_id)
    comments.post_of(portal, payment_id)


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
    doubtful = attempts.still_open().filter(sent_at__lt=now - SETTLE_AFTER).order_by("-pk")
    numbers = [attempt.account_number for attempt in doubtful[:_NUMBERS_SHOWN]]
    lines = []
    if numbers:
        lines.append(
            Line(
                _("Payments in doubt"),
                False,
                ngettext_lazy(
                    "%(count)s not confirmed: %(numbers)s.",
                    "%(count)s not confirmed, the last ones: %(numbers)s.",
                    "count",
                )
                % {"count": doubtful.count(), "numbers": ", ".join(numbers)},
                _("Press Check now beside each of them."),
            )
        )
    else:
        lines.append(Line(_("Payments in doubt"), True, _("None.")))
    refused = attempts.filter(state=State.REFUSED, created_at__gt=now - _LOOKED_BACK)
    last = refused.order_by("-pk").first()
    if last is not None:
        words = {"number": last.account_number, "why": " ".join(map(str, last.sentences))}
        lines.append(Line(_("Last refusal"), True, _("%(number)s: %(why)s") % words))
    return lines
