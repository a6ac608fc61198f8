"""Keeps pairs of tokens and renews them: each refresh token is spent once, whoever else waits."""

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

# A token is good for a call if it outlives the longest one: a write may wait 70 seconds.
MARGIN = timedelta(seconds=120)
# When the OAuth server last left a renewal without an answer. Whoever waited for a lock meanwhile
# is told so, instead of waiting for the server as well, one after another.
_UNANSWERED = "b24app.tokens.unanswered"
_LONGEST_WAIT = 60  # seconds; nobody waits for a lock that long


class PairGone(ChainBroken):
    """The pair was deleted while it was in use; neither server said anything about it."""


class Pair(Protocol):
    """Tokens to keep; a TokenPair is one."""

    @property
    def access(self) -> str: ...
    @property
    def refresh(self) -> str: ...
    @property
    def expires_at(self) -> datetime: ...
    @property
    def user_id(self) -> int | None: ...


def store_user_pair(portal: Portal, pair: Pair) -> UserToken:
    """Keep a person's own pair, in place of the one they had."""
    row, _ = UserToken.objects.update_or_create(
        portal=portal, user_id=pair.user_id, serves_portal=False, defaults=_columns(pair)
    )
    return row


def replace_user_pair(portal: Portal, pair: Pair) -> None:
    """As `store_user_pair`, in one statement where there is one to be replaced: every opening is
    such a case but a person's first."""
    # Whose it is was asked before: only a renewal's answer may leave it out.
    user_id = cast(int, pair.user_id)
    own = UserToken.objects.filter(portal=portal, user_id=user_id, serves_portal=False)
    if not own.update(**_columns(pair)):
        store_user_pair(portal, pair)


def store_portal_pair(portal: Portal, pair: Pair) -> UserToken:
    """Keep the pair that serves the whole portal, in place of the one it had."""
    row, _ = UserToken.objects.update_or_create(
        portal=portal, serves_portal=True, defaults={"user_id": pair.user_id, **_columns(pair)}
    )
    return row


def user_credentials(portal: Portal, user_id: int) -> StoredCredentials:
    """The person's own token. Raises ChainBroken if they never opened the app.

    Of an administrator the only pair may be that which serves the portal: a chain is kept once.
    """
    rows = UserToken.objects.filter(portal=portal, user_id=user_id)
    row = rows.order_by("serves_portal").first()
    if row is None:
        raise ChainBroken("INVALID_GRANT", "no pair of this person is kept")
    row.portal = portal
    return StoredCredentials(row)


def portal_credentials(portal: Portal) -> StoredCredentials:
    """The installer's token. Raises ChainBroken if none is kept, or it is known to be no good: then
    nobody has to wait for the portal to say so again."""
    row = UserToken.objects.filter(portal=portal, serves_portal=True).first()
    if row is None:
        raise ChainBroken("NOT_INSTALLED", "no pair of this portal is kept")
    if failures.is_out_of_use(row):
        raise ChainBroken(row.broken_code, "known from an earlier call")
    row.portal = portal
    return StoredCredentials(row)


