"""Runs the sandbox where other processes reach it, and processes that renew a pair against it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import connection, connections

from sandbox.server.app import Sandbox
from sandbox.server.ports import PortServers, running
from sandbox.world import seed


@contextmanager
def ported_sandbox() -> Iterator[Sandbox]:
    servers = PortServers([0, 0, 0])
    oauth_url, alpha_url, beta_url = (f"http://127.0.0.1:{port}" for port in servers.ports)
    world = seed.demo_world(
        oauth_url=oauth_url, portal_urls=(alpha_url, beta_url), app_url="https://pay.example.com"
    )
    sandbox = Sandbox(world)
    with running(sandbox, servers):
        yield sandbox


@contextmanager
def renewing_process(
    sandbox: Sandbox, *, threads: int = 1, dies: bool = False
) -> Iterator[subprocess.Popen[str]]:
    """Starts `tests.b24app.renewing_process`; it begins once a line is written to it."""
    connections.close_all()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.b24app.renewing_process"],
        cwd=settings.BASE_DIR,
        env=os.environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdin is not None and process.stdout is not None
        task = {
            "database": connection.settings_dict["NAME"],
            "oauth_url": sandbox.world.oauth_url,
            "user_id": seed.MANAGER,
            "threads": threads,
            "dies": dies,
        }
        process.stdin.write(json.dumps(task) + "\n")
        process.stdin.flush()
        yield process
    finally:
        process.kill()
        process.communicate()
