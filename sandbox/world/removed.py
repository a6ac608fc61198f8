"""What the two servers answer once an application is removed: none of it is documented for sure."""

from __future__ import annotations

from enum import StrEnum

# For so long a portal believes its own cache of tokens.
CACHED_TOKEN_SECONDS = 3600
# How long the OAuth server can be behind a portal is not documented; the sandbox plays this.
REMOVAL_LAG_SECONDS = 1800


class RemovedRest(StrEnum):
    """What a portal answers to a token of an application that was removed from it."""

    APPLICATION_NOT_FOUND = "application_not_found"  # the portal has the token in its cache
    ERROR_OAUTH = "error_oauth"  # the portal passes on the OAuth server's answer
    OLD_TOKEN_WORKS = "old_token_works"  # for CACHED_TOKEN_SECONDS, then as above


class RemovedOAuth(StrEnum):
    """What the OAuth server answers about an application that was removed from a portal. For a
    server that is away there is a fault on "oauth.token"."""

    NOT_INSTALLED = "not_installed"
    INVALID_CLIENT = "invalid_client"
    INVALID_GRANT = "invalid_grant"
    STILL_INSTALLED = "still_installed"  # for REMOVAL_LAG_SECONDS, then not_installed
