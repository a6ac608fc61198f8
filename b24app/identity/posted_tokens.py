"""Stores the tokens of a proved opening."""

from __future__ import annotations

from django.db import transaction
from django.utils.crypto import constant_time_compare

from b24app.models import Portal, UserToken
from b24app.monitoring.logs import security
from b24app.tokens import failures, store
from b24app.tokens.oauth import TokenPair
from b24app.tokens.proof import Profile


def keep_pair(
    portal: Portal, pair: TokenPair, profile: Profile, *, serving: UserToken | None
) -> None:
    """Stores a person's pair in one row only: a chain that is renewed from two rows is lost.

    If the pair that serves the portal no longer works, an administrator's pair replaces it.
    `serving` is the pair that served the portal when the opening came.
    """
    if profile.is_admin:
        # A call meanwhile may have shown that the serving pair no longer works.
        serving = UserToken.objects.filter(portal=portal, serves_portal=True).first()
    if serving is not None and constant_time_compare(serving.refresh, pair.refresh):
        return
    if not profile.is_admin or (serving is not None and not serving.failure_code):
        store.replace_user_pair(portal, pair)
        if serving is not None:
            failures.end_of_unpaid(serving)
        return
    security.warning(
        "user %s serves the portal from now on (member_id %s)", profile.user_id, portal.member_id
    )
    with transaction.atomic():
        store.store_portal_pair(portal, pair)
        portal.tokens.filter(user_id=profile.user_id, serves_portal=False).delete()


def keep_application_token(portal: Portal, value: str) -> None:
    """Stores the token that proves the portal's events.

    A new token means an update or a new installation, which drop bindings.
    """
    if constant_time_compare(value, portal.application_token):
        return
    portal.application_token = value
    portal.bindings_checked_at = None
    portal.save(update_fields=["application_token", "bindings_checked_at"])
