"""Asks the portal and the OAuth server whether the app was removed, and decides by their answers.

    the portal \\ the server   installed   not installed   client refused   chain spent   nothing
    installed                 INSTALLED   REMOVED         INSTALLED        INSTALLED     INSTALLED
    application not found     INSTALLED   REMOVED         REMOVED          REMOVED       UNKNOWN
    nothing                   INSTALLED   REMOVED         UNKNOWN          UNKNOWN       UNKNOWN

* The OAuth server issues the tokens, so its answer about the installation decides. It may learn of
  a removal later than the portal, so the servers are asked several times.
* "Client refused" (invalid_client, wrong_client) is documented for a removed app, but the server
  also sends it if our own client id or secret is wrong. In the same way it sends "chain spent"
  (invalid_grant) for the client id of another app. So neither proves a removal unless the portal
  itself no longer finds the app.
* The portal's own answer decides alone only if no pair can be renewed any more.
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

# The servers are asked with at most this many pairs, until one gets an answer: two calls for each.
MOST_PAIRS = 3


class PortalSays(StrEnum):
    INSTALLED = "installed"
    NOT_FOUND = "not found"
    NOTHING = "nothing"


class ServerSays(StrEnum):
    INSTALLED = "installed"
    NOT_INSTALLED = "not installed"
    CLIENT_REFUSED = "client refused"
    CHAIN_SPENT = "chain spent"  # also if no pair is stored
    NOTHING = "nothing"


class Verdict(StrEnum):
    REMOVED = "removed"
    INSTALLED = "installed"
    UNKNOWN = "unknown"


def decide(portal: PortalSays, server: ServerSays) -> Verdict:
    """Returns the verdict in the table above."""
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
    """Asks both servers; waits for them. Makes at most two calls for each of MOST_PAIRS pairs.

    Uses the serving pair first, then the newest ones. Goes on to the next pair only if a chain is
    spent, which says nothing about the app.
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
    """Calls `app.info` with the stored access token, even if it has expired: a portal looks for
    the app before it checks the token's age.

    https://apidocs.bitrix24.com/api-reference/common/system/app-info.html
    """
    client = Client(portal.client_endpoint, PostedCredentials(row.access))
    try:
        client.read(APP_INFO)
    except Refused as error:
        return PortalSays.NOT_FOUND if _is_not_found(error) else PortalSays.NOTHING
    except B24Error:
        return PortalSays.NOTHING
    return PortalSays.INSTALLED


def _is_not_found(error: Refused) -> bool:
    """Whether the portal no longer finds the app.

    ERROR_OAUTH means any error of the OAuth server; only its description says which.
    """
    code = error.code.upper()
    if code == "ERROR_OAUTH":
        return "not installed" in error.description.lower()
    return code == "APPLICATION_NOT_FOUND"


def _ask_server(row: UserToken) -> ServerSays:
    """Renews the pair, and stores the new one.

    https://apidocs.bitrix24.com/settings/oauth/auto-renewal.html
    """
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
