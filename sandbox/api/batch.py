"""Runs `batch`: up to fifty commands in one request, each with its own result or error."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any
from urllib.parse import urlsplit

from sandbox.api.registry import RestError
from sandbox.wire import php
from sandbox.wire.loose import number_in

MAX_COMMANDS = 50
NEVER_IN_BATCH = frozenset({"batch", "download", "upload"})
NOT_ALLOWED = RestError("ERROR_BATCH_METHOD_NOT_ALLOWED", "Method is not allowed for batch usage")
_TOO_LONG = RestError("ERROR_BATCH_LENGTH_EXCEEDED", "Max batch length exceeded")

_REFERENCE = re.compile(r"\$(result|next|total|time|error)(\S*)", re.IGNORECASE)
_STEP = re.compile(r"\[([^\]]+)\]")

# Runs one command and returns its envelope: a result or an error, as for a single call.
Run = Callable[[str, dict[str, Any]], dict[str, Any]]


def commands_of(params: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields key and command; `cmd` may be a list or a map, its name in any case."""
    commands = _upper(params).get("CMD")
    if isinstance(commands, list):
        commands = dict(enumerate(commands))
    if not isinstance(commands, dict):
        return
    for key, command in commands.items():
        if isinstance(command, str):
            yield str(key), command


def method_of(command: str) -> str:
    return _parts(command)[0]


def run_batch(params: dict[str, Any], run: Run) -> dict[str, Any]:
    """Returns the `result` of the whole batch, with a command's error under its key."""
    halt = _upper(params).get("HALT") not in (None, "", "0", 0, False, [], {})
    answers: dict[str, dict[str, Any]] = {
        "result": {}, "error": {}, "total": {}, "next": {}, "time": {},
    }  # fmt: skip
    for place, (key, command) in enumerate(commands_of(params)):
        envelope = _run_command(command, place, answers, run)
        if "error" in envelope:
            answers["error"][key] = envelope
            if halt:
                break
            continue
        for part, value in envelope.items():
            answers[part][key] = value
    return {
        "result": answers["result"],
        "result_error": answers["error"],
        "result_total": answers["total"],
        "result_next": answers["next"],
        "result_time": answers["time"],
    }


def _run_command(
    command: str, place: int, answers: dict[str, dict[str, Any]], run: Run
) -> dict[str, Any]:
    if place >= MAX_COMMANDS:
        return {"error": _TOO_LONG.code, "error_description": _TOO_LONG.description}
    method, query = _parts(command)
    if method in NEVER_IN_BATCH:
        return {"error": NOT_ALLOWED.code, "error_description": NOT_ALLOWED.description}
    return run(method, _resolved(php.parse_query(query), answers))


def _parts(command: str) -> tuple[str, str]:
    """Returns method and query; both are empty for what `parse_url` refuses."""
    try:
        parts = urlsplit(command)
    except ValueError:
        return "", ""
    return parts.path, parts.query


def _upper(params: dict[str, Any]) -> dict[str, Any]:
    return {name.upper(): value for name, value in params.items()}


def _resolved(value: Any, answers: dict[str, dict[str, Any]]) -> Any:
    """Replaces every `$result[key][path]` in the values by the value at that path."""
    if isinstance(value, dict):
        return {name: _resolved(item, answers) for name, item in value.items()}
    if isinstance(value, list):
        return [_resolved(item, answers) for item in value]
    for reference in _REFERENCE.finditer(value):
        steps = _STEP.findall(reference[2])
        if not steps:
            continue
        found = _follow(answers.get(reference[1]), steps)
        if reference[0] == value:
            return deepcopy(found)  # PHP copies arrays: later changes do not show here
        if isinstance(found, str | int | float) and not isinstance(found, bool):
            value = value.replace(reference[0], str(found))
    return value


def _follow(value: Any, steps: list[str]) -> Any:
    """Follows the path; if a step is missing, returns the value reached so far, as PHP does."""
    for step in steps:
        inner = None
        if isinstance(value, dict):
            inner = value.get(step)
        elif isinstance(value, list) and (place := number_in(step)) is not None:
            inner = value[place] if place < len(value) else None
        if inner is None:
            return value
        value = inner
    return value
