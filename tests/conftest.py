"""Mounts two portals of the sandbox behind the app's own transport."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from django.core.cache import cache
from django.utils import timezone, translation

from b24app.rest import operating, transport
from sandbox.server.adapter import SandboxAdapter
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests import clocks
from tests.clocks import Clock

OAUTH_URL = "https://oauth.bitrix.info"
ALPHA_URL = "https://alpha.example.com"
BETA_URL = "https://beta.example.com"
APP_URL = "https://pay.example.com"
# Portals of the oldest build that the sandbox plays, for `make suite`.
OLDER_BUILD = os.environ.get("PORTALS_BUILD") == "older"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent.name in ("deploy", "flows", "moderation"):
            item.add_marker("servers")


@pytest.fixture(autouse=True)
def clock(request: pytest.FixtureRequest) -> Iterator[Clock]:
    """The hour and the zone of the portals; `@at_any_hour` gives both."""
    given = getattr(request, "param", None)
    if given is None and request.node.get_closest_marker("processes"):
        given = Clock(None)
    with clocks.running(given) as running:
        yield running


@pytest.fixture
def sandbox(clock: Clock) -> Iterator[Sandbox]:
    """Mounts a new Bitrix24 for each test where the app's HTTP adapter is."""
    world = seed.demo_world(oauth_url=OAUTH_URL, portal_urls=(ALPHA_URL, BETA_URL), app_url=APP_URL)
    clock.set_portals(world)
    for portal in world.portals.values():
        portal.older_build = OLDER_BUILD
    stage = Sandbox(world)
    with transport.use_adapter(SandboxAdapter(stage)):
        yield stage


@pytest.fixture
def alpha(sandbox: Sandbox) -> Portal:
    return sandbox.world.portals[seed.ALPHA]


@pytest.fixture
def beta(sandbox: Sandbox) -> Portal:
    return sandbox.world.portals[seed.BETA]


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    """Clears caches, language and time zone after each test."""
    cache.clear()
    yield
    cache.clear()
    operating.forget()
    translation.deactivate()
    timezone.deactivate()
