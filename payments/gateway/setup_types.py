"""Pay systems, handlers and settings, as the screens that set them up use them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Registry(StrEnum):
    """The table of a pay system's payments; set when the pay system is created, and final."""

    ORDER = "ORDER"
    OLD_INVOICE = "CRM_INVOICE"
    QUOTE = "CRM_QUOTE"


class Mode(StrEnum):
    """How a buyer gets to the provider; the value is the key in SETTINGS that configures it."""

    FORM = "FORM_DATA"
    CHECKOUT = "CHECKOUT_DATA"
    IFRAME = "IFRAME_DATA"


@dataclass(frozen=True)
class PaySystemDetails:
    """A pay system with the fields that an administrator changes."""

    id: int
    name: str
    description: str
    action_file: str
    registry: str  # the server's text; may be a value that Registry does not have
    person_type_id: int | None
    active: bool
    new_window: bool
    xml_id: str
    sort: int


@dataclass(frozen=True)
class Handler:
    """A REST handler of any application."""

    id: int
    name: str
    code: str
    sort: int
    # The server's SETTINGS as a whole. Parts that no screen shows are sent back unchanged.
    settings: Mapping[str, Any] = field(repr=False)

    @property
    def mode(self) -> Mode | None:
        """Returns None if the settings have no known mode."""
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
    """One setting of a pay system. The value may be a merchant's secret."""

    type: str  # "VALUE": `value` itself; "PAYMENT", "ORDER" or "USER": the field `value` of it
    value: str = field(repr=False)
    is_readable: bool = True
