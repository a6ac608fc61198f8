"""Look at the payment of an attempt without the person who made it: for the app itself, by cron."""

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

# With whose token, for the evidence.
PORTAL, PAYER = "portal", "payer"


def look(
    attempt: Attempt, *, asked_at: datetime, also: tuple[int, Client] | None = None
) -> Attempt:
    """Settle an attempt that was sent by what the portal's token reads, else that of its person,
    else that of `also`, another person of the portal.

    It stays open where it is too early to tell. Raises the first B24Error where none of them can
    read the payment.
    """
    failure: B24Error = ChainBroken("NOT_INSTALLED", "no pair is kept")
    is_first = True
    for name, client in _clients(attempt, also):
        try:
            payment = _read(client, attempt)
        except B24Error as error:
            failure, is_first = (error if is_first else failure), False
            if isinstance(error, NeverSent | PortalMoved):
                break  # The portal itself is away, whoever asks.
        else:
            return settle_by(attempt, payment, asked_at=asked_at, evidence={"askedBy": name})
    raise failure


def _clients(
    attempt: Attempt, also: tuple[int, Client] | None
) -> Iterator[tuple[str | int, Client]]:
    """Those that there are; a pair known to be no good counts as none."""
    if attempt.portal.uninstalled_at is not None:
        return
    with suppress(ChainBroken):
        yield PORTAL, portal_client(attempt.portal)
    with suppress(ChainBroken):
        yield PAYER, user_client(attempt.portal, attempt.user_id)
    if also is not None:
        yield also


def _read(client: Client, attempt: Attempt) -> Payment | None:
    """Among the orders, which also shows that there is none any more; else on its deal or invoice,
    which shows only what is there."""
    try:
        return client.read(gateway.payment(attempt.payment_id))
    except NotFound:
        return None
    except (NeverSent, PortalMoved):
        raise
    except B24Error:
        owner = Owner.of(attempt.owner_type, attempt.owner_id)
        found = _on_object(client, owner, attempt.payment_id) if owner else None
        if found is None:
            raise
        return found


def _on_object(client: Client, owner: Owner, payment_id: int) -> Payment | None:
    rows = client.read(gateway.payments_of_item(owner))
    return next((payment for payment in rows.read if payment.id == payment_id), None)
