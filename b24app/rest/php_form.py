"""Reads a form whose field names write a tree as PHP does: data[FIELDS][ID]=1."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from b24app.errors import BadInput

# Bitrix24 sends nothing deeper than data[FIELDS][ID]; Django bounds the number of fields.
MAX_DEPTH = 5
_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]+\])*)")


def nested(fields: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Returns the tree in a form's fields, with texts as leaves.

    Raises BadInput if the names form no tree.
    """
    tree: dict[str, Any] = {}
    for name, value in fields:
        found = _NAME.fullmatch(name)
        if found is None:
            raise BadInput("a field's brackets do not match")
        first, rest = found.groups()
        path = [first, *rest[1:-1].split("][")] if rest else [first]
        if len(path) > MAX_DEPTH:
            raise BadInput("a field lies too deep")
        _insert(tree, path, value)
    return tree


def _insert(tree: dict[str, Any], path: list[str], value: str) -> None:
    *branches, leaf = path
    for branch in branches:
        tree = tree.setdefault(branch, {})
        if not isinstance(tree, dict):
            raise BadInput("a field is both a text and a tree")
    if isinstance(tree.get(leaf), dict):
        raise BadInput("a field is both a text and a tree")
    tree[leaf] = value
