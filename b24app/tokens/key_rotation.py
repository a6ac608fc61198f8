"""Re-encrypts all stored secrets with the first key, so that the older keys can be removed.

It can be stopped and started again: it skips rows that the first key already decrypts. It can run
beside the app: it locks a row only while it writes it, as a renewal does.
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
    """The outcome for one model."""

    model: type[models.Model]
    rotated: int = 0  # rows encrypted again
    current: int = 0  # rows that were under the first key before
    lost: list[int] = field(default_factory=list)  # primary keys of rows that no key decrypts


def rotate() -> Iterator[Rotation]:
    """Re-encrypts all encrypted columns of all models; yields the outcome for each model."""
    for model in apps.get_models():
        columns = [
            column.name for column in model._meta.local_fields if isinstance(column, EncryptedField)
        ]
        if columns:
            yield _rotate_model(model, columns)


def _rotate_model(model: type[models.Model], columns: list[str]) -> Rotation:
    done = Rotation(model)
    last_pk = 0
    while chunk := list(_encrypted(model, columns).filter(pk__gt=last_pk).order_by("pk")[:CHUNK]):
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
    """Reads the row again under a lock, because a renewal may have changed it, and encrypts it."""
    with transaction.atomic():
        locked = model._default_manager.select_for_update().filter(pk=pk).values_list("pk")
        if not list(locked):
            return 0
        row = _encrypted(model, columns).get(pk=pk)
        decrypted = {
            column: encryption.decrypt(row[f"encrypted_{column}"])
            for column in columns
            if row[f"encrypted_{column}"]
        }
        return model._default_manager.filter(pk=pk).update(**decrypted)


def _encrypted(model: type[models.Model], columns: list[str]) -> Rows:
    """Returns the rows with `encrypted_<column>` as stored: a cast skips EncryptedField."""
    stored = {f"encrypted_{column}": Cast(column, models.TextField()) for column in columns}
    return model._default_manager.values("pk", **stored)


def _values(row: dict[str, Any]) -> list[str]:
    return [str(value) for name, value in row.items() if name != "pk" and value]
