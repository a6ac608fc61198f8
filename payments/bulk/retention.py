"""Deletes old runs. The outcomes of their payments stay in the attempts."""

from __future__ import annotations

from datetime import timedelta

from django.dispatch import receiver
from django.utils import timezone

from b24app.models import Portal
from b24app.signals import person_forgotten, portal_uninstalled, pruning
from payments.models import Run

# Long enough to look up the runs of the last quarter.
KEPT = timedelta(days=100)


@receiver(portal_uninstalled)
def forget(*, portal: Portal, **kwargs: object) -> None:
    """Deletes the portal's runs: they cannot be resumed, and their rows hold the CRM's titles."""
    Run.objects.filter(portal=portal).delete()


@receiver(person_forgotten)
def forget_person(*, portal: Portal, user_id: int, **kwargs: object) -> str:
    """Deletes the person's runs; an active one ends with the step that is being taken."""
    runs = Run.objects.filter(portal=portal, user_id=user_id)
    count = runs.count()
    runs.delete()
    return f"Runs of several payments: {count} deleted."


@receiver(pruning)
def prune(**kwargs: object) -> str:
    old = Run.objects.filter(created_at__lt=timezone.now() - KEPT)
    count = old.count()
    old.delete()
    return f"Runs of several payments: {count} deleted."
