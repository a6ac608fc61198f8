"""Holds what one sandbox knows: its world, its faults, its limits and the log of its calls."""

from __future__ import annotations

import threading

from sandbox.api.faults import Faults
from sandbox.api.limits import Buckets
from sandbox.api.log import LoggedCall
from sandbox.world.world import World


class State:
    def __init__(self, world: World) -> None:
        self.world = world
        self.log: list[LoggedCall] = []
        self.faults = Faults()
        self.buckets = Buckets()
        # A server reads the Bearer header first, the documentation knows only `auth`: play either.
        self.ignore_bearer = False
        self.ignore_auth_param = False
        self.closing = threading.Event()
