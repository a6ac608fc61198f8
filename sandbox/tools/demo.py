"""Starts the portals on ports of this process and, if wanted, the app in its own process."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sandbox.server.app import Sandbox
from sandbox.server.ports import LOOPBACK, PortServers, running
from sandbox.tools.app_process import VAR, App, running_app
from sandbox.world import seed
from sandbox.world.events import Courier
from sandbox.world.world import Portal

Say = Callable[[str], None]
# The address registered for the application if it is not started here.
APP_PORT = 8000


@dataclass(frozen=True)
class Stage:
    sandbox: Sandbox
    oauth_url: str
    portal_urls: tuple[str, str]
    app_url: str
    app: App | None

    @property
    def alpha(self) -> Portal:
        return self.sandbox.world.portals[seed.ALPHA]

    @property
    def beta(self) -> Portal:
        return self.sandbox.world.portals[seed.BETA]


@contextmanager
def on_stage(
    *,
    port: int,
    portal_ports: tuple[int, int],
    app_port: int | None,
    payments: int = 0,
    say: Say,
) -> Iterator[Stage]:
    """Starts everything and stops it when the block ends; replaces ports that are taken.

    The portals are at 127.0.0.1 and the app at localhost, so that they are cross-site, as in
    production. Raises AppFailed.
    """
    servers = _servers((port, *portal_ports), say)
    oauth_port, alpha_port, beta_port = servers.ports
    oauth_url = f"http://{LOOPBACK}:{oauth_port}"
    portal_urls = (f"http://{LOOPBACK}:{alpha_port}", f"http://{LOOPBACK}:{beta_port}")
    listener = None if app_port is None else _listener(app_port, say)
    app_url = f"http://localhost:{listener.getsockname()[1] if listener else APP_PORT}"
    world = seed.demo_world(oauth_url=oauth_url, portal_urls=portal_urls, app_url=app_url)
    for portal in world.portals.values():
        seed.fill(portal, payments)
    sandbox = Sandbox(world)
    courier = Courier(world)
    try:
        with running(sandbox, servers):
            if listener is None:
                yield Stage(sandbox, oauth_url, portal_urls, app_url, None)
                return
            with (
                listener,
                _folder(app_port) as folder,
                running_app(listener, oauth_url=oauth_url, folder=folder) as app,
            ):
                yield Stage(sandbox, oauth_url, portal_urls, app_url, app)
    finally:
        courier.stop()


@contextmanager
def _folder(app_port: int | None) -> Iterator[Path]:
    """Yields the folder of the app's database and log; a temporary one for an app on any port."""
    if app_port:
        yield VAR / f"app-{app_port}"
        return
    with tempfile.TemporaryDirectory(prefix="sandbox-app-") as folder:
        yield Path(folder)


def _servers(ports: Sequence[int], say: Say) -> PortServers:
    return PortServers([_free(port, say) for port in ports])


def _free(port: int, say: Say) -> int:
    """Returns the port, or 0 (any free one) if it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            say(f"Port {port} is taken; a free one is used instead.")
            return 0
    return port


def _listener(port: int, say: Say) -> socket.socket:
    """Binds the port here and passes it to the app, so that no other process takes it meanwhile."""
    listener = socket.create_server((LOOPBACK, _free(port, say)), backlog=128)
    listener.set_inheritable(True)
    return listener
