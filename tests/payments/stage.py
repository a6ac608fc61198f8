"""The app installed in a portal of the sandbox, with the people who use it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from django.db import connection
from django.utils import timezone

from b24app import models
from b24app.identity.session import Person
from b24app.rest.client import run_batches
from b24app.tokens import store
from b24app.tokens.oauth import TokenPair
from payments.gateway import DEAL, Owner
from payments.number_search import read_number_search
from payments.offer import Offer
from payments.policy import rules
from payments.visibility import Listing, MainReading, Row, TabReading
from sandbox.api.faults import BEFORE, Fault
from sandbox.api.log import LoggedCall
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.installing import begin_installation
from sandbox.world.world import Portal

PAY = "sale.paysystem.pay.payment"
READ_BACK = "crm.item.payment.list"
KEPT = "sale.payment.get"
COMMENT = "crm.timeline.comment.add"
COMMENTS = "crm.timeline.comment.list"

T = TypeVar("T")


def install(sandbox: Sandbox, portal: Portal) -> models.Portal:
    """Stores what the installer leaves, without walking through it."""
    installation = begin_installation(sandbox.world, portal, seed.OUR_CLIENT_ID)
    installation.finished = True
    row = models.Portal.objects.create(
        member_id=portal.member_id,
        client_endpoint=f"{portal.url}/rest/",
        domain=portal.url.split("://", 1)[1],
        app_id=installation.id,
        app_code=seed.OUR_CLIENT_ID,
        installed_at=timezone.now(),
        time_zone_found=zone_name(portal),
        utc_offset=minutes_east(portal),
    )
    store.store_portal_pair(row, pair(sandbox, portal, seed.ADMIN))
    return row


def zone_name(portal: Portal) -> str:
    """Returns what an installation finds out: the administrator's zone, else the server's
    offset."""
    named = portal.users[seed.ADMIN].time_zone
    return named or str(datetime.now(UTC).astimezone(portal.zone).tzinfo)


def minutes_east(portal: Portal) -> int:
    offset = datetime.now(UTC).astimezone(portal.zone).utcoffset()
    assert offset is not None
    return offset // timedelta(minutes=1)


def person(sandbox: Sandbox, row: models.Portal, user_id: int) -> Person:
    """Returns a person who has opened the app."""
    portal = sandbox.world.portals[row.member_id]
    store.store_user_pair(row, pair(sandbox, portal, user_id))
    return Person(row, user_id, proved_at=timezone.now())


def pair(sandbox: Sandbox, portal: Portal, user_id: int) -> TokenPair:
    token = sandbox.world.issue(seed.OUR_CLIENT_ID, portal.member_id, user_id)
    return TokenPair(
        access=token.access,
        refresh=token.refresh,
        expires_at=datetime.fromtimestamp(token.expires, UTC),
        member_id=portal.member_id,
        user_id=user_id,
        client_endpoint=f"{portal.url}/rest/",
        scope=(),
        server_endpoint="",
        status="L",
    )


def lose_portal_token(row: models.Portal) -> None:
    """Deletes the installer's pair, and with it all that is read for the whole portal."""
    row.tokens.filter(serves_portal=True).delete()


def break_portal_token(sandbox: Sandbox, row: models.Portal) -> None:
    """Keeps the installer's pair but makes it invalid, which shows only when it is used."""
    for token in sandbox.world.tokens.values():
        if (token.member_id, token.user_id) == (row.member_id, seed.ADMIN):
            token.revoked = token.refresh_spent = True


def tab(who: Person, owner_id: int, *, owner_type: int = DEAL) -> Listing:
    reading = TabReading(who.portal, who.client, Owner(owner_type, owner_id))
    run_batches(*reading.batches)
    return reading.listing(who)


def main(who: Person, *, number: str = "", before: int | None = None) -> Listing:
    reading = MainReading(
        who.portal, who.client, number=read_number_search(number), before=before, ask_profile=True
    )
    run_batches(*reading.batches)
    return reading.listing(who, is_admin=reading.is_admin)


def row_of(listing: Listing, payment_id: int) -> Row:
    return next(row for row in listing.rows if row.payment.id == payment_id)


def offer_of(
    who: Person, *, deal_id: int = seed.DEAL, payment_id: int = seed.PAYMENT, owner_type: int = DEAL
) -> Offer:
    """Returns the offer that the tab of a deal shows this person."""
    return row_of(tab(who, deal_id, owner_type=owner_type), payment_id).offer


def together(*tasks: Callable[[], T]) -> list[T]:
    """Runs each in a thread of its own; returns their results."""
    results: dict[int, T] = {}

    def run(place: int, task: Callable[[], T]) -> None:
        try:
            results[place] = task()
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(place, task)) for place, task in enumerate(tasks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [results[place] for place in range(len(tasks))]


def asked(sandbox: Sandbox, *, since: int = 0) -> list[LoggedCall]:
    """Returns the requests to portals, in the order in which they ended."""
    return [call for call in sandbox.log[since:] if call.method not in ("oauth.token",)]


def sent_payments(sandbox: Sandbox) -> int:
    """Returns how often the app told the portal to pay."""
    return sum(PAY in call.methods for call in sandbox.log)


def meet(sandbox: Sandbox, *methods: str) -> None:
    """Makes the requests with these methods wait for each other: those that are not under way at
    the same time never get an answer."""
    barrier = threading.Barrier(len(methods))
    for name in methods:
        sandbox.faults.add(
            Fault("delay", method=name, seconds=0, on_hit=lambda: barrier.wait(timeout=10))
        )


def during(
    sandbox: Sandbox, method: str, hook: Callable[[], object], *, when: str = BEFORE, times: int = 1
) -> None:
    """Runs the hook while the portal works on the method."""
    fault = Fault("delay", method=method, when=when, times=times, seconds=0, on_hit=hook)
    sandbox.faults.add(fault)


@contextmanager
def no_request(sandbox: Sandbox) -> Iterator[None]:
    """Asserts that no server is asked in the block."""
    since = len(sandbox.log)
    yield
    assert len(sandbox.log) == since


def set_rules(row: models.Portal, **values: Any) -> None:
    """Saves as the Rules screen does, on top of the stored rules."""
    stored = rules.policy_of(row)
    facts = {**stored.as_facts(), **values}
    rules.change(row, actor_id=seed.ADMIN, version=stored.version, values=facts)


def forget_dates(portal: Portal) -> None:
    """Forgets when payments were paid. The portal tells its time in whole seconds, so a page takes
    a payment of the second before it for one that was paid after it."""
    for payment in portal.payments.values():
        payment.date_paid, payment.provider_data = None, {}
