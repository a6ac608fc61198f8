"""A payment named by its number, for whoever has no page to choose it from: read, then offered."""

from __future__ import annotations

from django.utils import timezone

from b24app.errors import ChainBroken, Missing
from b24app.identity.opening import PROFILE
from b24app.identity.session import Caller
from b24app.rest.client import run_batches
from b24app.tokens.clients import portal_client
from payments import gateway
from payments.gateway import PaySystem, Rows
from payments.listing.confirm import NoSuchSystem
from payments.lookups.pay_systems import SystemsReading
from payments.visibility.permitted import seen_of
from payments.visibility.rows import Row, listing


def read_payment(payer: Caller, payment_id: int) -> tuple[Row, bool]:
    """How the payment stands and what may be done with it, as on a screen, and whether this payer
    has the order right; waits for the portal two or three times.

    All by the payer's own token, which therefore has to be one that may read orders. Raises Missing
    where the payment is none that this payer may see, and the B24Error of what could not be read.
    """
    made_at = timezone.now()
    systems = SystemsReading(payer.portal, fresh=True)
    batch = payer.client.batch()
    right, profile = batch.add(gateway.order_right()), batch.add(PROFILE)
    asked = batch.add(gateway.payment(payment_id))
    batches = [batch]
    try:
        portal_batch = portal_client(payer.portal).batch()
    except ChainBroken:
        systems.ask(batch)
    else:
        systems.ask(portal_batch)
        batches.append(portal_batch)
    run_batches(*batches)
    may_pay = right.get()
    sight = seen_of(
        Rows((asked.get(),)),
        portal=payer.portal,
        source=payer.client,
        person_client=payer.client,
        is_admin=profile.get().is_admin,
    )
    if not sight.seen:
        raise Missing(f"payment {payment_id} is not in this payer's sight")
    found = listing(payer, sight.seen, may_pay=may_pay, systems=systems.result(), made_at=made_at)
    return found.rows[0], may_pay


def choose(row: Row, pay_system_id: int) -> PaySystem:
    """Of what a screen would offer to choose from. Raises NoSuchSystem."""
    for system in row.systems:
        is_bound = system.id == row.offer.pay_system_id
        if system.id == pay_system_id and (row.bound_fits or not is_bound):
            return system
    raise NoSuchSystem(f"pay system {pay_system_id}")
