"""What the app can mend in a portal by itself, once an administrator or the operator says so."""

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

# Sign-ins looked through for an administrator's, newest first: each costs a call.
PEOPLE_TRIED = 5


class Repair(models.TextChoices):
    BIND = "bind", _("Put them back")
    SERVE = "serve", _("Take over with my sign-in")


class AdministratorsOnly(OpeningRefused):
    sentence_by_default = _("Only an administrator of this Bitrix24 can do this. Nothing was done.")


def require_administrator(person: Person) -> None:
    """Ask the portal, now: what a page once knew may be over. Raises AdministratorsOnly."""
    if not person.client.read(PROFILE).is_admin:
        raise AdministratorsOnly(f"user {person.user_id} is no administrator")


def repair(portal: Portal, which: Repair, *, by: Person | None) -> None:
    """Raises what the portal answers, and AdministratorsOnly where nobody is there to do it.

    `by` is an administrator, of whom the caller has made sure. Without one, the serving token binds
    and a stored sign-in of an administrator is looked for to take over.
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
    """This person's own pair serves the portal from now on; it moves, because it is one chain."""
    # Of two administrators who press at the same time the second waits here for the first.
    Portal.objects.select_for_update(no_key=True).filter(pk=person.portal.pk).values_list(
        "pk"
    ).get()
    rows = UserToken.objects.select_for_update().filter(portal=person.portal)
    own = rows.filter(user_id=person.user_id, serves_portal=False).first()
    if own is None:
        return  # They serve it already.
    rows.filter(serves_portal=True).delete()
    own.serves_portal = True
    own.save(update_fields=["serves_portal"])


def _some_administrator(portal: Portal) -> Person | None:
    rows = portal.tokens.filter(serves_portal=False, broken_code="").order_by("-refreshed_at")
    for row in rows[:PEOPLE_TRIED]:
        person = Person(portal, row.user_id, proved_at=timezone.now())
        try:
            require_administrator(person)
        except B24Error:
            continue
        return person
    return None
