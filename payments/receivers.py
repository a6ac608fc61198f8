"""What happens here when a portal removes the app, saves a payment, or time has passed."""

from __future__ import annotations

from django.dispatch import receiver

from b24app.models import Portal
from b24app.signals import payment_saved, portal_uninstalled, pruning
from payments import retention
from payments.models import Attempt
from payments.settle import settle_saved


@receiver(portal_uninstalled)
def forget(*, portal: Portal, clean: bool, **kwargs: object) -> None:
    """The ledger goes with the portal's data, where its administrator asked for that; else ids and
    sums stay for a new installation."""
    if clean:
        Attempt.objects.filter(portal=portal).delete()
    else:
        retention.keep_ids_and_sums(portal)


@receiver(payment_saved)
def settle(*, portal: Portal, payment_id: int, **kwargs: object) -> None:
    settle_saved(portal, payment_id)


@receiver(pruning)
def prune(**kwargs: object) -> int:
    return retention.forget_uninstalled()
