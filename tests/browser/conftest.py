"""Starts real Chromium with real processes: the portals in this one, the app in its own.

The app's host is another site than the portal's, and the browser blocks third-party cookies.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from sandbox.host.visit import memory_of
from sandbox.tools.demo import Stage, on_stage
from sandbox.world import seed
from tests.browser.visit import Visit, install

HERE = Path(__file__).parent
NO_CHROMIUM = "no Chromium here: `apt-get install chromium`, or set CHROMIUM to its path"
FLAGS = [
    "--no-sandbox",  # CI runs as root, where Chromium's own sandbox cannot
    "--test-third-party-cookie-phaseout",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# A screen waits for the app and the app for the portal, beside the machine's other tests.
expect.set_options(timeout=15_000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium() -> str:
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if path is not None:
        return path
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(NO_CHROMIUM)
    pytest.skip(NO_CHROMIUM)


@pytest.fixture(scope="module")
def stage(chromium: str) -> Iterator[Stage]:
    """Starts on free ports, with nothing installed. Within a module each test uses payments of its
    own; modules do not share a stage."""
    with on_stage(port=0, portal_ports=(0, 0), app_port=0, say=lambda _: None) as up:
        for portal in up.sandbox.world.portals.values():
            # Many people in few minutes, all from one address: here the limit is not the subject.
            portal.bucket_size = 100_000
        yield up


# Of a module, not of the session: while Playwright runs, Django takes the thread for an
# asynchronous one and refuses the database to whatever other test comes next.
@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def installed(browser: Browser, stage: Stage) -> None:
    """Installs the app in the alpha portal as its administrator."""
    if stage.alpha.installations.get(seed.OUR_CLIENT_ID) is None:
        with Visit.of(browser, stage.alpha, seed.ADMIN) as visit:
            install(visit)


@pytest.fixture(autouse=True)
def nothing_remembered(request: pytest.FixtureRequest) -> Iterator[None]:
    """Deletes what a test searched for: the portal stores that for the person."""
    stage: Stage | None = None
    if "stage" in request.fixturenames:
        stage = request.getfixturevalue("stage")
    yield
    if stage is not None:
        memory_of(stage.sandbox.world).user_options.clear()


@pytest.fixture
def admin(browser: Browser, stage: Stage, installed: None) -> Iterator[Visit]:
    with Visit.of(browser, stage.alpha, seed.ADMIN) as visit:
        yield visit


@pytest.fixture
def manager(browser: Browser, stage: Stage, installed: None) -> Iterator[Visit]:
    with Visit.of(browser, stage.alpha, seed.MANAGER) as visit:
        yield visit


@pytest.fixture
def reader(browser: Browser, stage: Stage, installed: None) -> Iterator[Visit]:
    with Visit.of(browser, stage.alpha, seed.READER) as visit:
        yield visit
