"""Signs a person in outside of a frame: sends them to their Bitrix24, and takes the code back.

https://apidocs.bitrix24.com/settings/oauth/index.html
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET

from b24app.errors import AddressNotUnderstood, BadInput, OpeningRefused, OutcomeUnknown
from b24app.identity.forms import CallbackForm
from b24app.models import EventReceipt, Portal
from b24app.monitoring.logs import security
from b24app.rest import portal_address, shares
from b24app.tokens import oauth, store
from b24app.tokens.proof import origin_of, owner_of

STATE_LIFETIME = timedelta(minutes=10)  # time to type a password and perhaps a second factor
COOKIE = "oauth_state"
_SALT = "b24app.views.oauth"


class PortalUnknown(OpeningRefused):
    """The app is not installed in that portal."""

    sentence_by_default = _(
        "The app is not installed in this Bitrix24. "
        "Its administrator installs it from Bitrix24 first; then you can sign in here."
    )


class StateRefused(OpeningRefused):
    """This browser did not start the sign-in, or its state was used before."""

    sentence_by_default = _(
        "This sign-in was not started in this browser, took longer than ten minutes, or has been "
        "used already. Start again."
    )


@require_GET
def start(request: HttpRequest) -> HttpResponse:
    """Redirects the person to their portal, given by `domain`, to allow the app there.

    Redirects only to the stored address of a portal that has the app: people would trust any other
    page too, because they come from this app.

    A signed cookie holds the state and binds it to this browser. The page is not in a frame, so the
    cookie is a first-party one.
    """
    try:
        domain = portal_address.netloc_of(request.GET.get("domain", "").strip())
    except AddressNotUnderstood as error:
        raise BadInput("domain is not a host") from error
    portal = Portal.objects.filter(
        domain__iexact=domain, installed_at__isnull=False, uninstalled_at=None
    ).first()
    if portal is None:
        raise PortalUnknown(domain)
    state = secrets.token_urlsafe(32)
    address = oauth.authorize_url(origin_of(portal.client_endpoint), state=state)
    response = redirect(address)
    response.set_cookie(
        COOKIE,
        signing.dumps({"state": state, "portal": portal.pk}, salt=_SALT),
        max_age=STATE_LIFETIME,
        path=reverse("oauth-callback"),
        secure=settings.APP_URL.startswith("https://"),
        httponly=True,
        samesite="Lax",
    )
    return response


@require_GET
def callback(request: HttpRequest) -> HttpResponse:
    """Exchanges the code with which the person came back, and stores their tokens.

    Renders b24app/identity/signed_in.html, without a context of its own.
    """
    form = CallbackForm(request.GET)
    if not form.is_valid():
        raise BadInput(f"bad fields: {', '.join(sorted(form.errors))}")
    portal = _portal_of_state(request, form.cleaned_data["state"])
    pair = oauth.exchange_code(form.cleaned_data["code"])
    if not pair.member_id or pair.user_id is None:
        pair = _completed(pair, portal)
    if not constant_time_compare(pair.member_id, portal.member_id):
        security.warning("sign-in refused: it was another portal (member_id %s)", portal.member_id)
        raise PortalUnknown("another portal than the one the sign-in was started for")
    store.store_user_pair(portal, pair)
    response = render(request, "b24app/identity/signed_in.html")
    response.delete_cookie(COOKIE, path=reverse("oauth-callback"))
    return response


def _completed(pair: oauth.TokenPair, portal: Portal) -> oauth.TokenPair:
    """Returns the pair with its portal and person; asks the OAuth server for the missing ones."""
    if not pair.access:
        raise OutcomeUnknown("a code was answered with a pair of no person")
    owner = owner_of(pair.access, member_id=pair.member_id or portal.member_id)
    return replace(pair, member_id=owner.member_id, user_id=owner.user_id)


def _portal_of_state(request: HttpRequest, state: str) -> Portal:
    """Returns the portal for which this browser started the sign-in, and spends the state.

    A row with a unique column spends the state, because a cookie can be sent twice and processes
    share no memory: the second request with the same state finds the row.
    """
    try:
        asked: dict[str, Any] = signing.loads(
            request.COOKIES.get(COOKIE, ""), salt=_SALT, max_age=STATE_LIFETIME
        )
    except signing.BadSignature as error:
        raise _refused("no valid cookie") from error
    if not constant_time_compare(asked["state"], state):
        raise _refused("the state of another browser")
    portal = Portal.objects.filter(pk=asked["portal"], uninstalled_at=None).first()
    if portal is None:
        raise PortalUnknown("uninstalled meanwhile")
    # Before the state is spent, so that a person who is refused can retry.
    shares.admit(portal.client_endpoint)
    _receipt, is_first = EventReceipt.objects.get_or_create(
        fingerprint=salted_hmac(_SALT, state, algorithm="sha256").hexdigest(),
        defaults={"portal": portal, "event": "OAUTH_CALLBACK", "handled_at": timezone.now()},
    )
    if not is_first:
        raise _refused("the state was used before")
    return portal


def _refused(reason: str) -> StateRefused:
    security.warning("sign-in refused: %s", reason)
    return StateRefused(reason)
