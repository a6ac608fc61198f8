"""Sends the event of a removal, genuine or forged, and moves the clock on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import time_machine
from django.test import Client
from django.utils import timezone

from b24app import models
from b24app.events import queue
from b24app.signals import pruning
from sandbox.server.app import Sandbox
from sandbox.world import installing, seed
from sandbox.world.events import form_body
from sandbox.world.world import Portal
from tests.b24app.portal_posts import FORM

# The questions of a claim that is not true, counted from the first one.
DELAYS = (timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=1), timedelta(days=1))
GRACE = timedelta(days=7)


def deliver(client: Client, fields: dict[str, Any]) -> Any:
    return client.post("/event/", form_body(fields), content_type=FORM)


def uninstall_event(sandbox: Sandbox, portal: Portal, *, clean: bool = False) -> dict[str, Any]:
    """Removes the app from the portal; returns the event that the portal sends."""
    sandbox.world.outbox.clear()
    installing.uninstall(sandbox.world, portal, seed.OUR_CLIENT_ID, user_id=seed.ADMIN, clean=clean)
    return sandbox.world.outbox.pop().fields


def forged_event(portal: Portal, *, ts: str = "1696527000", clean: str = "1") -> dict[str, Any]:
    """Returns the same event, made by a person who read the frame's application_token."""
    token = portal.installations[seed.OUR_CLIENT_ID].application_token
    return {
        "event": "ONAPPUNINSTALL",
        "data": {"LANGUAGE_ID": "en", "CLEAN": clean},
        "ts": ts,
        "auth": {"member_id": portal.member_id, "application_token": token},
    }


def remove(client: Client, sandbox: Sandbox, portal: Portal, *, clean: bool = False) -> None:
    """Runs the whole removal: the event, and the worker that confirms it."""
    assert deliver(client, uninstall_event(sandbox, portal, clean=clean)).status_code == 200
    queue.work()
    assert is_removed(portal)


def is_removed(portal: Portal) -> bool:
    row = models.Portal.objects.get(member_id=portal.member_id)
    return row.uninstalled_at is not None


def claim_of(portal: Portal) -> models.RemovalClaim:
    return models.RemovalClaim.objects.get(portal__member_id=portal.member_id)


@contextmanager
def later(delay: timedelta) -> Iterator[None]:
    """Runs the block so much later; the sandbox's clock moves along."""
    with time_machine.travel(timezone.now() + delay):
        yield


def prune() -> None:
    for _receiver, result in pruning.send_robust(sender=None, now=timezone.now()):
        if isinstance(result, Exception):
            raise result
