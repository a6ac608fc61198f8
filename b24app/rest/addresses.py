"""Which network addresses this app may call, and connections that call no others.

A portal's address comes from outside. Whoever controls it, or the name server behind it, must not
make us talk to the machines beside us, so the rule is applied twice: to the address as written,
and to what its name resolves to at the moment of connecting.
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

# A name may have many addresses; those tried share the time to connect.
ADDRESSES_TRIED = 3

# IPv6 ranges that carry an IPv4 address in their last 32 bits (RFC 6052): that one is called.
_TRANSLATED = ip_network("64:ff9b::/96")

Address = IPv4Address | IPv6Address


def check_url(url: str) -> None:
    """Raise AddressForbidden for what can be refused without asking a name server."""
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
        return  # A name: looked at when it is resolved.
    _check(literal, plain=parts.scheme == "http")


def _check(address: Address, *, plain: bool) -> None:
    address = _inner(address)
    if plain:
        permitted = settings.B24_ALLOW_HTTP and address.is_loopback
    elif address.is_link_local or address.is_multicast or address.is_unspecified:
        permitted = False  # Never, whatever networks are allowed: clouds keep secrets there.
    else:
        permitted = address.is_global or any(
            address in network for network in _networks(tuple(settings.B24_PRIVATE_NETWORKS))
        )
    if not permitted:
        raise AddressForbidden(f"{address} is not an address this app calls")


def _inner(address: Address) -> Address:
    """The IPv4 address that is really called, where an IPv6 one wraps it."""
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

    The name lookup, all addresses and the TLS handshake together take no longer than the
    exchange's time to connect. urllib3 calls a TLS handshake that times out a read timeout, as if
    something had been sent.
    """

    plain = True

    def connect(self) -> None:
        try:
            super().connect()
        except (OSError, HTTPError, UnicodeError) as error:
            raise NeverSent(f"{self.host}: {type(error).__name__}") from error

    def _new_conn(self) -> socket.socket:
        # Connects to the addresses that were checked: a second lookup could return others.
        patience = None if self.timeout is None else float(self.timeout)
        literals = name_lookup.addresses_of(
            self.host, self.port, seconds=deadline.seconds_to_connect(patience)
        )
        for literal in literals:
            _check(ip_address(literal), plain=self.plain)
        tried = literals[:ADDRESSES_TRIED]
        for number, literal in enumerate(tried):
            seconds = deadline.seconds_to_connect(patience)
            try:
                connected = create_connection(
                    (literal, self.port),
                    # The first address may be dead: the others need their part of the time.
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
    """Plain HTTP: to this machine, when settings allow it."""


class GuardedHTTPSConnection(_Guarded, HTTPSConnection):
    """HTTPS: to the world, and to the private networks in settings."""

    plain = False

    def connect(self) -> None:
        if self.ssl_context is None:
            # As urllib3 makes it, with sockets that obey the exchange's deadline.
            self.ssl_context = create_urllib3_context(cert_reqs=resolve_cert_reqs(self.cert_reqs))
            self.ssl_context.sslsocket_class = deadline.LimitedSSLSocket
        super().connect()
