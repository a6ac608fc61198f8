"""`make smoke` and `make demo` as programs: how they end, and that no process is left."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
import requests

from sandbox.tools.app_process import ROOT

SECONDS = 60  # the time that `make smoke` has
PATIENCE = 15  # seconds in which a program must end


def smoke(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sandbox.tools.smoke", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@contextlib.contextmanager
def demo() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Starts the program on free ports; returns it and what it printed before it was ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox", "--port", "0", "--portals", "0,0", "--app", "0"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell makes what it runs in the background ignore Ctrl-C, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if "Ctrl-C" in line:
                break
        yield process, "".join(said)
    finally:
        process.kill()
        process.communicate()


def addresses(said: str) -> list[str]:
    found = re.findall(r"http://[a-z0-9.]+:\d+", said)
    assert len(found) == 4, said
    return found


def test_the_main_walk_ends_with_the_portal_saying_paid() -> None:
    done = smoke()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "paid Y, by user 3" in done.stdout
    assert "carried out 1 time(s)" in done.stdout
    assert done.stdout.endswith("PASSED: paid once, by the manager only.\n")


def test_the_main_walk_fails_where_the_portal_did_not_pay() -> None:
    done = smoke("--fault", "true_without_payment")
    assert done.returncode == 1
    assert "FAILED: expected that the app says Paid" in done.stdout
    assert "PASSED" not in done.stdout


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_interrupting_the_demo_ends_both_processes(how: signal.Signals) -> None:
    with demo() as (process, said):
        served = addresses(said)
        assert all(requests.get(f"{at}/", timeout=PATIENCE).status_code for at in served)
        process.send_signal(how)
        assert process.wait(PATIENCE) == 0
    for at in served:
        with pytest.raises(requests.ConnectionError):
            requests.get(f"{at}/", timeout=PATIENCE)


def test_the_end_of_the_app_ends_the_demo() -> None:
    with demo() as (process, said):
        log = re.search(r"log in (\S+)\.$", said, re.MULTILINE)
        assert log is not None
        with open(log[1], encoding="utf-8") as lines:
            started = re.search(r"\[(\d+)\] \[INFO\] Starting gunicorn", lines.read())
        assert started is not None
        os.kill(int(started[1]), signal.SIGTERM)
        assert process.wait(PATIENCE) == 1
    with pytest.raises(requests.ConnectionError):
        requests.get(addresses(said)[0], timeout=PATIENCE)
