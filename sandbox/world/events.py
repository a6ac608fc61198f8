"""Queues a portal's events for the handlers bound to them, and posts them from a thread.

A portal queues an event at the end of the request and never posts it twice to a handler. Without
a Courier, deliveries collect in `world.outbox`, where a test finds them.
"""

from __future__ import annotations

import http.client
import ipaddress
import logging
import queue
import socket
import threading
from typing import Any
from urllib.parse import quote_plus, urlsplit

from sandbox.wire.loose import to_text
from sandbox.world.event_names import WITH_REFRESH_TOKEN, WITHOUT_TOKEN
from sandbox.world.world import ACCESS_TOKEN_SECONDS, Delivery, Installation, Portal, World

logger = logging.getLogger(__name__)

HANDLER_SECONDS = 5  # a slow handler delays the next event by this at most


def queue_event(
    world: World, portal: Portal, event: str, data: dict[str, Any], *, user_id: int
) -> None:
    """Queues `event` for every application that bound it; `user_id` is the person who caused it."""
    for installation in portal.installations.values():
        queue_for(world, portal, installation, event, data, user_id=user_id)


def queue_for(
    world: World,
    portal: Portal,
    installation: Installation,
    event: str,
    data: dict[str, Any],
    *,
    user_id: int,
) -> None:
    """Queues `event` for the handlers of one application, if its installation is finished."""
    is_active = installation.finished and not installation.removed
    if not is_active or installation.is_unpaid(world.now()):
        return
    for binding in installation.events:
        if binding["event"] != event or not binding["handler"]:
            continue
        fields = {
            "event": event,
            "event_handler_id": to_text(binding["id"]),
            "data": data,
            "ts": to_text(int(world.now())),
            "auth": _auth(world, portal, installation, event, binding["auth_type"] or user_id),
        }
        _send(world, Delivery(binding["handler"], _texts(fields)))


def form_body(fields: dict[str, Any]) -> bytes:
    """Encodes nested fields as `http_build_query` does: `data[FIELDS][ID]=271`."""
    return "&".join(
        f"{quote_plus(name)}={quote_plus(value)}" for name, value in flat_fields(fields)
    ).encode()


def flat_fields(fields: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Returns nested fields as pairs of name and value: `("data[FIELDS][ID]", "271")`."""
    pairs: list[tuple[str, str]] = []
    for key, value in fields.items():
        name = f"{prefix}[{key}]" if prefix else key
        if isinstance(value, dict):
            pairs += flat_fields(value, name)
        else:
            pairs.append((name, to_text(value)))
    return pairs


class Courier:
    """Posts events from a thread, one after another, each once, to this machine only."""

    def __init__(self, world: World) -> None:
        self._waiting: queue.SimpleQueue[Delivery | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="sandbox-events", daemon=True)
        self._thread.start()
        with world.lock:
            world.send = self._waiting.put

    def stop(self) -> None:
        """Posts the queued events and ends the thread."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (delivery := self._waiting.get()) is not None:
            try:
                status = post(delivery)
            except (OSError, http.client.HTTPException, ValueError) as error:
                logger.warning("Not delivered: %s: %s", delivery.fields["event"], error)
            else:
                logger.info("Delivered: %s, status %s", delivery.fields["event"], status)


def post(delivery: Delivery) -> int:
    """Posts once and returns the HTTP status.

    Raises ValueError for an address off this machine, OSError or HTTPException if it fails.
    """
    parts = urlsplit(delivery.url)
    if parts.scheme != "http" or not is_loopback(parts.hostname or ""):
        raise ValueError(f"{delivery.url} is not http on a loopback address")
    connection = http.client.HTTPConnection(
        parts.hostname or "", parts.port, timeout=HANDLER_SECONDS
    )
    try:
        connection.request(
            "POST",
            f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/",
            form_body(delivery.fields),
            {"Content-Type": "application/x-www-form-urlencoded"},
        )
        return connection.getresponse().status
    finally:
        connection.close()


def is_loopback(host: str) -> bool:
    addresses = {info[4][0] for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    return bool(addresses) and all(
        ipaddress.ip_address(address).is_loopback for address in addresses
    )


def _send(world: World, delivery: Delivery) -> None:
    if world.send is None:
        world.outbox.append(delivery)
    else:
        world.send(delivery)


def _auth(
    world: World, portal: Portal, installation: Installation, event: str, user_id: int
) -> dict[str, Any]:
    auth: dict[str, Any] = {
        "domain": urlsplit(portal.url).netloc,
        "server_endpoint": f"{world.oauth_url}/rest/",
        "client_endpoint": f"{portal.url}/rest/",
        "member_id": portal.member_id,
        "application_token": installation.application_token,
    }
    if event in WITHOUT_TOKEN or user_id not in portal.users:
        return auth
    token = world.issue(installation.client_id, portal.member_id, user_id)
    auth |= {
        "access_token": token.access,
        "expires": int(token.expires),
        "expires_in": ACCESS_TOKEN_SECONDS,
        "scope": ",".join(installation.scopes),
        "status": installation.status,
        "user_id": user_id,
    }
    if event in WITH_REFRESH_TOKEN:
        auth["refresh_token"] = token.refresh
    return auth


def _texts(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _texts(item) for name, item in value.items()}
    return to_text(value)
