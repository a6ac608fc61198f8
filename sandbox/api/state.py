"""Holds the state of one sandbox: world, faults, limits, log of calls."""

from __future__ import annotations

import threading

from sandbox.api.faults import Faults
from sandbox.api.limits import Buckets
from sandbox.api.log import LoggedCall
from sandbox.api.operating import OperatingTime
from sandbox.world.world import World


class State:
    def __init__(self, world: World) -> None:
        self.world = world
        self.log: list[LoggedCall] = []
        self.faults = Faults()
        self.buckets = Buckets()
        self.operating = OperatingTime()
        # The server reads the Bearer header first; the documentation has only `auth`: play either.
        self.ignore_bearer = False
        self.ignore_auth_param = False
        self.closing = threading.Event()
