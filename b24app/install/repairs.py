"""Repairs the app's set-up in a portal, when an administrator or the operator asks for it."""

from __future__ import annotations

from django.db import models, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from b24app.errors import B24Error, OpeningRefused
from b24app.identity.session import Person
from b24app.install import bindings
from b24app.models import Portal, UserToken
from b24app.tokens.clients import portal_client
from b24app.tokens.proof import PROFILE

# Stored pairs that are tried to find an administrator's, newest first; each costs a call.
PEOPLE_TRIED = 5


class Repair(models.TextChoices):
    BIND = "bind", _("Put them back")
    SERVE = "serve", _("Take over with my sign-in")


class AdministratorsOnly(OpeningRefused):
    sentence_by_default = _("Only an administrator of this Bitrix24 can do this. Nothing was done.")


def require_administrator(person: Person) -> None:
    """Asks the portal whether the person is an administrator now. Raises AdministratorsOnly.

    https://apidocs.bitrix24.com/api-reference/common/users/profile.html
    """
    if not person.client.read(PROFILE).is_admin:
        raise AdministratorsOnly(f"user {person.user_id} is no administrator")


def repair(portal: Portal, which: Repair, *, by: Person | None) -> None:
    """Does one repair.

    `by` is an administrator, checked by the caller. Without one, BIND uses the token that serves
    the portal, and SERVE looks for a stored pair of an administrator. Raises the portal's error,
    and AdministratorsOnly if no such pair is found.
    """
    match which:
        case Repair.BIND:
            bindings.bind_all(by.client if by else portal_client(portal))
        case Repair.SERVE:
            person = by or _some_administrator(portal)
            if person is None:
                raise AdministratorsOnly("no administrator's sign-in is kept")
            take_over(person)


@transaction.atomic
def take_over(person: Person) -> None:
    """Makes this person's own pair serve the portal. Moves it, because a chain has one row."""
    # If two administrators do this at the same time, the second waits here for the first.
    Portal.objects.select_for_update(no_key=True).filter(pk=person.portal.pk).values_list(
        "pk"
    ).get()
    rows = UserToken.objects.select_for_update().filter(portal=person.portal)
    own = rows.filter(user_id=person.user_id, serves_portal=False).first()
    if own is None:
        return  # Their pair serves the portal already.
    rows.filter(serves_portal=True).delete()
    own.serves_portal = True
    own.save(update_fields=["serves_portal"])


def _some_administrator(portal: Portal) -> Person | None:
    rows = portal.tokens.filter(serves_portal=False, failure_code="").order_by("-refreshed_at")
    for row in rows[:PEOPLE_TRIED]:
        person = Person(portal, row.user_id, proved_at=timezone.now())
        try:
            require_administrator(person)
        except B24Error:
            continue
        return person
    return None
