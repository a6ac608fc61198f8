"""Writes sandbox/contract.toml: the official schemas of the methods that the sandbox plays.

    python -m sandbox.tools.contract SCHEMAS

SCHEMAS is a folder with one JSON file a method, as the documentation's repository has them. The
table keeps facts only: names, types, what is required, and the keys of results. The sections that
people write, `missing` and `differences`, stay as they are.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import sandbox.api.methods  # noqa: F401 - fills METHODS
from sandbox.api.registry import METHODS

TABLE = Path(__file__).parents[1] / "contract.toml"
BY_HAND = ("missing", "differences")
# Deeper keys are those of single fields, which have pages of their own.
DEPTH = 2
NAMING = frozenset({"select", "filter", "order"})
BESIDE_RESULT = frozenset({"time", "total", "next"})
_HEAD = """\
# What the official method schemas say, made by `make contract`; `missing` and `differences` are
# written by hand. A type ends with ! where the parameter is required.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("schemas", type=Path)
    folder: Path = parser.parse_args().schemas
    schemas = {path.stem.lower(): json.loads(path.read_text()) for path in folder.glob("*.json")}
    kept = tomllib.loads(TABLE.read_text()) if TABLE.exists() else {}
    sections: dict[str, Mapping[str, Mapping[str, str]]] = {}
    for name in sorted(METHODS.keys() & schemas.keys()):
        schema = schemas[name]
        sections[f'methods."{name}"'] = {
            "params": dict(_params(schema)),
            "result": dict(_result(schema)),
            "columns": dict(_columns(schema, schemas.get(name.removesuffix("list") + "get"))),
        }
    TABLE.write_text(_HEAD + _written(sections, kept))


def _params(schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    # Some pages list their answer as parameters.
    answered = {part["name"] for part in schema.get("returns", ())}
    for part in schema["params"]:
        if part["name"] in answered:
            continue
        yield part["name"], _type(part)
        reference = part.get("ref", "").rpartition("/")[2]
        for inner in schema["defs"].get(reference, {}).get("fields", ()):
            # Required only where the whole is sent.
            yield f"{part['name']}.{inner['name']}", _type(inner)


def _type(part: Mapping[str, Any]) -> str:
    return f"{part['base']}!" if part["required"] is True else str(part["base"])


def _result(schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields the paths in the example's result; without an example, the result's type."""
    example = schema.get("resultExample")
    if isinstance(example, dict):
        # Some pages show the result without its envelope.
        bare = {name: value for name, value in example.items() if name not in BESIDE_RESULT}
        yield from paths(example.get("result", bare))
        return
    for part in schema.get("returns", ()):
        name = part["name"]
        if name == "result":
            yield "result", _base(part)
        elif name not in BESIDE_RESULT:
            yield f"result.{name}", _base(part)
            if _base(part) == "array":
                yield from (
                    (f"result.{name}[].{field}", "any") for field in schema.get("entityFields", ())
                )


def _columns(
    schema: Mapping[str, Any], of_one: Mapping[str, Any] | None
) -> Iterator[tuple[str, str]]:
    """Yields the names that a list's `select`, `filter` and `order` may have, as one text.

    Some pages leave out what is read-only; those `of_one` row have it.
    """
    if not any(name.lower() in NAMING for name, _kind in _params(schema)):
        return
    names: set[str] = set()
    for page in filter(None, (schema, of_one)):
        names.update(page.get("entityFields", ()))
        names.update(path.split(".")[-1] for path, _kind in _result(page) if path.count(".") == 2)
        names.update(
            path[len("result[].") :] for path, _kind in _result(page) if "result[]." in path
        )
    names = {name for name in names if name.isidentifier()}
    if names:
        yield "names", " ".join(sorted(names))


def _base(part: Mapping[str, Any]) -> str:
    return "number" if part["base"] == "integer" else str(part["base"])


def paths(value: Any, path: str = "result", depth: int = 0) -> Iterator[tuple[str, str]]:
    """Yields each path in a result with its JSON type: `result.payments[].id`, integer.

    Of a list, the first item counts. A null has no type, so it is left out.
    """
    if value is None:
        return
    yield path, type_of(value)
    if depth == DEPTH:
        return
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from paths(inner, f"{path}.{key}", depth + 1)
    elif isinstance(value, list) and value:
        yield from paths(value[0], f"{path}[]", depth)


def type_of(value: Any) -> str:
    match value:
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def _written(
    sections: Mapping[str, Mapping[str, Mapping[str, str]]], kept: Mapping[str, Any]
) -> str:
    lines: list[str] = []
    for header, tables in sections.items():
        for table, values in tables.items():
            if values:
                lines += ["", f"[{header}.{table}]", *_pairs(values)]
    for section in BY_HAND:
        for name, values in sorted(kept.get(section, {}).items()):
            lines += ["", f"[{section}.{json.dumps(name)}]", *_pairs(values)]
    return "\n".join(lines) + "\n"


def _pairs(values: Mapping[str, str]) -> list[str]:
    return [f"{json.dumps(name)} = {json.dumps(text)}" for name, text in values.items()]


if __name__ == "__main__":
    main()
