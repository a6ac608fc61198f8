"""Parses requests and encodes responses as PHP does.

Names with brackets become nested arrays; an array whose keys are 0..n-1 is a JSON list and any
other is an object, the empty one a list; a float without a fraction is written as an integer.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any, NoReturn
from urllib.parse import unquote_plus

_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")
# json_decode refuses more than 512 levels, but Python cannot recurse that deep everywhere.
MAX_NESTING = 200
MAX_FORM_NESTING = 64  # `max_input_nesting_level`: PHP leaves deeper variables out
_INTEGER_DIGITS = 19  # those of 2 ** 63
_BRACKETS = re.compile(r"\[([^\]]*)\]")


def parse_query(text: str) -> dict[str, Any]:
    """Parses a query string or an urlencoded body as `parse_str` does."""
    pairs = (pair.partition("=") for pair in text.split("&") if pair)
    return _nested([(unquote_plus(name), unquote_plus(value)) for name, _, value in pairs])


def parse_body(content_type: str, body: bytes) -> dict[str, Any]:
    """Returns the parameters in the body of a POST.

    JSON is read under its own content type and under any with `+json`, in any case; broken JSON
    means no parameters, not an error. See `isJson` in `main/lib/httprequest.php` of the server.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return _nested(_multipart(content_type, body))
    if kind == "application/json" or "+json" in kind:
        return _json(body)
    return parse_query(body.decode("utf-8", errors="replace").strip())


def json_value(text: str) -> Any:
    """Decodes JSON. Raises ValueError for what json_decode refuses: NaN, half of a surrogate pair,
    too many levels."""
    try:
        decoded = json.loads(text, parse_int=_number, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("too many levels") from None
    if _is_too_deep(decoded):
        raise ValueError("too many levels")
    if "\\u" in text:
        json.dumps(decoded, ensure_ascii=False).encode()
    return decoded


def as_sent(value: Any) -> Any:
    """Returns the value as `json_encode` would write it, ready for Python's own encoder."""
    if isinstance(value, dict):
        keys = [_key(str(name)) for name in value]
        if keys == list(range(len(keys))):
            return [as_sent(item) for item in value.values()]
        return {str(name): as_sent(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_sent(item) for item in value]
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _json(body: bytes) -> dict[str, Any]:
    try:
        decoded = json_value(body.decode())
    except ValueError:
        return {}
    if isinstance(decoded, list):
        return {str(place): item for place, item in enumerate(decoded)}
    return decoded if isinstance(decoded, dict) else {}


def _number(digits: str) -> int | float:
    """Returns a float for a number of more than 64 bits, as PHP does."""
    if len(digits) > _INTEGER_DIGITS + 1 or not -(2**63) <= int(digits) < 2**63:
        return float(digits)
    return int(digits)


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _is_too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_NESTING + 1):
        if not level:
            return False
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return bool(level)


def _multipart(content_type: str, body: bytes) -> list[tuple[str, str]]:
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1")
    message = BytesParser(EmailMessage, policy=HTTP).parsebytes(head + body)
    fields = []
    for part in message.iter_parts() if message.is_multipart() else ():
        name = part.get_param("name", header="content-disposition")
        if isinstance(name, str) and part.get_filename() is None:
            payload = part.get_payload(decode=True)
            text = payload.decode("utf-8", errors="replace") if isinstance(payload, bytes) else ""
            fields.append((name, text))
    return fields


def _nested(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    root: dict[int | str, Any] = {}
    for name, value in pairs:
        path = _path(name)
        if 0 < len(path) <= MAX_FORM_NESTING + 1:
            _put(root, path, value)
    return {str(name): _with_lists(item) for name, item in root.items()}


def _path(name: str) -> list[str | None]:
    """Returns ["a", "b", None] for `a[b][]`; an unclosed bracket becomes an underscore."""
    name = name.lstrip(" ")
    head, bracket, rest = name.partition("[")
    if bracket and "]" not in rest:
        head, bracket, rest = f"{head}_{rest}", "", ""
    if not head:
        return []
    path: list[str | None] = [re.sub(r"[. ]", "_", head)]
    rest = bracket + rest
    while found := _BRACKETS.match(rest):
        path.append(found[1] or None)
        rest = rest[found.end() :]
    return path


def _put(target: dict[int | str, Any], path: list[str | None], value: str) -> None:
    for place, step in enumerate(path):
        key = _key(step) if step is not None else _next_index(target)
        if place == len(path) - 1:
            target[key] = value
            return
        inner = target.get(key)
        if not isinstance(inner, dict):
            inner = target[key] = {}
        target = inner


def _key(name: str) -> int | str:
    return int(name) if _INTEGER.fullmatch(name) else name


def _next_index(target: dict[int | str, Any]) -> int:
    return max((key for key in target if isinstance(key, int) and key >= 0), default=-1) + 1


def _with_lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if list(value) == list(range(len(value))):
        return [_with_lists(item) for item in value.values()]
    return {str(name): _with_lists(item) for name, item in value.items()}
