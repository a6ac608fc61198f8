"""Closes an attempt by hand, when its outcome could not be read for a day."""

from __future__ import annotations

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from b24app.errors import B24Error, BadInput, Missing
from b24app.identity.session import Caller
from b24app.rest.client import Client
from payments.attempts.lookup import settle_by_reading
from payments.attempts.transitions import close_undecided
from payments.forms import clean_note
from payments.models import Attempt
from payments.models.reread import reread


class NotHandedOver(BadInput):
    """Raised for an attempt that the app still reads."""

    sentence_by_default = _(
        "The app is still checking this attempt, so there is nothing to decide yet. "
        "Nothing was done."
    )


def close_by_hand(attempt: Attempt, *, by: Caller, note: str) -> Attempt:
    """Closes an attempt that was handed over; `by` must be an administrator of the portal.

    First reads the payment once more by every token, including `by`'s own: if that settles the
    attempt, it is returned settled. Else its state is CLOSED, never PAID. Raises NoteNeeded for an
    empty note, NotHandedOver, and Missing for another portal's attempt.
    """
    note = clean_note(note)
    found = Attempt.objects.select_related("portal").filter(portal=by.portal, pk=attempt.pk).first()
    if found is None:
        raise Missing(f"attempt {attempt.pk} is not of this portal")
    if not found.is_open:
        return found
    if found.handed_over_at is None:
        raise NotHandedOver(f"attempt {found.pk} is not handed over")
    try:
        found = settle_by_reading(found, asked_at=timezone.now(), also=_id_and_client(by))
    except B24Error:
        if not close_undecided(found, by=by.user_id, note=note) and not reread(found):
            raise Missing(f"attempt {found.pk} was erased") from None
    return found


def _id_and_client(person: Caller) -> tuple[int, Client] | None:
    """Returns None if the person's tokens do not work."""
    try:
        return person.user_id, person.client
    except B24Error:
        return None
