"""Parses and checks the address of a portal, from every source.

The sources are the OAuth server (openings, installations, renewals), incoming webhooks, and the
domain that a person types to sign in. A parsed address is ASCII, in lower case, and safe in a
header.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import idna

from b24app.errors import AddressNotUnderstood
from b24app.rest.addresses import check_url

# The length of an address's column.
MAX_LENGTH = 255
# RFC 1035: 63 characters a label, 253 a name.
_MAX_HOST = 253
_MAX_PORT = 65_535
_DEFAULT_PORTS = {"http": 80, "https": 443}

_PARTS = re.compile(r"(?P<scheme>https?)://(?P<place>[^/]+)(?P<path>/.*)", re.IGNORECASE)
_PLACE = re.compile(r"(?P<host>[^:@\[\]]+)(?::(?P<port>[0-9]{1,5}))?")
# Machines in a company's own network have names with underscores, which DNS forbids in host names.
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
# An on-premise site may be in a directory. No segment is empty or consists of dots.
_PATH = re.compile(r"/(?:(?!\.+/)[0-9A-Za-z._~-]+/)*")


@dataclass(frozen=True)
class PortalAddress:
    """A portal's address, taken apart."""

    scheme: str
    host: str
    port: int | None  # None for the scheme's default port
    path: str  # begins and ends with a slash

    @property
    def netloc(self) -> str:
        return self.host if self.port is None else f"{self.host}:{self.port}"

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.netloc}"

    @property
    def endpoint(self) -> str:
        return f"{self.origin}{self.path}"


def parse(text: str) -> PortalAddress:
    """Parses scheme://host[:port]/path/, without a name lookup. Raises AddressNotUnderstood."""
    found = _PARTS.fullmatch(text) if len(text) <= MAX_LENGTH else None
    if found is None:
        raise AddressNotUnderstood("not scheme://host/path/")
    scheme = found["scheme"].lower()
    host, port = _host_and_port(found["place"])
    path = found["path"] if found["path"].endswith("/") else f"{found['path']}/"
    if not _PATH.fullmatch(path):
        raise AddressNotUnderstood("the path has signs or segments that no portal's has")
    address = PortalAddress(scheme, host, None if port == _DEFAULT_PORTS[scheme] else port, path)
    if len(address.endpoint) > MAX_LENGTH:
        raise AddressNotUnderstood("longer than an address may be")
    return address


def parse_callable(text: str) -> PortalAddress:
    """Parses as `parse` does; also raises AddressForbidden if this app never calls the address."""
    address = parse(text)
    check_url(address.endpoint)
    return address


def netloc_of(place: str) -> str:
    """Returns the `netloc` for host[:port] as a person types it; drops the default port of https.

    Raises AddressNotUnderstood.
    """
    host, port = _host_and_port(place)
    address = PortalAddress("https", host, None if port == _DEFAULT_PORTS["https"] else port, "/")
    return address.netloc


def _host_and_port(place: str) -> tuple[str, int | None]:
    found = _PLACE.fullmatch(place) if len(place) <= MAX_LENGTH else None
    if found is None:
        raise AddressNotUnderstood("not host[:port]")
    port = None if found["port"] is None else int(found["port"])
    if port is not None and not 1 <= port <= _MAX_PORT:
        raise AddressNotUnderstood("a port out of range")
    return _ascii_host(found["host"]), port


def _ascii_host(host: str) -> str:
    """Returns the host in lower case, with an international name in punycode."""
    try:
        if not host.isascii():
            host = idna.uts46_remap(host, std3_rules=False)
        labels = [_ascii_label(label) for label in host.lower().removesuffix(".").split(".")]
    except (idna.IDNAError, UnicodeError) as error:
        raise AddressNotUnderstood("not an international host name") from error
    ascii_host = ".".join(labels)
    if len(ascii_host) > _MAX_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        raise AddressNotUnderstood("not a host name")
    return ascii_host


def _ascii_label(label: str) -> str:
    if label.isascii():
        return label
    # IDNA forbids underscores, so the label is checked without them.
    idna.check_label(label.replace("_", ""))
    return f"xn--{label.encode('punycode').decode('ascii')}"
