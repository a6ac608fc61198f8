"""Checks which network addresses this app may call, and connects to no others.

A portal's address comes from outside. An attacker who controls the address, or its name server,
must not make the app call machines in its own network. So the address is checked twice: as it is
written, and as its name resolves when the app connects.
"""

from __future__ import annotations

import socket
from functools import cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from urllib.parse import urlsplit

from django.conf import settings
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.util.connection import create_connection
from urllib3.util.ssl_ import create_urllib3_context, resolve_cert_reqs

from b24app.errors import AddressForbidden, NeverSent
from b24app.rest import deadline, name_lookup

# A name may have many addresses; the tried ones share the time to connect.
ADDRESSES_TRIED = 3

# IPv6 addresses with an IPv4 address in their last 32 bits (RFC 6052), which is the one called.
_TRANSLATED = ip_network("64:ff9b::/96")

Address = IPv4Address | IPv6Address


def check_url(url: str) -> None:
    """Raises AddressForbidden for an address that can be refused without a name lookup."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise AddressForbidden("the address cannot be read") from error
    if not host or parts.username is not None:
        raise AddressForbidden("an address is a host and a path, without a user name")
    if parts.scheme != "https" and not (parts.scheme == "http" and settings.B24_ALLOW_HTTP):
        raise AddressForbidden(f"{parts.scheme}://{host} is not https")
    try:
        literal = ip_address(host)
    except ValueError:
        return  # A name: checked again when it is resolved.
    _check(literal, is_http=parts.scheme == "http")


def _check(address: Address, *, is_http: bool) -> None:
    address = _inner(address)
    if is_http:
        permitted = settings.B24_ALLOW_HTTP and address.is_loopback
    elif address.is_link_local or address.is_multicast or address.is_unspecified:
        permitted = False  # Not even by B24_PRIVATE_NETWORKS: clouds serve secrets there.
    else:
        permitted = address.is_global or any(
            address in network for network in _networks(tuple(settings.B24_PRIVATE_NETWORKS))
        )
    if not permitted:
        raise AddressForbidden(f"{address} is not an address this app calls")


def _inner(address: Address) -> Address:
    """Returns the IPv4 address that an IPv6 address wraps, which is the one called."""
    if isinstance(address, IPv4Address):
        return address
    if address in _TRANSLATED:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


@cache
def _networks(networks: tuple[str, ...]) -> list[IPv4Network | IPv6Network]:
    return [ip_network(network) for network in networks]


class _Guarded(HTTPConnection):
    """Connects to permitted addresses only. Raises NeverSent for every failure before it sends.

    The name lookup, all addresses and the TLS handshake together take at most the exchange's time
    to connect. urllib3 reports a TLS handshake that times out as a read timeout, as if the request
    had been sent; here it is NeverSent.
    """

    is_http = True

    def connect(self) -> None:
        try:
            super().connect()
        except (OSError, HTTPError, UnicodeError) as error:
            raise NeverSent(f"{self.host}: {type(error).__name__}") from error

    def _new_conn(self) -> socket.socket:
        # Connects to the checked addresses: a second lookup could return others.
        timeout = None if self.timeout is None else float(self.timeout)
        literals = name_lookup.addresses_of(
            self.host, self.port, seconds=deadline.seconds_to_connect(timeout)
        )
        for literal in literals:
            _check(ip_address(literal), is_http=self.is_http)
        tried = literals[:ADDRESSES_TRIED]
        for number, literal in enumerate(tried):
            seconds = deadline.seconds_to_connect(timeout)
            try:
                connected = create_connection(
                    (literal, self.port),
                    # The first address may be dead, so time is left for the others.
                    None if seconds is None else seconds / (len(tried) - number),
                    socket_options=self.socket_options,
                )
            except OSError:
                if literal == tried[-1]:
                    raise
                continue
            return deadline.limit(connected)
        raise OSError("the name has no address")


class GuardedHTTPConnection(_Guarded):
    """Plain HTTP: only to this machine, and only if settings allow it."""


class GuardedHTTPSConnection(_Guarded, HTTPSConnection):
    """HTTPS: to public addresses, and to the private networks in settings."""

    is_http = False

    def connect(self) -> None:
        if self.ssl_context is None:
            # urllib3's own context, but with sockets that obey the exchange's deadline.
            self.ssl_context = create_urllib3_context(cert_reqs=resolve_cert_reqs(self.cert_reqs))
            self.ssl_context.sslsocket_class = deadline.LimitedSSLSocket
        super().connect()
