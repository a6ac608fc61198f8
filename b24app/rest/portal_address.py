"""Parses the address of a portal: one check for every source that names one.

Sources: the OAuth server (openings, installations, renewals), incoming webhooks, and the domain
that a person types to sign in. What comes out is ASCII, in lower case, and safe in a header.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import idna

from b24app.errors import AddressNotUnderstood
from b24app.rest.addresses import check_url

# The column that keeps an address.
MAX_LENGTH = 255
# RFC 1035: 63 characters a label, 253 a name.
_MAX_HOST = 253
_MAX_PORT = 65_535
_DEFAULT_PORTS = {"http": 80, "https": 443}

_PARTS = re.compile(r"(?P<scheme>https?)://(?P<place>[^/]+)(?P<path>/.*)", re.IGNORECASE)
_PLACE = re.compile(r"(?P<host>[^:@\[\]]+)(?::(?P<port>[0-9]{1,5}))?")
# Machines in a company's own network have names with underscores, although DNS calls them no hosts.
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
# An on-premise site may live under a directory; no segment is empty or made of dots.
_PATH = re.compile(r"/(?:(?!\.+/)[0-9A-Za-z._~-]+/)*")


@dataclass(frozen=True)
class PortalAddress:
    """`port` is None where it is the scheme's own; `path` begins and ends with a slash."""

    scheme: str
    host: str
    port: int | None
    path: str

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
    """Read scheme://host[:port]/path/. Raises AddressNotUnderstood; looks nothing up."""
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
    """As `parse`; also raises AddressForbidden for an address that this app never calls."""
    address = parse(text)
    check_url(address.endpoint)
    return address


def netloc_of(place: str) -> str:
    """host[:port] as `PortalAddress.netloc` has it, without https's own port, as a person types it.

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
    """The host in lower case, international names in punycode."""
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
    # IDNA knows no underscore: the rest of the label is checked without it.
    idna.check_label(label.replace("_", ""))
    return f"xn--{label.encode('punycode').decode('ascii')}"
