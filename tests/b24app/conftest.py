"""The app as an administrator's installation leaves it."""

from __future__ import annotations

import pytest
from django.test import Client

from sandbox.server.app import Sandbox
from sandbox.world.world import Portal
from tests.b24app.installed_app import InstalledApp
from tests.b24app.portal_posts import install


@pytest.fixture
def app(client: Client, sandbox: Sandbox, alpha: Portal, db: None) -> InstalledApp:
    known = install(client, sandbox, alpha)
    sandbox.world.outbox.clear()
    sandbox.log.clear()
    return InstalledApp(client, sandbox, alpha, known)
