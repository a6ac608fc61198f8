"""Settles an attempt without its person: tries several tokens until one can read the payment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime

from b24app.errors import B24Error, ChainBroken, NeverSent, NotFound, PortalMoved
from b24app.rest.client import Client
from b24app.tokens.clients import portal_client, user_client
from payments import gateway
from payments.attempts.settle import settle_by
from payments.gateway import Owner, Payment
from payments.models import Attempt

# Whose token read the payment, for the evidence.
_PORTAL, _ATTEMPTS_PERSON = "portal", "payer"


def settle_by_reading(
    attempt: Attempt, *, asked_at: datetime, also: tuple[int, Client] | None = None
) -> Attempt:
    """Reads the payment of a sent attempt and settles the attempt by it.

    Tries the portal's token, then the attempt's person, then `also`: the id and client of another
    person. The attempt stays open if it is too early to tell. Raises the first B24Error if none of
    them can read the payment.
    """
    failure: B24Error = ChainBroken("NOT_INSTALLED", "no tokens are stored")
    is_first = True
    for name, client in _clients(attempt, also):
        try:
            payment = _read(client, attempt)
        except B24Error as error:
            failure, is_first = (error if is_first else failure), False
            if isinstance(error, NeverSent | PortalMoved):
                break  # The portal cannot be reached, so the other tokens cannot read either.
        else:
            return settle_by(attempt, payment, asked_at=asked_at, evidence={"askedBy": name})
    raise failure


def _clients(
    attempt: Attempt, also: tuple[int, Client] | None
) -> Iterator[tuple[str | int, Client]]:
    """Yields the clients with working tokens, and whose they are."""
    if attempt.portal.uninstalled_at is not None:
        return
    with suppress(ChainBroken):
        yield _PORTAL, portal_client(attempt.portal)
    with suppress(ChainBroken):
        yield _ATTEMPTS_PERSON, user_client(attempt.portal, attempt.user_id)
    if also is not None:
        yield also


def _read(client: Client, attempt: Attempt) -> Payment | None:
    """Returns the payment, None if it is deleted.

    Reads it by its id, else among the payments of its deal or invoice: there, a missing payment
    does not prove that it is deleted, so the error of the first read is raised.
    """
    try:
        return client.read(gateway.payment(attempt.payment_id))
    except NotFound:
        return None
    except (NeverSent, PortalMoved):
        raise
    except B24Error:
        owner = Owner.of(attempt.owner_type, attempt.owner_id)
        found = _read_on_item(client, owner, attempt.payment_id) if owner else None
        if found is None:
            raise
        return found


def _read_on_item(client: Client, owner: Owner, payment_id: int) -> Payment | None:
    rows = client.read(gateway.payments_of_item(owner))
    return next((payment for payment in rows.read if payment.id == payment_id), None)
