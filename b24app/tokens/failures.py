"""Tells which token failures are final, and which are retried hourly.

    code                  retry    reason
    INVALID_GRANT         never    the chain is spent, lost or 180 days old
    NOT_INSTALLED         never    the app was removed; a new installation brings new tokens
    PAYMENT_REQUIRED      hourly   the subscription may be renewed
    AUTHORIZATION_ERROR   hourly   a dismissed person may come back
    USER_ACCESS_ERROR     hourly   the person may get access to the app again
    ACCESS_DENIED         always   the person is no longer an administrator, but can still do for
                                   the portal what their own rights allow

A new pair ends each failure: a person's next opening replaces their own pair, and the next opening
by any administrator replaces the pair that serves the portal.
https://apidocs.bitrix24.com/settings/oauth/error-codes.html
"""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from b24app.errors import AccessDenied, Refused
from b24app.models import UserToken

# Short enough after a subscription was paid, and long enough for a server that keeps refusing.
TRIED_AGAIN_AFTER = timedelta(hours=1)

# The codes with which a portal refuses a token's person, not the token.
ABOUT_THE_PERSON = frozenset({"AUTHORIZATION_ERROR", "USER_ACCESS_ERROR"})
_MAY_PASS = ABOUT_THE_PERSON | {"PAYMENT_REQUIRED"}
_FOR_GOOD = frozenset({"INVALID_GRANT", "NOT_INSTALLED"})


def is_out_of_use(row: UserToken) -> bool:
    """Whether this pair is not tried now."""
    code = row.failure_code.upper()
    if code in _MAY_PASS:
        since = row.failed_at
        return since is not None and timezone.now() < since + TRIED_AGAIN_AFTER
    return code in _FOR_GOOD


def end_of_unpaid(row: UserToken) -> None:
    """Lets a pair that failed as PAYMENT_REQUIRED be tried now: a person has opened the app.

    Bitrix24 opens only an app that is paid for.
    """
    if row.failure_code.upper() == "PAYMENT_REQUIRED":
        UserToken.objects.filter(pk=row.pk, failed_at=row.failed_at).update(failed_at=None)


def is_chain_spent(row: UserToken) -> bool:
    """Whether the OAuth server refuses this pair for ever, even if the app is installed again."""
    return row.failure_code.upper() == "INVALID_GRANT"


def code_to_keep(error: Refused, *, administrators_only: bool) -> str:
    """Returns the code to store when a portal refuses the pair that serves it; "" to store none.

    `administrators_only`: every administrator may do what was refused, so this person is not one.
    """
    if isinstance(error, AccessDenied):
        # Its code differs between methods and builds.
        return "ACCESS_DENIED" if administrators_only and not error.is_about_plan else ""
    code = error.code.upper()
    return code if code in ABOUT_THE_PERSON else ""
