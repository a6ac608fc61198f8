"""Receives an event: proves it, stores it, then handles it at once or queues it.

https://apidocs.bitrix24.com/api-reference/events/safe-event-handlers.html
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from django import forms
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from b24app.errors import B24Error, BadInput, EventRefused
from b24app.events import queue
from b24app.identity.forms import (
    OptionalText,
    endpoint,
    member,
    opaque,
    optional_token,
)
from b24app.models import EventReceipt, Portal
from b24app.monitoring import trace
from b24app.monitoring.logs import security
from b24app.removal import claims, vouching
from b24app.rest.php_form import nested


class _EventForm(forms.Form):
    event = forms.RegexField(r"\A[A-Za-z0-9_:.]{1,100}\Z")
    ts = OptionalText(r"\A[0-9]+\Z", max_length=20)


class _AuthForm(forms.Form):
    member_id = member()
    # An event that no person caused has no access token.
    access_token = optional_token()
    application_token = opaque(required=False)
    server_endpoint = endpoint()


@dataclass(frozen=True)
class Event:
    """A posted event, unproved; all values in it are text."""

    name: str  # in capitals
    member_id: str
    proof: vouching.Proof
    data: dict[str, Any]
    fingerprint: str  # the same for a second delivery


def read_event(request: HttpRequest) -> Event:
    """Returns the event in a posted form. Calls no server. Raises BadInput for another form."""
    tree = nested((name, str(value)) for name, value in request.POST.items())
    auth, data = tree.get("auth"), tree.get("data") or {}
    if not isinstance(auth, dict) or not isinstance(data, dict):
        raise BadInput("an event without auth, or with invalid data")
    head, proof = _EventForm(tree), _AuthForm(auth)
    if not (head.is_valid() and proof.is_valid()):
        raise BadInput(f"bad fields: {', '.join(sorted([*head.errors, *proof.errors]))}")
    name, member_id = head.cleaned_data["event"].upper(), proof.cleaned_data["member_id"]
    application_token = proof.cleaned_data["application_token"]
    content = json.dumps([name, member_id, application_token, head.cleaned_data["ts"], data])
    return Event(
        name=name,
        member_id=member_id,
        proof=vouching.Proof(
            application_token=application_token,
            access_token=proof.cleaned_data["access_token"],
            server_endpoint=proof.cleaned_data["server_endpoint"] or None,
        ),
        data=data,
        # Keyed, because the digested text contains a token.
        fingerprint=salted_hmac("b24app.events", content, algorithm="sha256").hexdigest(),
    )


def receive(request: HttpRequest) -> None:
    """Receives one event: proves it, stores it, and lets a worker handle it after the response.

    A second delivery does nothing. The event of a removal is stored as a claim about which Bitrix24
    is asked, because each person who opens the app knows the application_token.

    Raises BadInput if it is not an event, EventRefused if its application_token is not the one of
    this installation and Bitrix24 does not vouch for it, TooManyEvents.
    """
    event = read_event(request)
    portal = Portal.objects.filter(member_id=event.member_id).first()
    if portal is None:
        raise _refused(event, "the app was never installed there")
    trace.about(member_id=portal.member_id, portal_pk=portal.pk)
    if _is_proved(event, portal):
        _accept(event, portal)
    elif EventReceipt.objects.filter(fingerprint=event.fingerprint).exists():
        # A second delivery. After a removal no stored token can prove it any more.
        return
    elif _may_be_vouched_for(event, portal):
        _ask_or_keep(event, portal)
    else:
        raise _refused(event, "a wrong application_token")


def _is_proved(event: Event, portal: Portal) -> bool:
    if portal.uninstalled_at is not None or not event.proof.application_token:
        return False
    return bool(portal.application_token) and constant_time_compare(
        event.proof.application_token, portal.application_token
    )


def _may_be_vouched_for(event: Event, portal: Portal) -> bool:
    """Whether Bitrix24 may be asked to vouch for an event with another application_token.

    An installation and an update bring a new application_token. A queued event may be the first
    with the new token, if their event and an opening failed to bring it. The event of a removal
    has no access token.
    """
    if portal.uninstalled_at is not None:
        return False
    is_known = event.name in vouching.BRING_TOKENS or event.name in queue.NAMES
    return is_known and bool(event.proof.application_token and event.proof.access_token)


def _ask_or_keep(event: Event, portal: Portal) -> None:
    ids = queue.ids_of(event.name, event.data)
    turn = vouching.reserve_turn(portal)
    if turn <= timezone.now():
        try:
            is_vouched_for = vouching.is_vouched_for(portal, event.proof)
        except B24Error:
            # The servers do not answer. Bitrix24 sends no event twice, so this one is stored.
            turn += vouching.ASKED_EVERY
        else:
            if not is_vouched_for:
                raise _refused(event, "a wrong application_token")
            vouching.accept_vouched(portal, event.name, event.proof.application_token)
            _accept(event, portal)
            return
    vouching.keep(
        portal, event.name, event.proof, fingerprint=event.fingerprint, ids=ids, ask_at=turn
    )


def _accept(event: Event, portal: Portal) -> None:
    """Queues a proved event, or handles it at once if it is about the app itself."""
    if event.name in queue.NAMES:
        queue.put(portal, event.name, fingerprint=event.fingerprint, data=event.data)
        return
    receipt, _created = EventReceipt.objects.get_or_create(
        fingerprint=event.fingerprint, defaults={"portal": portal, "event": event.name}
    )
    with transaction.atomic():
        locked = Portal.objects.select_for_update(no_key=True).get(pk=portal.pk)
        now = timezone.now()
        if not EventReceipt.objects.filter(pk=receipt.pk, handled_at=None).update(handled_at=now):
            return
        if event.name == "ONAPPUNINSTALL":
            claims.claim(locked, clean=event.data.get("CLEAN") == "1")
        elif event.name in vouching.BRING_TOKENS:
            vouching.accept(locked, event.name, event.proof.application_token)


def _refused(event: Event, reason: str) -> EventRefused:
    security.warning(
        "event refused: %s (event %s, member_id %s)", reason, event.name, event.member_id
    )
    return EventRefused(reason)
