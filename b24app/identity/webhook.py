"""An incoming webhook: a third way to call a portal, in which the address itself is the proof.

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

# https://host[:port]/rest/<user>/<code>/ ; an on-premise site may stand under a directory.
_WEBHOOK = re.compile(
    r"(?P<root>.+/rest/)(?P<user>[1-9][0-9]{0,17})/(?P<code>[0-9A-Za-z]{1,100})/", re.DOTALL
)
# Marks rows that are no installation: the member_id of a portal has no dot.
_MEMBER_ID = "webhook."
_DIGEST_KEPT = 40


class NotAWebhook(BadInput):
    sentence_by_default = _(
        "This is not the address of an incoming webhook. "
        "It has the form https://host/rest/<user>/<code>/. Nothing was done."
    )


class _NoToken:
    """Nothing is sent beside the address, and nothing can be renewed."""

    def access_token(self) -> str:
        return ""

    def renew(self, stale: str) -> str:
        raise TokenExpired("expired_token", "a webhook is not renewed", 401)


@dataclass(frozen=True)
class Webhook:
    """A webhook's address, taken apart; its code is in the client alone."""

    root: str  # https://host/rest/
    host: str
    user_id: int
    client: Client = field(repr=False)


@dataclass(frozen=True)
class WebhookOwner:
    """The person as whom a webhook acts: what `session.Person` is to a frame."""

    portal: Portal
    user_id: int
    client: Client = field(repr=False)


def parse(address: str) -> Webhook:
    """Raises NotAWebhook, or AddressForbidden for an address that is never called; neither repeats
    the address, which is the secret. Calls nobody."""
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
    """Ask the portal as whom the webhook acts; raises what it answers, TokenRejected first of all.

    Only then is a portal remembered, so that a mistyped address leaves nothing behind.
    """
    profile = webhook.client.read(PROFILE)
    return WebhookOwner(_portal_of(webhook), profile.user_id, webhook.client)


def _portal_of(webhook: Webhook) -> Portal:
    """The portal where the app is installed at this host, so that frames and scripts share their
    claims on payments; else a row of the host's own, which holds a ledger and nothing else.

    That one was never installed, its member_id is none that a portal can post, and its domain is no
    host: no frame, event or sign-in ever opens it, and it is never taken for the portal itself.
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
