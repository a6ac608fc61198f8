"""Writes down everything that is kept of one portal, without secrets."""

from __future__ import annotations

import json
from collections.abc import Iterator

from django.apps import apps
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import ForeignKey, Model

from b24app.models import EncryptedField, Portal

# Rows in memory at once.
_ROWS_AT_ONCE = 500


def export(portal: Portal) -> Iterator[str]:
    """Yields one JSON object for each row about the portal: {"table": "b24app.Portal", ...}.

    Tables of all apps, the portal's own row first. Moments are in ISO 8601, sums are text.
    Encrypted fields are left out, and those that a model names in `not_exported`. Reads only.
    """
    for model in apps.get_models():
        filters = _filters(model, portal)
        if filters is None:
            continue
        rows = model._base_manager.filter(**filters).order_by("pk").values(*_columns(model))
        for row in rows.iterator(chunk_size=_ROWS_AT_ONCE):
            yield json.dumps(
                {"table": model._meta.label, **row}, cls=DjangoJSONEncoder, ensure_ascii=False
            )


def _columns(model: type[Model]) -> list[str]:
    left_out = getattr(model, "not_exported", ())
    return [
        field.name
        for field in model._meta.concrete_fields
        if not isinstance(field, EncryptedField) and field.name not in left_out
    ]


def _filters(model: type[Model], portal: Portal) -> dict[str, int | str] | None:
    """Returns the filter for the rows about the portal; None if the table belongs to no portal."""
    if model is Portal:
        return {"pk": portal.pk}
    path = _path_to_portal(model)
    if path is not None:
        return {path: portal.pk}
    if any(field.name == "member_id" for field in model._meta.concrete_fields):
        return {"member_id": portal.member_id}
    return None


def _path_to_portal(model: type[Model]) -> str | None:
    """Returns the lookup from a row to its portal: "portal", or through another table."""
    targets = {
        field.name: field.related_model
        for field in model._meta.concrete_fields
        if isinstance(field, ForeignKey)
        and isinstance(field.related_model, type)
        and field.related_model is not model
    }
    for name, target in targets.items():
        if target is Portal:
            return name
    for name, target in targets.items():
        further = _path_to_portal(target)
        if further is not None:
            return f"{name}__{further}"
    return None
