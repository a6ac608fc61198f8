"""What the app may be combined with and given on as: its own licence, and those of its packages."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests import sbom

ROOT = Path(__file__).parents[1]
# psycopg is LGPL: a program may use such a library under a licence of its own, as long as people
# can replace the library, which is an ordinary installed package here.
LIBRARIES_UNDER_LGPL = {"psycopg", "psycopg-binary", "psycopg-pool"}


def test_the_project_is_under_the_licence_that_it_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (project["license"], project["license-files"]) == ("MIT", ["LICENSE"])
    assert (ROOT / "LICENSE").read_text().startswith("MIT License\n")


@pytest.mark.parametrize("name", sorted(sbom.locked()))
def test_no_package_of_the_run_time_is_under_gpl_or_agpl(name: str) -> None:
    licence = sbom.licence_of(name)
    assert "GPL" not in licence.replace("LGPL", "")
    assert ("LGPL" in licence) is (name in LIBRARIES_UNDER_LGPL)


def test_the_bill_of_materials_equals_the_lock() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "tests.sbom"], cwd=ROOT, capture_output=True, check=True
    ).stdout
    bom = json.loads(printed)
    assert (bom["bomFormat"], bom["specVersion"]) == ("CycloneDX", "1.6")
    components = {
        each["name"]: (each["version"], sorted(h["content"] for h in each["hashes"]))
        for each in bom["components"]
    }
    assert components == {n: (v, sorted(hashes)) for n, (v, hashes) in sbom.locked().items()}
    assert all(each["purl"].startswith("pkg:pypi/") for each in bom["components"])
    assert all(each["licenses"] for each in bom["components"])
