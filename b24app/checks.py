"""System checks: find settings that are well-formed but cannot work, or are unsafe.

E001  APP_URL is not an address          E005  B24_OAUTH_URL or B24_JS_URL is http
E002  APP_URL is http                    E006  http to the OAuth server is not allowed
E003  the built-in SECRET_KEY            E007  B24_TOKEN_KEYS is malformed
E004  the built-in B24_TOKEN_KEYS        E008  no client id or secret
                                         E009  B24_PRIVATE_NETWORKS is malformed
E012  B24_REMOVAL_GRACE_DAYS is out of its bounds
W011  PUBLISHER_* have their example values
E010  B24_TOKEN_KEYS does not decrypt the stored tokens; run by `wsgi.py` and by
      `check --database default`
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import SplitResult, urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import DatabaseError

from b24app.encryption import WrongKey
from b24app.models import UserToken
from b24app.settings import (
    EXAMPLE_PUBLISHER,
    EXAMPLE_PUBLISHER_ADDRESS,
    EXAMPLE_PUBLISHER_EMAIL,
    INSECURE_SECRET_KEY,
    INSECURE_TOKEN_KEY,
)

# Days. Less than one is too short to notice a mistake; more than a month is too long to keep the
# data of a portal whose administrator asked to delete them.
SHORTEST_GRACE, LONGEST_GRACE = 1, 30
# The length of a Fernet key: 16 bytes to sign with and 16 to encrypt with.
KEY_BYTES = 32


@register(Tags.security)
def settings_can_work(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    return [*_addresses(), *_secrets(), *_keys(), *_networks(), *_grace(), *_publisher()]


@register(Tags.database)
def keys_open_what_is_stored(
    app_configs: Sequence[AppConfig] | None,
    databases: Sequence[str] | None = None,
    **kwargs: Any,
) -> list[CheckMessage]:
    """Decrypts the oldest and the newest token.

    The newest fails if a key was lost, the oldest if a key was removed before `rotate_keys`.
    """
    if "default" not in (databases or ()) or [*_keys()]:
        return []
    rows = UserToken.objects.values_list("access", flat=True)
    try:
        for order in ("pk", "-pk"):
            rows.order_by(order).first()
    except DatabaseError:
        return []  # No table yet, or no database, which /readyz/ reports.
    except WrongKey:
        return [
            Error(
                "B24_TOKEN_KEYS does not decrypt the tokens in the database.",
                hint="Put the key that encrypted them back, behind the new one, and run "
                "`manage.py rotate_keys`. If it is lost, run `manage.py revoke` for each "
                "portal; its administrator then opens the app once.",
                id="b24app.E010",
            )
        ]
    return []


def _addresses() -> Iterator[CheckMessage]:
    app = _address(settings.APP_URL)
    if app is None or app.path or app.query or app.fragment:
        yield Error(
            "APP_URL is not an address.",
            hint="Set it to scheme://host[:port], without a path: https://pay.example.com",
            id="b24app.E001",
        )
    elif app.scheme == "http" and not _is_loopback(app):
        yield Error(
            "APP_URL is http, so tokens would travel unencrypted.",
            hint="Serve the app by https; http is for this machine only.",
            id="b24app.E002",
        )
    for name in ("B24_OAUTH_URL", "B24_JS_URL"):
        address = _address(getattr(settings, name))
        if address is None or (address.scheme == "http" and not _is_loopback(address)):
            yield Error(
                f"{name} is not an https address.",
                hint="Leave it unset unless you run the sandbox on this machine.",
                id="b24app.E005",
            )
    server = _address(settings.B24_OAUTH_URL)
    if server is not None and server.scheme == "http" and not settings.B24_ALLOW_HTTP:
        yield Error(
            "B24_OAUTH_URL is http, and http is not allowed.",
            hint="Set B24_ALLOW_HTTP for the sandbox, or use https.",
            id="b24app.E006",
        )


def _secrets() -> Iterator[CheckMessage]:
    app = _address(settings.APP_URL)
    if app is None or _is_loopback(app):
        return
    if settings.SECRET_KEY == INSECURE_SECRET_KEY:
        yield Error(
            "SECRET_KEY is the public one from the source.",
            hint="Set it to 50 random characters.",
            id="b24app.E003",
        )
    if INSECURE_TOKEN_KEY in settings.B24_TOKEN_KEYS:
        yield Error(
            "B24_TOKEN_KEYS contains the public key from the source.",
            hint="Set it to a key of your own; .env.example says how to make one.",
            id="b24app.E004",
        )
    if not (settings.B24_CLIENT_ID and settings.B24_CLIENT_SECRET):
        yield Error(
            "B24_CLIENT_ID or B24_CLIENT_SECRET is not set, so no portal can install the app.",
            hint="Copy both from the application's settings in Bitrix24.",
            id="b24app.E008",
        )


def _keys() -> Iterator[CheckMessage]:
    keys = settings.B24_TOKEN_KEYS
    malformed = [number for number, key in enumerate(keys, start=1) if not _is_key(key)]
    if malformed or not keys:
        which = f"number {', '.join(map(str, malformed))}" if malformed else "it is empty"
        yield Error(
            f"B24_TOKEN_KEYS is not a list of keys: {which}.",
            hint="A key is 32 random bytes in URL-safe base64.",
            id="b24app.E007",
        )


def _networks() -> Iterator[CheckMessage]:
    for network in settings.B24_PRIVATE_NETWORKS:
        try:
            ip_network(network)
        except ValueError:
            yield Error(
                f"B24_PRIVATE_NETWORKS: {network!r} is not a network.",
                hint="Write networks as 10.0.0.0/8, separated by commas.",
                id="b24app.E009",
            )


def _grace() -> Iterator[CheckMessage]:
    if not SHORTEST_GRACE <= settings.B24_REMOVAL_GRACE_DAYS <= LONGEST_GRACE:
        yield Error(
            f"B24_REMOVAL_GRACE_DAYS is {settings.B24_REMOVAL_GRACE_DAYS}.",
            hint=f"Set it to {SHORTEST_GRACE} to {LONGEST_GRACE} days.",
            id="b24app.E012",
        )


def _publisher() -> Iterator[CheckMessage]:
    """Only a warning: no money is in danger, but the moderators of Bitrix24 read both texts."""
    if not settings.APP_URL.startswith("https://"):
        return
    made_up = [
        name
        for name, example in (
            ("PUBLISHER_NAME", EXAMPLE_PUBLISHER),
            ("PUBLISHER_ADDRESS", EXAMPLE_PUBLISHER_ADDRESS),
            ("PUBLISHER_EMAIL", EXAMPLE_PUBLISHER_EMAIL),
        )
        if getattr(settings, name) in ("", example)
    ]
    if made_up:
        yield checks.Warning(
            "The licence agreement and the privacy policy name an example publisher: "
            f"{', '.join(made_up)}.",
            hint="Set them to your name and addresses, as .env.example shows.",
            id="b24app.W011",
        )


def _address(value: str) -> SplitResult | None:
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        return None
    return parts if parts.scheme in ("http", "https") and parts.hostname else None


def _is_loopback(address: SplitResult) -> bool:
    host = address.hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _is_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key.encode(), altchars=b"-_", validate=True)) == KEY_BYTES
    except (binascii.Error, UnicodeEncodeError):
        return False
