"""Reads one payment by its id for `manage.py pay`, which has no page to choose it from."""

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


def read_payment(person: Caller, payment_id: int) -> tuple[Row, bool]:
    """Returns the payment as a row of a list, and whether this person has the right to orders.

    Reads by the person's own token, which must therefore be allowed to read orders; two or three
    round trips. Raises Missing if the person may not see the payment, else the B24Error of what
    could not be read.
    """
    made_at = timezone.now()
    systems = SystemsReading(person.portal, fresh=True)
    batch = person.client.batch()
    right, profile = batch.add(gateway.order_right()), batch.add(PROFILE)
    payment = batch.add(gateway.payment(payment_id))
    batches = [batch]
    try:
        portal_batch = portal_client(person.portal).batch()
    except ChainBroken:
        systems.ask(batch)
    else:
        systems.ask(portal_batch)
        batches.append(portal_batch)
    run_batches(*batches)
    may_pay = right.get()
    permitted = seen_of(
        Rows((payment.get(),)),
        portal=person.portal,
        source=person.client,
        person_client=person.client,
        is_admin=profile.get().is_admin,
    )
    if not permitted.seen:
        raise Missing(f"this person may not see payment {payment_id}")
    found = listing(
        person, permitted.seen, may_pay=may_pay, systems=systems.result(), made_at=made_at
    )
    return found.rows[0], may_pay


def choose(row: Row, pay_system_id: int) -> PaySystem:
    """Returns this pay system if a screen would offer it for the row. Raises NoSuchSystem."""
    for system in row.systems:
        is_own = system.id == row.offer.pay_system_id
        if system.id == pay_system_id and (row.bound_fits or not is_own):
            return system
    raise NoSuchSystem(f"pay system {pay_system_id}")
