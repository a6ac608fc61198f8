"""Fixtures of payments: the app installed in Alpha, and people in it with their frames."""

from __future__ import annotations

import pytest
from django.test import Client

from b24app import models
from b24app.identity.session import Person
from sandbox.server.app import Sandbox
from sandbox.world import ids
from sandbox.world.world import Portal
from tests.payments import stage
from tests.payments.frames import Frame, FrameOf


@pytest.fixture
def portal(sandbox: Sandbox, alpha: Portal) -> models.Portal:
    return stage.install(sandbox, alpha)


@pytest.fixture
def manager(sandbox: Sandbox, portal: models.Portal) -> Person:
    return stage.person(sandbox, portal, ids.MANAGER)


@pytest.fixture
def admin(sandbox: Sandbox, portal: models.Portal) -> Person:
    return stage.person(sandbox, portal, ids.ADMIN)


@pytest.fixture
def frame_of(client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal) -> FrameOf:
    """Opens the app as a person of Alpha."""
    return lambda user_id: Frame(client, sandbox, alpha, user_id)


@pytest.fixture
def frame(frame_of: FrameOf) -> Frame:
    return frame_of(ids.MANAGER)


@pytest.fixture
def admin_frame(frame_of: FrameOf) -> Frame:
    return frame_of(ids.ADMIN)


@pytest.fixture
def settings_frame(frame_of: FrameOf) -> Frame:
    """The frame of a person who may change CRM settings and is not a portal administrator."""
    return frame_of(ids.SETTINGS_ADMIN)


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries a request to a portal at once."""
    monkeypatch.setattr("b24app.rest.client.pause", lambda seconds: None)
