"""A person lets go of an attempt of which nobody could find out how it ended."""

from __future__ import annotations

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from b24app.errors import B24Error, BadInput, Missing
from b24app.identity.session import Caller
from b24app.reread import reread
from b24app.rest.client import Client
from payments.attempts.lookup import look
from payments.attempts.transitions import close_undecided
from payments.models import Attempt
from payments.note import clean_note


class NotHandedOver(BadInput):
    sentence_by_default = _(
        "This try is still being looked at, so nobody has to decide yet. Nothing was done."
    )


def close_by_hand(attempt: Attempt, *, by: Caller, note: str) -> Attempt:
    """Close what was handed over, after a last look with every token there is, `by`'s own included:
    where that settles it, that stands. It is never called paid by this.

    That `by` is an administrator of the portal, the caller has made sure of. Answers the attempt,
    also where it was settled meanwhile. Raises NoteNeeded without a reason to write down,
    NotHandedOver, and Missing where it is another portal's.
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
        found = look(found, asked_at=timezone.now(), also=_own(by))
    except B24Error:
        if not close_undecided(found, by=by.user_id, note=note) and not reread(found):
            raise Missing(f"attempt {found.pk} was erased") from None
    return found


def _own(person: Caller) -> tuple[int, Client] | None:
    try:
        return person.user_id, person.client
    except B24Error:
        return None
