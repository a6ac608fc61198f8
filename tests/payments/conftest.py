"""Fixtures of payments: the app installed in Alpha, and a person in it."""

from __future__ import annotations

import pytest

from b24app import models
from b24app.identity.session import Person
from sandbox.server.app import Sandbox
from sandbox.world import ids
from sandbox.world.world import Portal
from tests.payments import stage


@pytest.fixture
def portal(sandbox: Sandbox, alpha: Portal) -> models.Portal:
    return stage.install(sandbox, alpha)


@pytest.fixture
def manager(sandbox: Sandbox, portal: models.Portal) -> Person:
    return stage.person(sandbox, portal, ids.MANAGER)