class StoredCredentials:
    """The access token of one row, read when this is made; the database is asked to renew only."""

    def __init__(self, row: UserToken) -> None:
        self._pk, self._user_id = row.pk, row.user_id
        self._endpoint = row.portal.client_endpoint
        self._access = row.access
        self._expires_at = row.expires_at
        self._refreshed_at = row.refreshed_at

    def access_token(self) -> str:
        """A token that outlives the call it is for, renewed first if need be; raises as `renew`.

        While the old one lasts, it serves where no new one can be had.
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
        """A token other than `stale`: the one somebody else has fetched meanwhile, or a new one.

        The row is locked from before the refresh token is read until the new pair is committed: the
        server takes each refresh token once, and a second user of it would lose the chain.

        What can be lost: between the server's answer and our commit the new pair is in this
        process's memory alone, and the old refresh token is spent. A process that dies there, or an
        answer that is lost on its way, leaves a row whose next renewal is answered invalid_grant,
        which is kept. Nothing can bring that chain back, and nobody has to: the next opening brings
        a new one, of a person their own, of an administrator that which serves the portal.

        `ask_again`: the OAuth server is also asked about a pair that it refused before, unless its
        chain is spent.

        Raises ChainBroken if there will be no new pair (kept on the row, so that nobody asks
        again), PairGone if the row is deleted, another Refused if our own set-up is wrong,
        TokenRejected if the answer is another person's pair, NeverSent or OutcomeUnknown if the
        OAuth server did not answer, PortalBusy if too many requests wait for the portal or for that
        server.
        """
        # Before the lock: a refused renewal must not hold up others.
        with shares.of_portal(self._endpoint):
            return self._renew(stale, ask_again=ask_again)

    def _renew(self, stale: str, *, ask_again: bool) -> str:
        asked_at = time.time()
        # durable: inside an outer transaction the new pair could still be rolled back, and lost.
        with transaction.atomic(durable=True):
            row = self._locked()
            found = _fetch(row, asked_at, ask_again) if row.access == stale else None
        if isinstance(found, ChainBroken):
            raise found
        if found is not None:
            _note_address(row.portal, found.client_endpoint)
            if not found.access:
                raise NeverSent("a renewal brought a refresh token and no access token")
        self._access, self._expires_at = row.access, row.expires_at
        self._refreshed_at = row.refreshed_at
        return row.access

    def note_refusal(self, error: Refused, administrators_only: bool) -> None:
        """Keep in mind that the portal refuses this pair's person what the portal's pair is for.

        Another pair that has come into the row since is not meant.
        """
        code = failures.code_to_keep(error, administrators_only=administrators_only)
        if not code:
            return
        now = timezone.now()
        rows = UserToken.objects.filter(pk=self._pk, refreshed_at=self._refreshed_at)
        known = {"broken_code": code, "broken_at__gt": now - failures.TRIED_AGAIN_AFTER}
        if rows.exclude(**known).update(broken_code=code, broken_at=now):
            security.warning("the pair of user %s serves no longer: %s", self._user_id, error)

    def _locked(self) -> UserToken:
        """The row as it is now. SQLite locks by the transaction itself, which is IMMEDIATE."""
        rows = UserToken.objects.select_related("portal").select_for_update(of=("self",))
        row = rows.filter(pk=self._pk).first()
        if row is None:
            raise PairGone("NOT_INSTALLED", "the pair is no longer kept")
        return row


def _fetch(row: UserToken, asked_at: float, ask_again: bool) -> oauth.TokenPair | ChainBroken:
    """Fetch a new pair into the locked row. A broken chain is returned, not raised: the caller's
    transaction has to commit it."""
    if failures.is_out_of_use(row) and not (ask_again and not failures.is_chain_spent(row)):
        return ChainBroken(row.broken_code, "known from an earlier call")
    if cache.get(_UNANSWERED, 0) > asked_at:
        raise NeverSent("the OAuth server did not answer whoever came before")
    try:
        pair = oauth.refresh(row.refresh)
    except ChainBroken as error:
        row.broken_code, row.broken_at = error.code, timezone.now()
        row.save(update_fields=["broken_code", "broken_at"])
        return error
    except OAuthBusy:
        raise
    except (NeverSent, OutcomeUnknown):
        cache.set(_UNANSWERED, time.time(), _LONGEST_WAIT)
        raise
    # What the answer leaves out is as it was: the old pair is spent, so the new one is kept.
    is_portals = pair.member_id in ("", row.portal.member_id)
    if not is_portals or pair.user_id not in (None, row.user_id):
        security.error(
            "renewal refused: the pair of user %s (member_id %s) was answered with one of user %s"
            " (member_id %s)",
            row.user_id,
            row.portal.member_id,
            pair.user_id,
            pair.member_id,
        )
        raise TokenRejected("INVALID_TOKEN", "the new pair is somebody else's", 200)
    columns = _columns(pair)
    for name, value in columns.items():
        setattr(row, name, value)
    row.save(update_fields=list(columns))
    return pair


def _note_address(portal: Portal, client_endpoint: str) -> None:
    """Keep the address of a portal that was renamed; one that cannot be used changes nothing."""
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
    """Keep an address that the OAuth server named. Returns whether it is another than before."""
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
        "broken_code": "",
        "broken_at": None,
    }
