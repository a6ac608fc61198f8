"""The tests beside the lines: one run of pytest in a process of its own, while the walk goes on."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

from sandbox.app_process import ROOT

_SECONDS = 180
# Of whoever started us: the tests have settings of their own, and are no part of another run.
_NOT_THEIRS = ("DJANGO_SETTINGS_MODULE", "PYTEST_")


class Proofs:
    """Starts at once; `broken` waits for the end and names the tests that did not pass."""

    def __init__(self, tests: Iterable[str]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="moderation-")
        self._report = Path(self._folder.name) / "report.xml"
        self._passed: set[str] | None = None
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:cov"]
        database = f"sqlite:///{self._folder.name}/tests.sqlite3"
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(_NOT_THEIRS)}
        self._process = subprocess.Popen(  # noqa: S603 - our own tests
            [*command, f"--junit-xml={self._report}", *(sorted(tests) or ["--version"])],
            cwd=ROOT,
            env={**inherited, "CI": "true", "DATABASE_URL": database},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def broken(self, tests: Iterable[str]) -> list[str]:
        if self._passed is None:
            self._process.wait(_SECONDS)
            self._passed = self._read()
        return [test for test in tests if _name(test) not in self._passed]

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()

    def _read(self) -> set[str]:
        """Names of tests all of whose cases passed; one that was skipped has proved nothing."""
        if not self._report.exists():
            return set()
        passed: set[str] = set()
        failed: set[str] = set()
        for case in ElementTree.parse(self._report).iter("testcase"):  # noqa: S314 - pytest wrote it
            bare = case.attrib["name"].partition("[")[0]
            name = f"{case.attrib['classname']}.{bare}"
            went_well = not len([c for c in case if c.tag in ("failure", "error", "skipped")])
            (passed if went_well else failed).add(name)
        return passed - failed


def _name(test: str) -> str:
    path, _, name = test.partition("::")
    return f"{path.removesuffix('.py').replace('/', '.')}.{name}"
