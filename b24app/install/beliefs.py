"""Asks a live portal whether it is what the app believes of it; changes nothing there.

docs/assumptions.md has each belief with its source and with what happens if it is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils import timezone

from b24app.errors import B24Error, Refused
from b24app.install import bindings
from b24app.models import Portal
from b24app.rest.client import Client
from b24app.rest.clock import CLOCKS_TOO_FAR_APART, parsed_moment
from b24app.tokens import store
from b24app.tokens.clients import portal_client, user_client
from b24app.tokens.proof import APP_INFO, owner_of


@dataclass(frozen=True)
class Asked:
    """The portal, and the person who asks beside the pair that serves the portal."""

    portal: Portal
    user_id: int
    person: Client
    serving: Client


@dataclass(frozen=True)
class Belief:
    """A sentence about Bitrix24, and the question that tells whether it holds in a portal."""

    sentence: str
    # Returns whether it holds, and what was found. Raises B24Error if the portal does not tell.
    ask: Callable[[Asked], tuple[bool, str]]


@dataclass(frozen=True)
class Finding:
    sentence: str
    holds: bool | None  # None if it could not be asked
    found: str


def asked_of(portal: Portal, user_id: int) -> Asked:
    """Raises ChainBroken if no token of the person, or none that serves the portal, is kept."""
    return Asked(portal, user_id, user_client(portal, user_id), portal_client(portal))


def examine(beliefs: Iterable[Belief], asked: Asked) -> Iterator[Finding]:
    """Asks one question after another, and yields what each found."""
    for belief in beliefs:
        try:
            holds, found = belief.ask(asked)
        except Refused as error:
            yield Finding(belief.sentence, None, f"refused: {error}")
        except B24Error as error:
            yield Finding(belief.sentence, None, f"no clear answer: {error}")
        else:
            yield Finding(belief.sentence, holds, found)


def _token_owner(asked: Asked) -> tuple[bool, str]:
    access = store.user_credentials(asked.portal, asked.user_id).access_token()
    owner = owner_of(access, member_id=asked.portal.member_id)
    found = f"user {owner.user_id}, endpoint {owner.client_endpoint or 'not told'}"
    is_same = owner.user_id == asked.user_id
    return is_same and owner.client_endpoint == asked.portal.client_endpoint, found


def _app(asked: Asked) -> tuple[bool, str]:
    app = asked.person.read(APP_INFO)
    is_local = app.code == settings.B24_CLIENT_ID
    kind = "the client_id, so a local app" if is_local else "a Marketplace code"
    holds = (app.id, app.code) == (asked.portal.app_id, asked.portal.app_code)
    return holds, f"ID {app.id}, CODE is {kind}"


def _clock(asked: Asked) -> tuple[bool, str]:
    answer = asked.person.whole_answer("server.time", {})
    received_at = timezone.now()
    finished = parsed_moment(_part(answer, "time").get("date_finish"))
    if finished is None:
        return False, "the answer has no time.date_finish with an offset"
    apart = abs(finished - received_at)
    return apart <= CLOCKS_TOO_FAR_APART, f"{apart.total_seconds():.0f} s apart"


def _operating(asked: Asked) -> tuple[bool, str]:
    time = _part(asked.person.whole_answer("server.time", {}), "time")
    names = [name for name in ("operating", "operating_reset_at") if name in time]
    return len(names) == 2, ", ".join(names) or "neither is in the answer"


def _places(asked: Asked) -> tuple[bool, str]:
    missing, old = bindings.compare(asked.serving)
    if not missing and not old:
        return True, "all are bound"
    codes = sorted(binding.code for binding in missing | old)
    return False, f"missing or at an old address: {', '.join(codes)}"


def _part(answer: dict[str, Any], name: str) -> dict[str, Any]:
    found = answer.get(name)
    return found if isinstance(found, dict) else {}


BELIEFS = (
    Belief("The OAuth server tells a token's portal, its address and its person.", _token_owner),
    Belief("The portal's app.info has the ID and CODE that it had at the installation.", _app),
    Belief("An answer tells the portal's time with its offset, and the clocks agree.", _clock),
    Belief("An answer tells how long a method has run, and until when that counts.", _operating),
    Belief("The portal offers the app's places and events, and keeps them bound.", _places),
)
