"""Prints the packages that the app needs at run time, in CycloneDX: `python -m tests.sbom`."""

from __future__ import annotations

import re
import sys
from importlib.metadata import metadata
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.markers import Marker

LOCK = Path(__file__).parents[1] / "requirements.lock"
_PACKAGE = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)(.*?)(?=^[A-Za-z0-9]|\Z)", re.M | re.S)
_MARKER = re.compile(r" ; (.+?) \\\n")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
# Packages name their licence in a classifier or in words; those that name it otherwise, by SPDX.
_SPDX_OF_WORDS = {
    "BSD": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "Apache Software License": "Apache-2.0",
}


def locked() -> dict[str, tuple[str, list[str]]]:
    """Returns version and SHA-256 hashes of each package of the lock that this Python needs."""
    return {
        name: (version, _HASH.findall(rest))
        for name, version, rest in _PACKAGE.findall(LOCK.read_text())
        if not (marker := _MARKER.match(rest)) or Marker(marker[1]).evaluate()
    }


def licence_of(name: str) -> str:
    """Returns the SPDX expression of an installed package's licence, from its metadata."""
    fields = metadata(name)
    classifiers = [
        each.rpartition(" :: ")[2]
        for each in fields.get_all("Classifier") or []
        if each.startswith("License")
    ]
    named = [fields.get_all(field) or [] for field in ("License-Expression", "License")]
    expression = str(next(each[0] for each in (*named, classifiers) if each))
    return _SPDX_OF_WORDS.get(expression, expression)


def bill_of_materials() -> Bom:
    licences = LicenseFactory()
    bom = Bom()
    app = Component(
        name="pay-for-bitrix24",
        type=ComponentType.APPLICATION,
        licenses=[licences.make_from_string("MIT")],
    )
    bom.metadata.component = app
    for name, (version, hashes) in sorted(locked().items()):
        bom.components.add(
            Component(
                name=name,
                version=version,
                bom_ref=name,
                purl=PackageURL("pypi", name=name, version=version),
                hashes=[HashType(alg=HashAlgorithm.SHA_256, content=each) for each in hashes],
                licenses=[licences.make_from_string(licence_of(name))],
            )
        )
    bom.register_dependency(app, bom.components)
    return bom


if __name__ == "__main__":
    sys.stdout.write(JsonV1Dot6(bill_of_materials()).output_as_string(indent=2) + "\n")
