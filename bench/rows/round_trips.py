"""Measures row 1: open the deal tab, open the main page, pay; against others and the floor.

The floor is the time of network and portal: as many round trips as the app made one after another,
and the portal's own time, both measured at the portal's end.
"""

from __future__ import annotations

import http.client
import re
import statistics
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from bench import app as apps
from bench import peers
from bench.network import SeenRequest
from bench.processes import Part, part
from bench.report import Row, milliseconds
from bench.stage import ADMIN, MAIN, MANAGER, QUERY, TAB, Stage
from sandbox.world import seed

DELAYS = (0.05, 0.15)
ROUNDS, QUICK_ROUNDS = 5, 1
WARMING = 24  # openings in advance, so that each worker has rendered each screen
APP = "this app"
WORKS = {"tab": "Open the deal tab", "main": "Open the main page", "pay": "Pay"}
WITHIN, TIMES_CALLS, TIMES_BATCH = 1.15, 5.0, 2.0
CALLS, BATCH = "b24pysdk, call by call", "b24pysdk, batch"


@dataclass
class Timings:
    """The measurements of one side, one work and one delay."""

    seconds: list[float] = field(default_factory=list)
    requests: list[int] = field(default_factory=list)
    floors: list[float] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)


def measure(stage: Stage) -> Row:
    row = Row(1, "One round trip to a screen")
    database = stage.sqlite("round_trips")
    apps.prepare(database, stage.portals.installed(), scheme="https", port=stage.far_port)
    rounds = QUICK_ROUNDS if stage.quick else ROUNDS
    needed = (len(peers.SIDES) + 1) * len(WORKS) * rounds * len(DELAYS) + WARMING
    payments = iter(stage.portals.fill(1, needed))
    token = stage.portals.token(1, ADMIN)
    taken: dict[tuple[float, str, str], Timings] = defaultdict(Timings)
    trips = {}
    with (
        apps.running(database, application="bench.wsgi", BENCH_AUTHORITY=stage.authority) as app,
        part(peers.serve, stage.host(1), token, stage.authority) as others,
    ):
        person = Person(stage, app)
        person.warm(payments)
        for delay in DELAYS:
            stage.network.set_delay(delay)
            trips[delay] = stage.round_trip()
            for _ in range(rounds):
                for work in WORKS:
                    for side in (APP, *peers.SIDES):
                        found = taken[delay, work, side]
                        _one(stage, person, others, side, work, next(payments), found, trips[delay])
    stage.network.set_delay(0.0)
    for delay in DELAYS:
        _add_lines(row, delay, trips[delay], taken)
    row.notes.append(
        "The round trip is the one that the delaying proxy really gives to a kept TLS connection. "
        "The others' times are their calls alone; the app's are a whole page, from the request to "
        "the last byte, on one of the workers of the README's line."
    )
    return row


def _one(
    stage: Stage,
    person: Person,
    others: Part,
    side: str,
    work: str,
    payment: tuple[int, int, str, int],
    found: Timings,
    trip: float,
) -> None:
    deal_id, payment_id, _, order_id = payment
    ready = person.ready(work, deal_id, payment_id) if side == APP else None
    stage.network.reset()
    if ready is not None:
        seconds = person.send(ready)
    else:
        values = {
            "tab": (deal_id,),
            "main": (),
            "pay": (deal_id, payment_id, order_id, seed.ACME_PAY),
        }[work]
        seconds, answer = others.run(side, work, *values)
        if not answer:
            raise RuntimeError(f"{side} did not {work}")
    heard = stage.network.requests()
    found.seconds.append(seconds)
    found.requests.append(len(heard))
    depth, own = chain(heard, apart=trip / 2)
    found.depths.append(depth)
    found.floors.append(depth * trip + own)
    if work == "pay" and stage.portals.times_paid(1, [payment_id]) != [1]:
        raise RuntimeError(f"{side}: payment {payment_id} was not paid exactly once")


