"""Encrypts what is stored anew under the first key, so that the older ones can be thrown away.

It can be stopped anywhere and started again: what is under the first key already is left alone.
It can run beside the app: a row is locked only while it is written, as a renewal locks it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.apps import apps
from django.db import models, transaction
from django.db.models.functions import Cast

from b24app import encryption
from b24app.models import EncryptedField

# Rows read at a time: a few hundred kilobytes.
CHUNK = 500


Rows = models.QuerySet[models.Model, dict[str, Any]]


@dataclass
class Rotation:
    """What was done to one model's rows; `lost` are the keys of those that no key opens."""

    model: type[models.Model]
    rotated: int = 0
    current: int = 0
    lost: list[int] = field(default_factory=list)


def rotate() -> Iterator[Rotation]:
    """Bring every encrypted column of every model under the first key; a result for each model."""
    for model in apps.get_models():
        columns = [
            column.name for column in model._meta.local_fields if isinstance(column, EncryptedField)
        ]
        if columns:
            yield _rotate_model(model, columns)


def _rotate_model(model: type[models.Model], columns: list[str]) -> Rotation:
    done = Rotation(model)
    last_pk = 0
    while chunk := list(_sealed(model, columns).filter(pk__gt=last_pk).order_by("pk")[:CHUNK]):
        for row in chunk:
            last_pk = row["pk"]
            if all(map(encryption.is_under_first_key, _values(row))):
                done.current += 1
                continue
            try:
                done.rotated += _rotate_row(model, columns, last_pk)
            except encryption.WrongKey:
                done.lost.append(last_pk)
    return done


def _rotate_row(model: type[models.Model], columns: list[str], pk: int) -> int:
    """What was read before the lock may have been renewed since: read it again, under the lock."""
    with transaction.atomic():
        locked = model._default_manager.select_for_update().filter(pk=pk).values_list("pk")
        if not list(locked):
            return 0
        row = _sealed(model, columns).get(pk=pk)
        opened = {
            column: encryption.decrypt(row[f"sealed_{column}"])
            for column in columns
            if row[f"sealed_{column}"]
        }
        return model._default_manager.filter(pk=pk).update(**opened)


def _sealed(model: type[models.Model], columns: list[str]) -> Rows:
    """The columns as they are stored: read as plain text, they are not decrypted."""
    sealed = {f"sealed_{column}": Cast(column, models.TextField()) for column in columns}
    return model._default_manager.values("pk", **sealed)


def _values(row: dict[str, Any]) -> list[str]:
    return [str(value) for name, value in row.items() if name != "pk" and value]
