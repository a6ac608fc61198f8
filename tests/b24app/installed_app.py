"""The app installed in Alpha, and what a portal, its people and a worker do to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.test import Client

from b24app import models
from b24app.events import queue
from b24app.identity import session
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.b24app.portal_posts import opening_fields, post, session_of
from tests.b24app.removals import claim_of, deliver, forged_event, is_removed, later
from tests.b24app.removals import uninstall_event as remove_in_portal

State = models.RemovalClaim.State


@dataclass
class InstalledApp:
    client: Client
    sandbox: Sandbox
    alpha: Portal
    portal: models.Portal

    def hear(self, fields: dict[str, Any]) -> int:
        """Delivers this event; returns the status."""
        status: int = deliver(self.client, fields).status_code
        return status

    def hear_forged(self, **changes: str) -> None:
        assert self.hear(forged_event(self.alpha, **changes)) == 200

    def hear_removal(self, *, clean: bool = False) -> None:
        """Removes the app from the portal, and delivers the portal's event."""
        assert self.hear(remove_in_portal(self.sandbox, self.alpha, clean=clean)) == 200

    def work_at(self, *delays: timedelta) -> None:
        """Runs the worker once at each of these times from now."""
        for delay in delays:
            with later(delay):
                queue.work()

    def post(self, path: str, user_id: int, **changes: str) -> Any:
        """Posts what the portal posts to this path when this person opens the app."""
        fields = opening_fields(self.sandbox, self.alpha, user_id, **changes)
        return post(self.client, path, fields)

    def opening(self, user_id: int, **changes: str) -> int:
        """Opens the app as this person; returns the status."""
        status: int = self.post("/session/", user_id, **changes).status_code
        return status

    def session_of(self, user_id: int) -> str:
        return session_of(self.client, self.sandbox, self.alpha, user_id)

    def listed(self, session_value: str) -> int:
        """Returns the status of the list of payments for this session."""
        return self.client.get("/payments/", headers={session.HEADER: session_value}).status_code

    def fails(self, kind: str, *, method: str | None = None) -> None:
        """Makes each call of the method fail from now on; of every method where none is named."""
        self.sandbox.faults.add(Fault(kind, method=method, times=None))

    def meanwhile(self, method: str, action: Callable[[], object]) -> None:
        """Runs this when the server has carried the method out, before its answer arrives."""
        fault = Fault("delay", method=method, when="after", seconds=0, on_hit=action)
        self.sandbox.faults.add(fault)

    @property
    def questions(self) -> int:
        """How many calls the servers have got since the installation."""
        return len(self.sandbox.log)

    @property
    def is_removed(self) -> bool:
        return is_removed(self.alpha)

    @property
    def claim(self) -> models.RemovalClaim:
        return claim_of(self.alpha)

    @property
    def serving_pair(self) -> models.UserToken:
        return models.UserToken.objects.get(serves_portal=True)

    def spend_pairs(self, *rows: models.UserToken) -> None:
        """Spends the refresh tokens of these stored pairs; of all where none is given."""
        for row in rows or models.UserToken.objects.all():
            self.sandbox.world.tokens[row.access].refresh_spent = True

    def returns_to_portal(self) -> None:
        """The portal has the app again; no event told of it."""
        self.alpha.installations[seed.OUR_CLIENT_ID].removed = False
