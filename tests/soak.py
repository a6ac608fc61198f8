"""`make soak` runs the long sweeps whole; `make test` a part of each, the same one every time."""

from __future__ import annotations

import os

SOAK = bool(os.environ.get("SOAK"))
