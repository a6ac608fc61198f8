"""How long runs are kept: they are lists of work, and what became of a payment is its attempt's."""

from __future__ import annotations

from datetime import timedelta

from django.dispatch import receiver
from django.utils import timezone

from b24app.models import Portal
from b24app.signals import portal_uninstalled, pruning
from payments.models import Run

# Long enough to look up last quarter's; attempts are kept by their own rules.
KEPT = timedelta(days=100)


@receiver(portal_uninstalled)
def forget(*, portal: Portal, **kwargs: object) -> None:
    """With its sessions nobody can go on with a run, and its rows hold titles from the portal."""
    Run.objects.filter(portal=portal).delete()


@receiver(pruning)
def prune(**kwargs: object) -> str:
    old = Run.objects.filter(created_at__lt=timezone.now() - KEPT)
    count = old.count()
    old.delete()
    return f"Runs of several payments: {count} deleted."
