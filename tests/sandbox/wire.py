"""A sandbox with our application installed on both portals, and a plain HTTP client for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests

from sandbox.api.registry import METHODS, Call, Method
from sandbox.server.adapter import SandboxAdapter
from sandbox.server.app import Sandbox
from sandbox.server.ports import PortServers, running
from sandbox.world import seed
from sandbox.world.world import Portal, Token

OAUTH_URL = "https://oauth.bitrix.info"
ALPHA_URL = "https://alpha.example.com"
BETA_URL = "https://beta.example.com"
APP_URL = "https://pay.example.com"

TIMEOUT = 5.0
PAY = "sale.paysystem.pay.payment"
THE_PAYMENT = {"PAYMENT_ID": seed.PAYMENT, "PAY_SYSTEM_ID": seed.ACME_PAY}


@dataclass
class Wire:
    sandbox: Sandbox
    session: requests.Session = field(default_factory=requests.Session)

    @property
    def alpha(self) -> Portal:
        return self.sandbox.world.portals[seed.ALPHA]

    @property
    def beta(self) -> Portal:
        return self.sandbox.world.portals[seed.BETA]

    def token(self, user_id: int = seed.MANAGER, member_id: str = seed.ALPHA) -> Token:
        return self.sandbox.world.issue(seed.OUR_CLIENT_ID, member_id, user_id)

    def call(
        self,
        method: str,
        params: dict[str, Any] | None = None,
        *,
        token: Token | None = None,
        timeout: float = TIMEOUT,
    ) -> requests.Response:
        """Calls a method of the alpha portal with JSON; without a token, as a manager."""
        access = (token or self.token()).access
        return self.session.post(
            f"{self.alpha.url}/rest/{method}",
            json={**(params or {}), "auth": access},
            timeout=timeout,
            allow_redirects=False,
        )

    def grant(self, **params: str) -> requests.Response:
        """POSTs to the OAuth server's token address with our application's credentials."""
        data = {"client_id": seed.OUR_CLIENT_ID, "client_secret": seed.OUR_SECRET, **params}
        url = f"{self.sandbox.world.oauth_url}/oauth/token/"
        return self.session.post(url, data=data, timeout=TIMEOUT)


def a_sandbox(
    oauth_url: str = OAUTH_URL, portal_urls: tuple[str, str] = (ALPHA_URL, BETA_URL)
) -> Sandbox:
    world = seed.demo_world(oauth_url=oauth_url, portal_urls=portal_urls, app_url=APP_URL)
    for portal in world.portals.values():
        seed.begin_installation(world, portal, seed.OUR_CLIENT_ID).finished = True
    return Sandbox(world)


def in_process() -> Wire:
    sandbox = a_sandbox()
    wire = Wire(sandbox)
    wire.session.mount("https://", SandboxAdapter(sandbox))
    return wire


@contextmanager
def over_ports() -> Iterator[Wire]:
    """Serves such a sandbox on free ports."""
    servers = PortServers((0, 0, 0))
    oauth, alpha, beta = (f"http://127.0.0.1:{port}" for port in servers.ports)
    wire = Wire(a_sandbox(oauth, (alpha, beta)))
    wire.session.trust_env = False
    with running(wire.sandbox, servers), wire.session:
        yield wire


@contextmanager
def a_method(name: str, run: Callable[[Call], Any], scope: str | None = None) -> Iterator[None]:
    """Registers a method until the block ends; its name must be unique."""
    METHODS[name] = Method(name, scope, run)
    try:
        yield
    finally:
        del METHODS[name]
