"""Who pays: as much of a person as paying has to know, whichever way they came."""

from __future__ import annotations

from typing import Protocol

from b24app.client import Client
from b24app.models import Portal


class Payer(Protocol):
    """A frame's Person is one, and so is a webhook's owner. `client` calls with their own rights;
    Bitrix24 writes down `user_id` as the one who paid."""

    @property
    def portal(self) -> Portal: ...

    @property
    def user_id(self) -> int: ...

    @property
    def client(self) -> Client: ...
