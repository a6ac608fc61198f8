"""Installs the official JavaScript SDK, which is no part of this repository, into a cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.test_repository import ROOT

SOURCE = Path(__file__).parent / "jssdk"
CACHE = ROOT / "var" / "jssdk"
MINUTE = 60  # seconds; a registry that is slower than three of these is out of order
IN_BROWSERS = "node_modules/@bitrix24/b24jssdk/dist/umd/index.min.js"
OLDEST_NODE = 20  # which the SDK demands
NO_NODE = f"no Node.js {OLDEST_NODE} with npm here: `apt-get install nodejs npm`"
NOT_DOWNLOADED = "the JavaScript SDK could not be downloaded"


def installed() -> Path:
    """Returns a folder with the driver and its packages; one for each version of the lock file.

    Skips the test where there is no Node.js or no registry, and fails it in CI.
    """
    names = ("package.json", "package-lock.json", ".npmrc", "drive.mjs")
    digest = hashlib.sha256(b"".join((SOURCE / name).read_bytes() for name in names))
    folder = CACHE / digest.hexdigest()[:16]
    npm = shutil.which("npm")
    if npm is None or _node_version() < OLDEST_NODE:
        _give_up(NO_NODE)
    elif not folder.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        making = Path(tempfile.mkdtemp(dir=CACHE))
        for name in names:
            shutil.copy(SOURCE / name, making)
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
        try:
            subprocess.run(
                command, cwd=making, capture_output=True, text=True, check=True, timeout=3 * MINUTE
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            shutil.rmtree(making)
            _give_up(f"{NOT_DOWNLOADED}: {error}")
        _put_in_place(making, folder)
    return folder


def _node_version() -> int:
    """Returns the number before the first dot of `v20.11.0`, 0 without Node.js."""
    if shutil.which("node") is None:
        return 0
    told = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
    return int(told.stdout.strip().removeprefix("v").partition(".")[0])


def _put_in_place(making: Path, folder: Path) -> None:
    try:
        making.rename(folder)
    except OSError:
        shutil.rmtree(making)  # another process of this run was faster


def _give_up(reason: str) -> None:
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(reason)
    pytest.skip(reason)
