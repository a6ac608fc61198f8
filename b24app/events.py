"""Events of the portals: proved by the installation's token, noted, then handled or queued.

https://apidocs.bitrix24.com/api-reference/events/safe-event-handlers.html
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.core.cache import cache
from django.db import transaction
from django.db.models import F
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from b24app import event_queue, trace
from b24app.brackets import nested
from b24app.client import Client
from b24app.errors import BadInput, EventRefused, OpeningRefused, Refused
from b24app.forms import (
    OptionalText,
    check_body_size,
    endpoint,
    member,
    opaque,
    optional_token,
)
from b24app.models import EventReceipt, Portal, UserToken
from b24app.proof import PROFILE, PostedCredentials, owner_of, security
from b24app.signals import portal_uninstalled, pruning

# The two that bring a new application_token, because the old one ended with them.
_BRING_TOKENS = frozenset({"ONAPPINSTALL", "ONAPPUPDATE"})
# Any other event may bring the one that those two, or the frame, failed to bring. Seconds between
# two such questions about one portal: so that forged events do not become calls of ours.
_ASK_AGAIN_AFTER = 60


class _EventForm(forms.Form):
    event = forms.RegexField(r"\A[A-Za-z0-9_:.]{1,100}\Z")
    ts = OptionalText(r"\A[0-9]+\Z", max_length=20)


class _AuthForm(forms.Form):
    member_id = member()
    # Events without a person behind them carry no access token.
    access_token = optional_token()
    application_token = opaque(required=False)
    server_endpoint = endpoint()


@dataclass(frozen=True)
class Event:
    """What was posted; everything in it is text, and unproved."""

    name: str
    member_id: str
    application_token: str = field(repr=False)
    access_token: str = field(repr=False)
    server_endpoint: str | None
    data: dict[str, Any]
    fingerprint: str


def read_event(request: HttpRequest) -> Event:
    """The event in a posted form; raises BadInput for what is none, and calls nobody."""
    check_body_size(request)
    tree = nested((name, str(value)) for name, value in request.POST.items())
    auth, data = tree.get("auth"), tree.get("data") or {}
    if not isinstance(auth, dict) or not isinstance(data, dict):
        raise BadInput("an event without auth, or with odd data")
    head, proof = _EventForm(tree), _AuthForm(auth)
    if not (head.is_valid() and proof.is_valid()):
        raise BadInput(f"bad fields: {', '.join(sorted([*head.errors, *proof.errors]))}")
    name, member_id = head.cleaned_data["event"].upper(), proof.cleaned_data["member_id"]
    application_token = proof.cleaned_data["application_token"]
    told = json.dumps([name, member_id, application_token, head.cleaned_data["ts"], data])
    return Event(
        name=name,
        member_id=member_id,
        application_token=application_token,
        access_token=proof.cleaned_data["access_token"],
        server_endpoint=proof.cleaned_data["server_endpoint"] or None,
        data=data,
        # Keyed, because a token is part of what is digested.
        fingerprint=salted_hmac("b24app.events", told, algorithm="sha256").hexdigest(),
    )


def receive(request: HttpRequest) -> None:
    """Take in one event: prove it, note it, handle it or have it worked after the answer.

    What ends or renews our standing in a portal is done before the answer: after an uninstallation
    no token may outlive it. A second delivery does nothing. Raises BadInput for what is no event,
    EventRefused if its application_token is not the one of this installation, and whatever kept
    Bitrix24 from vouching for a new one.
    """
    event = read_event(request)
    portal = Portal.objects.filter(member_id=event.member_id).first()
    if portal is None:
        raise _refused(event, "the app was never installed there")
    trace.about(member_id=portal.member_id, portal_pk=portal.pk)
    if not (_is_proved(event, portal) or _brings_lost_token(event, portal)):
        if _is_handled(event):
            # Uninstalled since, so there is no token left to compare; but this one was proved.
            return
        raise _refused(event, "a wrong application_token")
    if event.name in event_queue.NAMES:
        event_queue.put(portal, event.name, fingerprint=event.fingerprint, data=event.data)
        return
    receipt, _created = EventReceipt.objects.get_or_create(
        fingerprint=event.fingerprint, defaults={"portal": portal, "event": event.name}
    )
    with transaction.atomic():
        locked = Portal.objects.select_for_update().get(pk=portal.pk)
        if _is_handled(event):
            return
        if event.name in _HANDLERS:
            _HANDLERS[event.name](locked, event)
        EventReceipt.objects.filter(pk=receipt.pk).update(handled_at=timezone.now())


def _is_handled(event: Event) -> bool:
    receipts = EventReceipt.objects.filter(fingerprint=event.fingerprint)
    return receipts.exclude(handled_at=None).exists()


def _is_proved(event: Event, portal: Portal) -> bool:
    if portal.uninstalled_at is not None or not event.application_token:
        return False
    if portal.application_token and constant_time_compare(
        event.application_token, portal.application_token
    ):
        return True
    return event.name in _BRING_TOKENS and _is_vouched_for(event, portal)


def _brings_lost_token(event: Event, portal: Portal) -> bool:
    """Whether an ordinary event has a new application_token that Bitrix24 vouches for; it is kept.

    Where the app was installed anew, the portal is too old to send the token with its frame, and
    the event that brings it was lost, every event would otherwise be refused for good. A removal
    is no such event: Bitrix24 sends it without an access token.
    """
    if portal.uninstalled_at is not None or event.name not in event_queue.NAMES:
        return False
    if not (event.application_token and event.access_token and _may_ask(portal)):
        return False
    if not _is_vouched_for(event, portal):
        return False
    security.warning("a new application_token was taken (member_id %s)", portal.member_id)
    _keep_token(portal, event)
    return True


def _may_ask(portal: Portal) -> bool:
    return cache.add(f"b24app.events.asked.{portal.pk}", True, _ASK_AGAIN_AFTER)


def _is_vouched_for(event: Event, portal: Portal) -> bool:
    """Whether the event's access token is ours, of this portal, and an administrator's.

    Any person of the portal holds a token of theirs in the browser: without the last condition one
    could set an application_token of their own, and uninstall the app for everybody.
    """
    if not event.access_token:
        return False
    try:
        owner = owner_of(
            event.access_token,
            member_id=portal.member_id,
            server_endpoint=event.server_endpoint,
        )
        client = Client(portal.client_endpoint, PostedCredentials(event.access_token))
        profile = client.read(PROFILE)
    except (OpeningRefused, Refused):
        return False
    return profile.is_admin and profile.user_id == owner.user_id


def _keep_token(portal: Portal, event: Event) -> None:
    portal.application_token = event.application_token
    portal.save(update_fields=["application_token"])


def _updated(portal: Portal, event: Event) -> None:
    """An update drops event bindings; the next administrator who opens the app restores them."""
    portal.application_token = event.application_token
    portal.bindings_checked_at = None
    portal.save(update_fields=["application_token", "bindings_checked_at"])


def _forget(portal: Portal, event: Event) -> None:
    """Keep of the portal only that it was here: no token, no session, nobody's data of others."""
    UserToken.objects.filter(portal=portal).delete()
    portal.application_token = ""
    portal.uninstalled_at = timezone.now()
    portal.session_generation = F("session_generation") + 1
    portal.bindings_checked_at = None
    portal.save(
        update_fields=[
            "application_token",
            "uninstalled_at",
            "session_generation",
            "bindings_checked_at",
        ]
    )
    portal.refresh_from_db()
    portal_uninstalled.send(sender=Portal, portal=portal, clean=event.data.get("CLEAN") == "1")
    security.info("portal uninstalled (member_id %s)", portal.member_id)


_HANDLERS: dict[str, Callable[[Portal, Event], None]] = {
    "ONAPPINSTALL": _keep_token,
    "ONAPPUPDATE": _updated,
    "ONAPPUNINSTALL": _forget,
}


def _refused(event: Event, reason: str) -> EventRefused:
    security.warning(
        "event refused: %s (event %s, member_id %s)", reason, event.name, event.member_id
    )
    return EventRefused(reason)


@receiver(pruning)
def _forget_late_pairs(**kwargs: object) -> str:
    """Remove pairs that an opening kept while its portal was being forgotten. Bitrix24 takes none
    of them any more; they are still nothing to keep."""
    count, _each = UserToken.objects.filter(portal__uninstalled_at__isnull=False).delete()
    return f"Tokens of portals that removed the app: {count} pairs deleted."
