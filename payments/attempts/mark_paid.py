"""Mark one payment as paid by hand: for pay systems that take no payments from an app."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from b24app.identity.session import Caller
from payments import reasons
from payments.attempts.execute import Prepare, run_attempt
from payments.attempts.pay import read_unpaid
from payments.lookups.pay_systems import Systems
from payments.models import Attempt, Kind, Policy
from payments.offer import Offer
from payments.policy import rules
from payments.reasons import Stopped


def mark(person: Caller, offer: Offer, *, also: Callable[[Policy], None] | None = None) -> Attempt:
    """Mark what was offered as paid, by the pay system it is bound to: the money came another way
    (cash, a bank transfer, an acquirer), and none moves by this. Waits for the portal.

    Always answers an attempt, as `pay` does. Bitrix24 asks for the right to read and to change this
    one order; the order right as a whole is asked here, as for paying, and the right to read the
    deal or invoice. `also` is as in `pay`. Raises Missing for an offer that is not this person's.
    """
    allow = partial(rules.apply, also=also)
    return run_attempt(
        person,
        offer,
        kind=Kind.MARK,
        pay_system_id=offer.pay_system_id,
        prepare=partial(_prepare, allow=allow),
        allow=allow,
    )


def _prepare(person: Caller, offer: Offer, attempt: Attempt, *, allow: Prepare) -> None:
    snapshot = read_unpaid(person, offer, attempt)
    _check_system(snapshot.systems, attempt)
    allow(person, offer, attempt)


def _check_system(systems: Systems | None, attempt: Attempt) -> None:
    """What can be paid is paid: a mark would leave the money where it is. Nor is anything marked
    that a page does not offer to mark, such as the buyer's internal account."""
    if systems is None or systems.may_hide(attempt.pay_system_id):
        raise Stopped(reasons.SYSTEMS_UNKNOWN)
    system = systems.find(attempt.pay_system_id)
    if system is None:
        raise Stopped(reasons.PAY_SYSTEM_GONE)
    if systems.can_be_paid(system):
        raise Stopped(reasons.CAN_BE_PAID)
    if not systems.needs_mark(system):
        raise Stopped(reasons.PAY_SYSTEM_UNFIT)
    attempt.pay_system_name = system.name
