"""Stores pairs of tokens and renews them, so that each refresh token is spent only once."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Protocol, cast

from django.core.cache import cache
from django.db import transaction
from django.utils import timezone

from b24app.errors import (
    AddressForbidden,
    AddressNotUnderstood,
    ChainBroken,
    NeverSent,
    OAuthBusy,
    OutcomeUnknown,
    Refused,
    TokenRejected,
)
from b24app.models import Portal, UserToken
from b24app.monitoring.logs import security
from b24app.rest import portal_address, shares
from b24app.rest.portal_address import PortalAddress
from b24app.tokens import failures, oauth

# A token is renewed before a call that it might not outlive: a write may take 70 seconds.
MARGIN = timedelta(seconds=120)
# A cache key: when the OAuth server last left a renewal without an answer. Renewals that waited
# for a lock meanwhile fail at once, instead of waiting for the server one after another.
_UNANSWERED = "b24app.tokens.unanswered"
_LONGEST_WAIT = 60  # seconds; longer than any wait for a lock


class PairGone(ChainBroken):
    """The pair was deleted while it was in use; neither server was asked."""


class Pair(Protocol):
    """Tokens to store, such as a TokenPair."""

    @property
    def access(self) -> str: ...
    @property
    def refresh(self) -> str: ...
    @property
    def expires_at(self) -> datetime: ...
    @property
    def user_id(self) -> int | None: ...


def store_user_pair(portal: Portal, pair: Pair) -> UserToken:
    """Stores a person's own pair, and replaces the one they had."""
    row, _ = UserToken.objects.update_or_create(
        portal=portal, user_id=pair.user_id, serves_portal=False, defaults=_columns(pair)
    )
    return row


def replace_user_pair(portal: Portal, pair: Pair) -> None:
    """Does the same as `store_user_pair`, in one statement if the person has a pair already."""
    # The pair of an opening always has a user: only the answer to a renewal may lack one.
    user_id = cast(int, pair.user_id)
    own = UserToken.objects.filter(portal=portal, user_id=user_id, serves_portal=False)
    if not own.update(**_columns(pair)):
        store_user_pair(portal, pair)


def store_portal_pair(portal: Portal, pair: Pair) -> UserToken:
    """Stores the pair that serves the whole portal, and replaces the one it had."""
    row, _ = UserToken.objects.update_or_create(
        portal=portal, serves_portal=True, defaults={"user_id": pair.user_id, **_columns(pair)}
    )
    return row


def user_credentials(portal: Portal, user_id: int) -> StoredCredentials:
    """Returns the person's own token. Raises ChainBroken if none is kept.

    An administrator's only pair may be the one that serves the portal: a chain is stored once.
    """
    rows = UserToken.objects.filter(portal=portal, user_id=user_id)
    row = rows.order_by("serves_portal").first()
    if row is None:
        raise ChainBroken("INVALID_GRANT", "no pair of this person is kept")
    row.portal = portal
    return StoredCredentials(row)


def portal_credentials(portal: Portal) -> StoredCredentials:
    """Returns the token that serves the portal.

    Raises ChainBroken if none is kept, or if it is known not to work; then the portal is not asked
    again.
    """
    row = UserToken.objects.filter(portal=portal, serves_portal=True).first()
    if row is None:
        raise ChainBroken("NOT_INSTALLED", "no pair of this portal is kept")
    if failures.is_out_of_use(row):
        raise ChainBroken(row.failure_code, "known from an earlier call")
    row.portal = portal
    return StoredCredentials(row)


