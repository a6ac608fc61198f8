"""Pay systems, their handlers and their settings, as an administrator sets them up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Registry(StrEnum):
    """Which table a pay system's payments are kept in; set once, when it is made."""

    ORDER = "ORDER"
    OLD_INVOICE = "CRM_INVOICE"
    QUOTE = "CRM_QUOTE"


class Mode(StrEnum):
    """How a buyer gets to the provider: named as the part of SETTINGS that says it."""

    FORM = "FORM_DATA"
    CHECKOUT = "CHECKOUT_DATA"
    IFRAME = "IFRAME_DATA"


@dataclass(frozen=True)
class PaySystemDetails:
    """A pay system as it is set up; `registry` is the server's text, which may be none of ours."""

    id: int
    name: str
    description: str
    action_file: str
    registry: str
    person_type_id: int | None
    active: bool
    new_window: bool
    xml_id: str
    sort: int


@dataclass(frozen=True)
class Handler:
    """A REST handler of any application. `settings` is all that the server keeps of it: what no
    screen of ours shows has to go back to it unchanged."""

    id: int
    name: str
    code: str
    sort: int
    settings: Mapping[str, Any] = field(repr=False)

    @property
    def mode(self) -> Mode | None:
        """None where the handler has none that is known."""
        return next((mode for mode in Mode if self.settings.get(mode)), None)

    @property
    def action_uri(self) -> str:
        return str(self._data.get("ACTION_URI", ""))

    @property
    def _data(self) -> Mapping[str, Any]:
        data = self.settings.get(self.mode) if self.mode else None
        return data if isinstance(data, Mapping) else {}


@dataclass(frozen=True)
class PersonType:
    id: int
    name: str


@dataclass(frozen=True)
class Setting:
    """Where a setting's value comes from ("VALUE": it is the value itself; "PAYMENT", "ORDER",
    "USER": a field of that), and the value. It may be a merchant's secret."""

    type: str
    value: str = field(repr=False)
    is_readable: bool = True
