"""Finds the network address that a request comes from, as the first trusted proxy saw it."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest

# The prefix length that providers give to a customer: one machine can use any address in it.
_IPV6_NETWORK = 64


def of_request(request: HttpRequest) -> str:
    """Returns the client's IP address; "" if the server has none (a UNIX socket without a proxy).

    Each proxy appends the address that it saw to X-Forwarded-For. So our own proxies wrote the last
    TRUSTED_PROXIES entries; the client may have invented the others.
    """
    peer = str(request.META.get("REMOTE_ADDR") or "")
    trusted = settings.TRUSTED_PROXIES
    entries = [entry.strip() for entry in request.headers.get("X-Forwarded-For", "").split(",")]
    if trusted < 1 or len(entries) < trusted:
        return peer
    try:
        address = ip_address(entries[-trusted])
    except ValueError:
        return peer
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def network_of(request: HttpRequest) -> str:
    """Returns the client's network, which counts as one sender: an IPv4 address, or the first
    address of an IPv6 /64; "" if the address is not known.
    """
    text = of_request(request)
    try:
        address = ip_address(text)
    except ValueError:
        return ""
    if isinstance(address, IPv6Address):
        return str(ip_network((address, _IPV6_NETWORK), strict=False).network_address)
    return text
