"""Parses an incoming webhook and identifies its owner; the address itself is the proof.

https://apidocs.bitrix24.com/local-integrations/local-webhooks.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from hashlib import sha256

from django.utils.translation import gettext_lazy as _

from b24app.errors import AddressNotUnderstood, BadInput, TokenExpired
from b24app.models import Portal
from b24app.rest import portal_address
from b24app.rest.client import Client
from b24app.rest.transport import shown as shown
from b24app.tokens.proof import PROFILE

# https://host[:port]/rest/<user>/<code>/ ; an on-premise site may be in a directory.
_WEBHOOK = re.compile(
    r"(?P<root>.+/rest/)(?P<user>[1-9][0-9]{0,17})/(?P<code>[0-9A-Za-z]{1,100})/", re.DOTALL
)
# Begins the member_id of rows that are not installations; that of a portal has no dot.
_MEMBER_ID = "webhook."
_DIGEST_KEPT = 40


class NotAWebhook(BadInput):
    sentence_by_default = _(
        "This is not the address of an incoming webhook. "
        "It has the form https://host/rest/<user>/<code>/. Nothing was done."
    )


class _NoToken:
    """Credentials without a token: the address itself is the credential, and is never renewed."""

    def access_token(self) -> str:
        return ""

    def renew(self, stale: str) -> str:
        raise TokenExpired("expired_token", "a webhook is not renewed", 401)


@dataclass(frozen=True)
class Webhook:
    """A webhook's address, taken apart; only the client contains its secret code."""

    root: str  # https://host/rest/
    host: str
    user_id: int
    client: Client = field(repr=False)


@dataclass(frozen=True)
class WebhookOwner:
    """The person as whom a webhook acts; `session.Person` is the person of a frame."""

    portal: Portal
    user_id: int
    client: Client = field(repr=False)


def parse(address: str) -> Webhook:
    """Parses the address of a webhook. Makes no call.

    Raises NotAWebhook, or AddressForbidden if this app never calls the address. The errors do not
    contain the address, which is a secret.
    """
    found = _WEBHOOK.fullmatch(address.strip().removesuffix("/") + "/")
    if found is None:
        raise NotAWebhook("not a webhook's address")
    try:
        root = portal_address.parse_callable(found["root"])
    except AddressNotUnderstood:
        raise NotAWebhook("not a portal's address") from None
    return Webhook(
        root=root.endpoint,
        host=root.netloc,
        user_id=int(found["user"]),
        client=Client(f"{root.endpoint}{found['user']}/{found['code']}", _NoToken()),
    )


def identify(webhook: Webhook) -> WebhookOwner:
    """Asks the portal as whom the webhook acts. Raises the portal's error, often TokenRejected.

    Stores a row for the portal only after the answer, so a mistyped address leaves none.
    https://apidocs.bitrix24.com/api-reference/common/users/profile.html
    """
    profile = webhook.client.read(PROFILE)
    return WebhookOwner(_portal_of(webhook), profile.user_id, webhook.client)


def _portal_of(webhook: Webhook) -> Portal:
    """Returns the portal at this host in which the app is installed; else a row for the webhook.

    So frames and scripts share their claims on payments. The row for the webhook only owns a
    ledger: it has no installation, its member_id is one that no portal can post, and its domain is
    not a host. So no frame, event or sign-in finds it, and it is never mistaken for the portal.
    """
    installed = Portal.objects.filter(
        domain__iexact=webhook.host, installed_at__isnull=False, uninstalled_at=None
    ).first()
    if installed is not None:
        return installed
    digest = sha256(webhook.host.encode()).hexdigest()[:_DIGEST_KEPT]
    portal, _created = Portal.objects.get_or_create(
        member_id=f"{_MEMBER_ID}{digest}",
        defaults={"client_endpoint": webhook.root, "domain": f"webhook at {webhook.host}"},
    )
    return portal
