"""What happens here when a portal removes the app."""

from __future__ import annotations

from django.dispatch import receiver

from b24app.models import Portal
from b24app.signals import portal_uninstalled
from payments.models import Attempt


@receiver(portal_uninstalled)
def forget(*, portal: Portal, clean: bool, **kwargs: object) -> None:
    """The ledger goes with the portal's data, where its administrator asked for that."""
    if clean:
        Attempt.objects.filter(portal=portal).delete()
