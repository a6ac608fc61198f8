"""Converts the SETTINGS of a handler into rows of a form, and rows into SETTINGS.

Settings that the form does not show are sent back unchanged: another app may have written them.
https://apidocs.bitrix24.com/api-reference/pay-system/sale-pay-system-handler-add.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from payments.gateway.setup_types import Mode

FROM_CODE, ASKED = "code", "asked"

Settings = Mapping[str, Any]


def codes_of(settings: Settings) -> list[dict[str, Any]]:
    """Returns a row for each setting that pay systems of this handler have."""
    return [
        {
            "code": code,
            "name": _text(about.get("NAME")) or code,
            "description": _text(about.get("DESCRIPTION")),
            "input": _text(_object(about.get("INPUT")).get("TYPE")) or "STRING",
            "options": "\n".join(
                f"{name}={words}"
                for name, words in _object(_object(about.get("INPUT")).get("OPTIONS")).items()
            ),
            "source": _text(_object(about.get("DEFAULT")).get("PROVIDER_KEY")),
            "value": _text(_object(about.get("DEFAULT")).get("PROVIDER_VALUE")),
        }
        for code, about in _objects(settings.get("CODES"))
    ]


def fields_of(settings: Settings) -> list[dict[str, Any]]:
    """Returns a row for each field that is sent to the provider."""
    rows = []
    for name, about in _objects(_data(settings).get("FIELDS")):
        code = about.get("CODE")
        asked = _object(code)
        rows.append(
            {
                "field": name,
                "source": ASKED if asked else FROM_CODE,
                "about": _text(asked.get("NAME")) if asked else _text(code),
                "input": _input_of(asked),
                "visible": about.get("VISIBLE") == "Y",
            }
        )
    return rows


def currencies_of(settings: Settings) -> list[str]:
    """Returns the currency codes; Bitrix24 returns a string, a list or an object of them."""
    value = settings.get("CURRENCY")
    if isinstance(value, str):
        return [value] if value else []
    if isinstance(value, Mapping):
        value = list(value.values())
    return [_text(one) for one in value] if isinstance(value, list) else []


def settings_from(values: Mapping[str, Any], *, before: Settings) -> dict[str, Any]:
    """Returns SETTINGS with the form's values. A handler has one mode; the others are removed."""
    mode = Mode(values["mode"])
    settings = {name: value for name, value in before.items() if name not in set(Mode)}
    codes = _object(before.get("CODES"))
    settings["CODES"] = {
        row["code"]: _code(row, _object(codes.get(row["code"]))) for row in values["codes"]
    }
    settings["CLIENT_TYPE"] = values["client_type"]
    currencies = [one.strip().upper() for one in values["currencies"].split(",") if one.strip()]
    if currencies or "CURRENCY" in before:
        settings["CURRENCY"] = currencies
    settings[mode.value] = _mode(mode, values, _object(before.get(mode.value)))
    return settings


def plain(value: Any) -> Any:
    """Returns a value for comparison: PHP stores numbers as text, an empty object as a list."""
    if isinstance(value, Mapping) and value:
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, list) and value:
        return [plain(inner) for inner in value]
    return _text(value) if not isinstance(value, Mapping | list) else ""


def _code(row: Mapping[str, Any], before: Settings) -> dict[str, Any]:
    code = {**before, "NAME": row["name"]}
    _put(code, "DESCRIPTION", row["description"])
    default = {"PROVIDER_KEY": row["source"], "PROVIDER_VALUE": row["value"]}
    _put(code, "DEFAULT", {**_object(before.get("DEFAULT")), **default} if row["source"] else None)
    kind = row["input"] or "STRING"
    old_input = _object(before.get("INPUT"))
    if kind == "STRING" and not old_input:
        return code
    wanted: dict[str, Any] = {**old_input, "TYPE": kind}
    options = dict(_option(line) for line in row["options"].splitlines() if line.strip())
    _put(wanted, "OPTIONS", options if kind == "ENUM" else None)
    code["INPUT"] = wanted
    return code


def _option(line: str) -> tuple[str, str]:
    name, _sign, words = line.partition("=")
    return name.strip(), words.strip()


def _mode(mode: Mode, values: Mapping[str, Any], before: Settings) -> dict[str, Any]:
    data = {**before, "ACTION_URI": values["action_uri"]}
    if mode == Mode.FORM:
        data["METHOD"] = values["method"] or "POST"
    old = _object(before.get("FIELDS"))
    fields = {row["field"]: _field(row, _object(old.get(row["field"]))) for row in values["fields"]}
    _put(data, "FIELDS", fields)
    return data


def _field(row: Mapping[str, Any], before: Settings) -> dict[str, Any]:
    field = dict(before)
    if row["source"] == FROM_CODE:
        field["CODE"] = row["about"]
    else:
        asked = _object(before.get("CODE"))
        field["CODE"] = {**asked, "NAME": row["about"]}
        if _input_of(asked) != (row["input"] or "STRING"):
            field["CODE"].pop("TYPE", None)
            field["CODE"]["INPUT"] = {"TYPE": row["input"] or "STRING"}
    _put(field, "VISIBLE", "Y" if row["visible"] else None)
    return field


def _input_of(asked: Settings) -> str:
    """Returns the kind of a buyer's answer, which Bitrix24 stores in one of two places."""
    return _text(_object(asked.get("INPUT")).get("TYPE")) or _text(asked.get("TYPE")) or "STRING"


def _put(target: dict[str, Any], name: str, value: Any) -> None:
    """Sets the value, or removes the name if the value is empty."""
    if value:
        target[name] = value
    else:
        target.pop(name, None)


def _data(settings: Settings) -> Settings:
    mode = next((mode for mode in Mode if settings.get(mode.value)), None)
    return _object(settings.get(mode.value)) if mode else {}


def _objects(value: Any) -> list[tuple[str, Settings]]:
    return [
        (str(name), about) for name, about in _object(value).items() if isinstance(about, Mapping)
    ]


def _object(value: Any) -> Settings:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    return "" if value is None else str(value)
