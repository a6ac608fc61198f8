"""docs/privacy.md names every table and every field that the app keeps, and no other."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from django.apps import apps

from payments.bulk.retention import KEPT
from tests.test_repository import INLINE_CODE, ROOT

SECTION = re.compile(r"^### `([\w.]+)`$(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
MODELS = {model._meta.label: model for model in apps.get_models()}


def tables() -> dict[str, Counter[str]]:
    """Returns the fields that the first column of each table's section names."""
    text = (ROOT / "docs" / "privacy.md").read_text()
    return {
        label: Counter(
            name
            for line in section.splitlines()
            if line.startswith("| `")
            for name in INLINE_CODE.findall(line.split("|")[1])
        )
        for label, section in SECTION.findall(text)
    }


def test_the_document_names_the_tables_that_there_are() -> None:
    assert set(tables()) == set(MODELS)


@pytest.mark.parametrize("label", MODELS)
def test_the_document_names_each_field_once(label: str) -> None:
    options = MODELS[label]._meta
    fields = (*options.concrete_fields, *options.many_to_many)
    assert tables().get(label) == Counter(field.name for field in fields)


def test_the_documents_say_how_long_titles_are_kept() -> None:
    """A run's rows have titles of deals; the public page says so in each language."""
    pages = sorted((ROOT / "templates/b24app/web/legal/privacy").glob("*.html"))
    assert len(pages) == 8
    for page in (*pages, ROOT / "docs" / "privacy.md"):
        assert f"{KEPT.days} " in page.read_text(), page