class StoredCredentials:
    """The token pair of one row, read when this is made. Only a renewal reads the row again."""

    def __init__(self, row: UserToken) -> None:
        self._pk, self._user_id = row.pk, row.user_id
        self._endpoint = row.portal.client_endpoint
        self._access = row.access
        self._expires_at = row.expires_at
        self._refreshed_at = row.refreshed_at

    def access_token(self) -> str:
        """Returns a token that outlives the next call, renewed first if needed.

        If the renewal fails before the old token has expired, returns the old token. Raises what
        `renew` raises.
        """
        if self._expires_at - timezone.now() > MARGIN:
            return self._access
        try:
            return self.renew(self._access)
        except (NeverSent, ChainBroken):
            if self._expires_at <= timezone.now():
                raise
            return self._access

    def renew(self, stale: str, *, ask_again: bool = False) -> str:
        """Returns a token other than `stale`: one that another process has fetched, or a new one.

        The row is locked before its refresh token is read and until the new pair is committed. The
        server accepts each refresh token once, so a second use of it would lose the chain.

        A pair can still be lost. Between the server's answer and the commit, the new pair is only
        in the memory of this process, and the old refresh token is spent. If the process dies then,
        or the answer is lost on its way, the next renewal gets invalid_grant, which is stored. That
        chain cannot be restored. The person's next opening brings a new pair, and an
        administrator's next opening brings one that serves the portal.

        `ask_again`: also renews a pair that the OAuth server refused before, unless its chain is
        spent.

        Raises ChainBroken if the pair can never be renewed (stored on the row, so that it is not
        tried again), PairGone if the row is deleted, another Refused if our own set-up is wrong,
        TokenRejected if the answer is another person's pair, NeverSent or OutcomeUnknown if the
        OAuth server did not answer, PortalBusy if too many requests wait for the portal or for the
        OAuth server.
        https://apidocs.bitrix24.com/settings/oauth/auto-renewal.html
        """
        # Before the lock, so that a refused renewal does not delay others.
        with shares.of_portal(self._endpoint):
            return self._renew(stale, ask_again=ask_again)

    def _renew(self, stale: str, *, ask_again: bool) -> str:
        asked_at = time.time()
        # durable: an outer transaction could roll the new pair back, and lose it.
        with transaction.atomic(durable=True):
            row = self._locked_row()
            found = _fetch(row, asked_at, ask_again) if row.access == stale else None
        if isinstance(found, ChainBroken):
            raise found
        if found is not None:
            _update_address(row.portal, found.client_endpoint)
            if not found.access:
                raise NeverSent("a renewal brought a refresh token and no access token")
        self._access, self._expires_at = row.access, row.expires_at
        self._refreshed_at = row.refreshed_at
        return row.access

    def record_refusal(self, error: Refused, administrators_only: bool) -> None:
        """Records that the portal refuses this person something that the serving pair has to do.

        Does nothing if the row holds another pair by now.
        """
        code = failures.code_to_keep(error, administrators_only=administrators_only)
        if not code:
            return
        now = timezone.now()
        rows = UserToken.objects.filter(pk=self._pk, refreshed_at=self._refreshed_at)
        known = {"failure_code": code, "failed_at__gt": now - failures.TRIED_AGAIN_AFTER}
        if rows.exclude(**known).update(failure_code=code, failed_at=now):
            security.warning("the pair of user %s serves no longer: %s", self._user_id, error)

    def _locked_row(self) -> UserToken:
        """Returns the present row, locked. In SQLite the IMMEDIATE transaction itself locks.

        Raises PairGone if it is deleted.
        """
        rows = UserToken.objects.select_related("portal").select_for_update(of=("self",))
        row = rows.filter(pk=self._pk).first()
        if row is None:
            raise PairGone("NOT_INSTALLED", "the pair is no longer kept")
        return row


def _fetch(row: UserToken, asked_at: float, ask_again: bool) -> oauth.TokenPair | ChainBroken:
    """Fetches a new pair into the locked row.

    Returns ChainBroken instead of raising it, so that the caller's transaction commits the row.
    """
    if failures.is_out_of_use(row) and not (ask_again and not failures.is_chain_spent(row)):
        return ChainBroken(row.failure_code, "known from an earlier call")
    if cache.get(_UNANSWERED, 0) > asked_at:
        raise NeverSent("the OAuth server did not answer the renewal before this one")
    try:
        pair = oauth.refresh(row.refresh)
    except ChainBroken as error:
        row.failure_code, row.failed_at = error.code, timezone.now()
        row.save(update_fields=["failure_code", "failed_at"])
        return error
    except OAuthBusy:
        raise
    except (NeverSent, OutcomeUnknown):
        cache.set(_UNANSWERED, time.time(), _LONGEST_WAIT)
        raise
    # Accepts an answer without a portal or a person: the old pair is spent.
    is_portals = pair.member_id in ("", row.portal.member_id)
    is_persons = pair.user_id in (None, row.user_id)
    # Bitrix24 may put a system user in place of a dismissed administrator:
    # https://apidocs.bitrix24.com/settings/system-user.html
    if not is_portals or not (is_persons or row.serves_portal):
        security.error(
            "renewal refused: the pair of user %s (member_id %s) was answered with one of user %s"
            " (member_id %s)",
            row.user_id,
            row.portal.member_id,
            pair.user_id,
            pair.member_id,
        )
        raise TokenRejected("INVALID_TOKEN", "the new pair is another person's", 200)
    columns = _columns(pair)
    if not is_persons:
        security.warning(
            "user %s serves the portal in place of user %s (member_id %s)",
            pair.user_id,
            row.user_id,
            row.portal.member_id,
        )
        columns["user_id"] = pair.user_id
    for name, value in columns.items():
        setattr(row, name, value)
    row.save(update_fields=list(columns))
    return pair


def _update_address(portal: Portal, client_endpoint: str) -> None:
    """Stores the new address of a portal that was renamed; ignores one that cannot be used."""
    if client_endpoint in ("", portal.client_endpoint):
        return
    try:
        address = portal_address.parse_callable(client_endpoint)
    except (AddressForbidden, AddressNotUnderstood) as error:
        security.warning(
            "a renewal names no usable address, the old one is kept: %s (member_id %s)",
            error,
            portal.member_id,
        )
        return
    keep_address(portal, address)


def keep_address(portal: Portal, address: PortalAddress) -> bool:
    """Stores an address from the OAuth server. Returns whether it differs from the old one."""
    if portal.client_endpoint == address.endpoint:
        return False
    security.warning("portal moved to %s (member_id %s)", address.endpoint, portal.member_id)
    portal.client_endpoint, portal.domain = address.endpoint, address.netloc
    portal.save(update_fields=["client_endpoint", "domain"])
    return True


def _columns(pair: Pair) -> dict[str, object]:
    return {
        "access": pair.access,
        "refresh": pair.refresh,
        "expires_at": pair.expires_at,
        "refreshed_at": timezone.now(),
        "failure_code": "",
        "failed_at": None,
    }
