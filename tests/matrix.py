"""Runs the tests on every Python here, with every Django that it takes: `python -m tests.matrix`.

Each pair has an environment of its own under var/matrix/, from the lock file, with the other Django
over it. Prints a line for each pair, and exits with 1 if one failed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "var" / "matrix"
PYTHONS = ("3.11", "3.12", "3.13")
DJANGOS = ("5.2", "6")
# Django 6 needs it.
OLDEST_FOR_6 = "3.12"
# What a Python or a Django changes shows in these; browsers and killed processes take far longer.
CHOSEN = ["-m", "not browser and not processes", "-n", "2", "--dist", "loadfile", "-q"]
PIP = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]


def interpreter(version: str) -> str | None:
    """Returns this Python's program, if it is here and works: a shim of pyenv may not."""
    found = shutil.which(f"python{version}")
    candidates = [found] if found else []
    candidates += map(str, sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python")))
    for each in candidates:
        if subprocess.run([each, "-c", ""], capture_output=True, check=False).returncode == 0:
            return each
    return None


def run(python: str, version: str, django: str) -> bool:
    folder = FOLDER / f"python{version}-django{django}"
    own = str(folder / "bin" / "python")
    if not (folder / "complete").exists():
        subprocess.run([python, "-m", "venv", "--clear", str(folder)], check=True)
        lock = ["--require-hashes", "--no-deps", "-r", "requirements-dev.lock"]
        subprocess.run([own, *PIP, *lock], cwd=ROOT, check=True)
        subprocess.run([own, *PIP, f"django=={django}.*"], cwd=ROOT, check=True)
        (folder / "complete").touch()
    database = f"sqlite:///{folder}/tests.sqlite3"
    done = subprocess.run(
        [own, "-m", "pytest", *CHOSEN, *sys.argv[1:]],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": database},
        check=False,
    )
    return done.returncode == 0


def main() -> int:
    verdicts: dict[str, str] = {}
    for version in PYTHONS:
        python = interpreter(version)
        for django in DJANGOS:
            if django == "6" and PYTHONS.index(version) < PYTHONS.index(OLDEST_FOR_6):
                continue
            name = f"Python {version}, Django {django}"
            if python is None:
                verdicts[name] = "not here"
            else:
                verdicts[name] = "passed" if run(python, version, django) else "FAILED"
    for name, verdict in verdicts.items():
        sys.stdout.write(f"{name}: {verdict}\n")
    return int("FAILED" in verdicts.values())


if __name__ == "__main__":
    sys.exit(main())