def chain(heard: list[SeenRequest], *, apart: float) -> tuple[int, float]:
    """Returns the number of consecutive requests, and the portal's own time in seconds.

    Requests that arrive within `apart` seconds of each other count as one.
    """
    depth, own = 0, 0.0
    arrived = left = float("-inf")
    for each in sorted(heard):
        if each.arrived - arrived > apart:
            depth += 1
            arrived = each.arrived
        own += max(0.0, each.left - max(each.arrived, left))
        left = max(left, each.left)
    return depth, own


@dataclass
class Ready:
    path: str
    body: bytes
    headers: dict[str, str]
    marker: str


class Person:
    """A manager on this machine, without delay to the app."""

    def __init__(self, stage: Stage, app: apps.App) -> None:
        self.stage, self.app = stage, app

    def warm(self, payments: Any) -> None:
        for _ in range(WARMING):
            for work in ("tab", "main"):
                self.send(self.ready(work, seed.DEAL, 0))
        deal_id, payment_id, *_ = next(payments)
        self.send(self.ready("pay", deal_id, payment_id))

    def ready(self, work: str, deal_id: int, payment_id: int) -> Ready:
        if work == "main":
            return self._opening(MAIN, deal_id)
        opening = self._opening(TAB, deal_id)
        if work == "tab":
            return opening
        page = self._post(opening)[1].decode()
        session = _found(r'data-session="([^"]+)"', page)
        line = page.split(f'data-payment="{payment_id}"', 1)[1].split("</tr>", 1)[0]
        offer = _found(r'name="offer" value="([^"]+)"', line)
        body = urlencode({"offer": offer, "pay_system_id": seed.ACME_PAY}).encode()
        headers = {"X-Frame-Session": session, "HX-Request": "true"}
        return Ready("/payments/pay/", body, headers, 'data-state="paid"')

    def send(self, ready: Ready) -> float:
        seconds, page = self._post(ready)
        if ready.marker not in page.decode():
            raise RuntimeError(f"{ready.path}: {page.decode()[:2000]}")
        return seconds

    def _opening(self, placement: str, deal_id: int) -> Ready:
        body = self.stage.opening(1, placement=placement, deal_id=deal_id, user_id=MANAGER)
        return Ready(f"/?{QUERY}", body, {}, "data-payment=")

    def _post(self, ready: Ready) -> tuple[float, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.app.port, timeout=60)
        headers = {
            "Host": self.app.host,
            "Content-Type": "application/x-www-form-urlencoded",
            **ready.headers,
        }
        try:
            started = time.perf_counter()
            connection.request("POST", ready.path, ready.body, headers)
            page = connection.getresponse().read()
            return time.perf_counter() - started, page
        finally:
            connection.close()


def _found(pattern: str, page: str) -> str:
    found = re.search(pattern, page)
    if found is None:
        raise RuntimeError(f"the page has no {pattern}")
    return found[1]


def _add_lines(
    row: Row, delay: float, trip: float, taken: dict[tuple[float, str, str], Timings]
) -> None:
    distance = f"{delay * 1000:.0f} ms"
    row.add(f"{distance}: a round trip on a kept connection", f"{trip * 1000:.1f} ms")
    for work, words in WORKS.items():
        ours = taken[delay, work, APP]
        mine, floor = statistics.median(ours.seconds), statistics.median(ours.floors)
        row.add(
            f"{distance}: {words}, floor",
            f"{floor * 1000:.0f} ms: {statistics.median(ours.depths):.0f} round trips and the "
            "portal's own time",
        )
        row.add(
            f"{distance}: {words}, {APP}",
            f"{milliseconds(ours.seconds)}, {statistics.median(ours.requests):.0f} requests, "
            f"{mine / floor:.2f} of the floor",
            goal=f"within {WITHIN} of the floor",
            met=mine / floor <= WITHIN,
        )
        for side in peers.SIDES:
            theirs = taken[delay, work, side]
            times = statistics.median(theirs.seconds) / mine
            least = {CALLS: TIMES_CALLS, BATCH: TIMES_BATCH}.get(side)
            row.add(
                f"{distance}: {words}, {side}",
                f"{milliseconds(theirs.seconds)}, {statistics.median(theirs.requests):.0f} "
                f"requests, {times:.1f} times ours",
                goal=f"at least {least:.0f} times ours" if least else "",
                met=times >= least if least else None,
            )
