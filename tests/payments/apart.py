"""Rows that must not touch each other: a second portal with the same numbers.

`twin_of` stores all that the app keeps of a portal a second time, for another portal: the same
people, payments, runs and approvals by number. `untouched` asserts that nothing stored of a portal
has changed. A query that forgets its portal finds the twin's rows, or changes them.

    with untouched(twin_of(portal)):
        draft_ticked(person, [payment_id])
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.apps import apps
from django.db import models
from django.db.models import ForeignKey, Model, QuerySet

from b24app.models import Portal

APPS = ("b24app", "payments")
# Unique values, which a row of another portal may not repeat.
_FRESH = {"member_id": "b0b" + "0" * 28, "fingerprint": "f" * 40}


@contextmanager
def untouched(*kept: Portal | QuerySet[Any]) -> Iterator[None]:
    """Assert that the rows of these querysets, or all rows of these portals, are the same after the
    block: none is changed, added or gone."""
    found = [one if isinstance(one, QuerySet) else rows_of(one) for one in kept]
    before = [_values(one) for one in found]
    assert any(rows for snapshot in before for rows in snapshot.values()), "nothing to touch"
    yield
    for rows, then in zip(found, before, strict=True):
        now = _values(rows)
        for name, stored in then.items():
            assert now[name] == stored, f"rows of {name} were touched"


def twin_of(portal: Portal) -> Portal:
    """Another portal whose rows have the same numbers as this one's; see the module."""
    copies: dict[tuple[str, Any], Any] = {}
    twin = Portal.objects.get(pk=portal.pk)
    _store_again(twin, copies)
    for rows in rows_of(portal).values():
        # Later rows refer to earlier ones.
        for row in rows.order_by("pk"):
            if not isinstance(row, Portal):
                _store_again(row, copies)
    return twin


def rows_of(portal: Portal) -> dict[str, QuerySet[Any]]:
    """Everything that the app stores of a portal, by model; models come after those they refer
    to."""
    found: dict[str, QuerySet[Any]] = {}
    for model, path in _paths().items():
        rows: QuerySet[Any] = model._base_manager.filter(**{path: portal.pk})
        found[model._meta.label] = rows
    return found


def _paths() -> dict[type[Model], str]:
    """How each model leads to its portal, by foreign keys."""
    paths: dict[type[Model], str] = {Portal: "pk"}
    waiting = [model for label in APPS for model in apps.get_app_config(label).get_models()]
    while True:
        found = {
            model: path
            for model in waiting
            if model not in paths and (path := _path_by(model, paths)) is not None
        }
        if not found:
            return paths
        paths |= found


def _path_by(model: type[Model], paths: dict[type[Model], str]) -> str | None:
    """None while a model that this one refers to has no path of its own yet."""
    keys = [field for field in model._meta.concrete_fields if isinstance(field, ForeignKey)]
    others = [key for key in keys if key.related_model not in (model, "self")]
    if not others or any(key.related_model not in paths for key in others):
        return None
    direct = next((key for key in others if key.related_model is Portal), None)
    if direct is not None:
        return direct.name
    first = others[0]
    return f"{first.name}__{paths[first.related_model]}".removesuffix("__pk")  # type: ignore[index]


def _store_again(row: Any, copies: dict[tuple[str, Any], Any]) -> None:
    label, original = row._meta.label, row.pk
    for field in row._meta.concrete_fields:
        if isinstance(field, ForeignKey):
            value = getattr(row, field.attname)
            target = field.related_model if field.related_model != "self" else type(row)
            setattr(row, field.attname, copies.get((target._meta.label, value), value))
        elif field.name in _FRESH:
            setattr(row, field.name, f"{_FRESH[field.name]}{original}")
    row.pk = None
    row._state.adding = True
    models.Model.save_base(row, force_insert=True)
    copies[label, original] = row.pk


def _values(rows: QuerySet[Any] | dict[str, QuerySet[Any]]) -> dict[str, list[dict[str, Any]]]:
    if isinstance(rows, QuerySet):
        rows = {rows.model._meta.label: rows}
    return {name: list(found.order_by("pk").values()) for name, found in rows.items()}
