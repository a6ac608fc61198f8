"""Was the app removed from a portal? What the portal and the OAuth server say, and what it proves.

    the portal \\ the server   installed   not installed   client refused   chain spent   nothing
    installed                 INSTALLED   REMOVED         INSTALLED        INSTALLED     INSTALLED
    application not found     INSTALLED   REMOVED         REMOVED          REMOVED       UNKNOWN
    nothing                   INSTALLED   REMOVED         UNKNOWN          UNKNOWN       UNKNOWN

* The OAuth server issues the tokens, so its word about the installation is the truth. It can be
  behind the portal for a while, which is why a claim is asked about several times.
* "Client refused" (invalid_client, wrong_client) is documented for a removed app, and is also the
  answer where our own client id or secret is wrong. So is, for another app's id, "chain spent"
  (invalid_grant). Neither proves a removal unless the portal itself no longer finds the app.
* The portal's own answer decides alone only where no pair can be renewed any more.
* expired_token, invalid_token, timeouts, statuses of 500 and QUERY_LIMIT_EXCEEDED prove nothing.

https://apidocs.bitrix24.com/settings/oauth/error-codes.html
"""

from __future__ import annotations

from enum import StrEnum

from b24app.errors import B24Error, Refused
from b24app.models import Portal, UserToken
from b24app.rest.client import Client
from b24app.tokens.proof import APP_INFO, PostedCredentials
from b24app.tokens.store import PairGone, StoredCredentials

# Pairs that are asked with, one after another, until one gets an answer: each can cost two calls.
MOST_PAIRS = 3


class PortalSays(StrEnum):
    INSTALLED = "installed"
    NOT_FOUND = "not found"
    NOTHING = "nothing"


class ServerSays(StrEnum):
    INSTALLED = "installed"
    NOT_INSTALLED = "not installed"
    CLIENT_REFUSED = "client refused"
    CHAIN_SPENT = "chain spent"  # also where no pair is kept
    NOTHING = "nothing"


class Verdict(StrEnum):
    REMOVED = "removed"
    INSTALLED = "installed"
    UNKNOWN = "unknown"


def decide(portal: PortalSays, server: ServerSays) -> Verdict:
    """The table above."""
    match portal, server:
        case _, ServerSays.NOT_INSTALLED:
            return Verdict.REMOVED
        case _, ServerSays.INSTALLED:
            return Verdict.INSTALLED
        case PortalSays.INSTALLED, _:
            return Verdict.INSTALLED
        case PortalSays.NOT_FOUND, ServerSays.CLIENT_REFUSED | ServerSays.CHAIN_SPENT:
            return Verdict.REMOVED
        case _:
            return Verdict.UNKNOWN


def ask(portal: Portal) -> tuple[PortalSays, ServerSays]:
    """Ask both; waits for them. At most two calls for each of MOST_PAIRS pairs.

    The serving pair is asked with first, then the newest ones. Only a chain that is spent leads on
    to the next pair: it says nothing of the app.
    """
    rows = UserToken.objects.filter(portal=portal).order_by("-serves_portal", "-refreshed_at")
    answers = (PortalSays.NOTHING, ServerSays.CHAIN_SPENT)
    for row in rows[:MOST_PAIRS]:
        said_by_portal = _ask_portal(portal, row)
        answers = (
            answers[0] if said_by_portal is PortalSays.NOTHING else said_by_portal,
            _ask_server(row),
        )
        if answers[1] is not ServerSays.CHAIN_SPENT:
            break
    return answers


def _ask_portal(portal: Portal, row: UserToken) -> PortalSays:
    """One question with the stored access token, also where its hour is over: a portal looks for
    the app before it looks at the token's age."""
    client = Client(portal.client_endpoint, PostedCredentials(row.access))
    try:
        client.read(APP_INFO)
    except Refused as error:
        return PortalSays.NOT_FOUND if _is_not_found(error) else PortalSays.NOTHING
    except B24Error:
        return PortalSays.NOTHING
    return PortalSays.INSTALLED


def _is_not_found(error: Refused) -> bool:
    """ERROR_OAUTH is what a portal passes on of any trouble with the OAuth server; its description
    alone tells which."""
    code = error.code.upper()
    if code == "ERROR_OAUTH":
        return "not installed" in error.description.lower()
    return code == "APPLICATION_NOT_FOUND"


def _ask_server(row: UserToken) -> ServerSays:
    """One renewal; a new pair is kept."""
    try:
        StoredCredentials(row).renew(row.access, ask_again=True)
    except PairGone:
        return ServerSays.NOTHING
    except Refused as error:
        match error.code.upper():
            case "NOT_INSTALLED":
                return ServerSays.NOT_INSTALLED
            case "INVALID_CLIENT" | "WRONG_CLIENT":
                return ServerSays.CLIENT_REFUSED
            case "INVALID_GRANT":
                return ServerSays.CHAIN_SPENT
            case _:
                return ServerSays.NOTHING
    except B24Error:
        return ServerSays.NOTHING
    return ServerSays.INSTALLED
