"""Lists the possible replies of both servers after an application is removed.

The documentation says too little about it, so a test chooses the reply.
"""

from __future__ import annotations

from enum import StrEnum

# How long a portal trusts its own cache of tokens.
CACHED_TOKEN_SECONDS = 3600
# The documentation does not say how long the OAuth server lags behind; this is a guess.
REMOVAL_LAG_SECONDS = 1800


class RemovedRest(StrEnum):
    """A portal's reply to a token of an application that was removed from it."""

    APPLICATION_NOT_FOUND = "application_not_found"  # the portal has the token in its cache
    ERROR_OAUTH = "error_oauth"  # the portal passes on the OAuth server's reply
    OLD_TOKEN_WORKS = "old_token_works"  # for CACHED_TOKEN_SECONDS, then as above


class RemovedOAuth(StrEnum):
    """The OAuth server's reply about an application that was removed from a portal. To make the
    server unavailable, add a fault on "oauth.token"."""

    NOT_INSTALLED = "not_installed"
    INVALID_CLIENT = "invalid_client"
    INVALID_GRANT = "invalid_grant"
    STILL_INSTALLED = "still_installed"  # for REMOVAL_LAG_SECONDS, then not_installed
