"""Pairs that no longer do their work: which may come to life again, and when they are tried.

    INVALID_GRANT         never      the chain is spent, lost or 180 days old
    NOT_INSTALLED         never      the app is gone, and comes back with new tokens
    PAYMENT_REQUIRED      hourly     the subscription may have been renewed
    AUTHORIZATION_ERROR   hourly     a dismissed person may come back
    USER_ACCESS_ERROR     hourly     access to the app may be given again
    ACCESS_DENIED         goes on    the person is no administrator any more; what they may do, they
                                     may still do for the portal

Any of them ends with a new pair: a person's with their next opening; the portal's with that of the
next administrator, whoever it is.
"""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from b24app.errors import AccessDenied, Refused
from b24app.models import UserToken

# Soon enough for somebody who has just paid, and no burden to a server that keeps saying no.
TRIED_AGAIN_AFTER = timedelta(hours=1)

# What a portal says of a token's person, as opposed to the token itself.
ABOUT_THE_PERSON = frozenset({"AUTHORIZATION_ERROR", "USER_ACCESS_ERROR"})
_MAY_PASS = ABOUT_THE_PERSON | {"PAYMENT_REQUIRED"}
_FOR_GOOD = frozenset({"INVALID_GRANT", "NOT_INSTALLED"})


def is_out_of_use(row: UserToken) -> bool:
    """Whether this pair is not even tried at the moment."""
    code = row.broken_code.upper()
    if code in _MAY_PASS:
        since = row.broken_at
        return since is not None and timezone.now() < since + TRIED_AGAIN_AFTER
    return code in _FOR_GOOD


def is_chain_spent(row: UserToken) -> bool:
    """Whether the OAuth server refuses it for good, whatever becomes of the app."""
    return row.broken_code.upper() == "INVALID_GRANT"


def code_to_keep(error: Refused, *, administrators_only: bool) -> str:
    """What to keep of a portal's refusal to the pair that serves it; "" if it can go on serving.

    `administrators_only`: any of them may do what was refused, so this person is none.
    """
    if isinstance(error, AccessDenied):
        # Its code differs between methods and builds.
        return "ACCESS_DENIED" if administrators_only and not error.is_about_plan else ""
    code = error.code.upper()
    return code if code in ABOUT_THE_PERSON else ""
