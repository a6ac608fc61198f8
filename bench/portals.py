"""Runs the portals behind the network: the sandbox in its own process, over plain HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any
from urllib.parse import urlsplit

from bench.processes import handle_one
from sandbox.server.app import Sandbox
from sandbox.server.ports import PortServers, running
from sandbox.world import seed
from sandbox.world.installing import begin_installation
from sandbox.world.world import Portal, Token, World

# A bucket that never fills; row 7 measures the limit.
BUCKET = 10_000_000
THREADS = 24


class Portals:
    """The methods that the parent process may call. Portals are numbered from 1."""

    def __init__(self, sandbox: Sandbox, port: int) -> None:
        self.sandbox, self.bound = sandbox, port

    def port(self) -> int:
        return self.bound

    def installed(self) -> list[dict[str, Any]]:
        """Returns, for each portal, the data that the app's installer stores."""
        return [
            {
                "member_id": portal.member_id,
                "domain": urlsplit(portal.url).netloc,
                "app_id": portal.installations[seed.OUR_CLIENT_ID].id,
                "app_code": seed.OUR_CLIENT_ID,
                "pair": _pair(self._token(portal, seed.ADMIN)),
            }
            for portal in self.sandbox.world.portals.values()
        ]

    def opening(self, number: int, user_id: int) -> dict[str, str]:
        """Returns the fields of the form that opens the app, with new tokens."""
        portal = self._portal(number)
        token = self._token(portal, user_id)
        installation = portal.installations[seed.OUR_CLIENT_ID]
        return {
            "AUTH_ID": token.access,
            "AUTH_EXPIRES": "3600",
            "REFRESH_ID": token.refresh,
            "APPLICATION_TOKEN": installation.application_token,
            "APPLICATION_SCOPE": ",".join(installation.scopes),
            "member_id": portal.member_id,
            "status": "L",
        }

    def token(self, number: int, user_id: int) -> dict[str, Any]:
        return _pair(self._token(self._portal(number), user_id))

    def fill(self, number: int, count: int) -> list[tuple[int, int, str, int]]:
        """Adds unpaid payments; returns deal id, payment id, number and order id of each."""
        portal = self._portal(number)
        with self.sandbox.world.lock:
            payment_ids = seed.fill(portal, count)
            found = []
            for payment_id in payment_ids:
                payment = portal.payments[payment_id]
                order = portal.orders[payment.order_id]
                deal_id = order.bindings[0][1]
                found.append((deal_id, payment_id, payment.account_number, order.id))
        return found

    def times_paid(self, number: int, payment_ids: Sequence[int]) -> list[int]:
        portal = self._portal(number)
        return [portal.payments[payment_id].times_paid for payment_id in payment_ids]

    def asked(self, since: int) -> list[tuple[str, tuple[str, ...]]]:
        """Returns method and called methods of each REST request since that count."""
        return [(call.method, call.methods) for call in self.sandbox.log[since:]]

    def count(self) -> int:
        return len(self.sandbox.log)

    def _portal(self, number: int) -> Portal:
        return list(self.sandbox.world.portals.values())[number - 1]

    def _token(self, portal: Portal, user_id: int) -> Token:
        with self.sandbox.world.lock:
            return self.sandbox.world.issue(seed.OUR_CLIENT_ID, portal.member_id, user_id)


def _pair(token: Token) -> dict[str, Any]:
    return {
        "access": token.access,
        "refresh": token.refresh,
        "expires": token.expires,
        "user_id": token.user_id,
    }


def world_of(urls: Sequence[str], *, oauth_url: str, app_url: str) -> World:
    """Builds a portal for each of at least two addresses, with the app installed."""
    world = seed.demo_world(oauth_url=oauth_url, portal_urls=(urls[0], urls[1]), app_url=app_url)
    for number, url in enumerate(urls[2:], start=3):
        seed.add_portal(world, f"{number:032x}", url, f"Portal {number}")
    for portal in world.portals.values():
        portal.bucket_size = BUCKET
        begin_installation(world, portal, seed.OUR_CLIENT_ID).finished = True
    return world


def serve(pipe: Connection, urls: Sequence[str], oauth_url: str, app_url: str) -> None:
    servers = PortServers((0,), threads=THREADS)
    sandbox = Sandbox(world_of(urls, oauth_url=oauth_url, app_url=app_url))
    with running(sandbox, servers):
        served = Portals(sandbox, servers.ports[0])
        while handle_one(pipe, served):
            pass
