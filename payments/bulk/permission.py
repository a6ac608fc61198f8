"""Checks whether a person may pay several payments at once, by the portal's rules."""

from __future__ import annotations

from collections.abc import Callable

from django.utils.translation import gettext_lazy as _

from b24app.errors import FrameError
from b24app.identity.session import Person
from payments import reasons
from payments.models import Policy
from payments.policy.rules import allows, policy_of
from payments.reasons import Stopped


class NotAllowed(FrameError):
    status = 403
    sentence_by_default = _(
        "Your portal's administrator does not let you pay several payments at once. "
        "Nothing was paid. You can pay them one by one."
    )


def may_bulk(person: Person, rules: Policy | None = None) -> bool:
    """Asks Bitrix24 whether this person is an administrator only if the rules depend on it."""
    rules = rules or policy_of(person.portal)
    return allows(person, lambda is_admin: rules.may_bulk(person.user_id, is_admin=is_admin))


def still_allowed(person: Person, seen: Policy) -> Callable[[Policy], None]:
    """Returns a check for the moment before a row is sent.

    If the rules have changed since `seen`, the check asks the new ones; it raises Stopped if they
    do not let this person pay several at once.
    """

    def check(rules: Policy) -> None:
        is_same = (rules.pk, rules.version) == (seen.pk, seen.version)
        if not is_same and not may_bulk(person, rules):
            raise Stopped(reasons.BULK_NOT_ALLOWED)

    return check


def require_may_bulk(person: Person) -> None:
    """Raises NotAllowed."""
    if not may_bulk(person):
        raise NotAllowed(f"user {person.user_id} may not pay several at once")
