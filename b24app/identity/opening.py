"""Proves who opens the app in a portal's frame, before anything is shown or stored.

https://apidocs.bitrix24.com/settings/oauth/simple-way.html
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, cast

from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from b24app.errors import (
    AddressForbidden,
    AddressNotUnderstood,
    NeverSent,
    OpeningRefused,
    OutcomeUnknown,
    PortalBusy,
    PortalMoved,
    Refused,
    TokenRejected,
)
from b24app.identity import failed_proofs, posted_tokens, time_zone
from b24app.identity.forms import Posted, read_posted
from b24app.identity.session import Person, PortalRequest, identify
from b24app.models import Portal, RemovalClaim, UserToken
from b24app.monitoring import trace
from b24app.monitoring.logs import security
from b24app.monitoring.spans import span
from b24app.removal import claims
from b24app.rest.client import Batch, Client, Pending, run_batches
from b24app.tokens import store
from b24app.tokens.failures import ABOUT_THE_PERSON
from b24app.tokens.oauth import TokenOwner
from b24app.tokens.proof import (
    APP_INFO,
    PROFILE,
    AppInfo,
    PostedCredentials,
    Profile,
    address_of,
    owner_of,
    refusal,
)

__all__ = ["APP_INFO", "PROFILE", "Opening", "Profile", "read_opening"]


class Reading(Protocol):
    """The queries of a screen. The proof is added to `user_batch`, which is one of `batches`."""

    @property
    def user_batch(self) -> Batch: ...
    @property
    def batches(self) -> Sequence[Batch]: ...


R = TypeVar("R", bound=Reading)


@dataclass
class Opening:
    """An opening that an installed portal may have sent; nothing is proved before `prove()`."""

    portal: Portal
    client: Client = field(repr=False)
    placement: str
    options: dict[str, Any]
    language: str
    _posted: Posted = field(repr=False)
    _request: HttpRequest = field(repr=False)
    _serving: UserToken | None = field(default=None, repr=False)
    is_admin: bool = False
    user_name: str = ""
    _app_info: Pending[AppInfo] | None = field(default=None, repr=False)
    _profile: Pending[Profile] | None = field(default=None, repr=False)
    _owner: TokenOwner | None = field(default=None, repr=False)

    @span("opening")
    def enter(self, make: Callable[[], R]) -> tuple[R, Person]:
        """Reads what a screen needs and proves who opened it, usually in the same round trip.

        If a proof of this portal has failed lately, asks the OAuth server about the posted token
        first, so that the portal's own token is not used for a forged opening. If the portal has
        moved, makes and runs the reading once more, at the new address.

        `make` makes the reading for the present `portal` and `client`, without a call. Raises what
        `make` raises and what `prove` raises.
        """
        reading = make()
        if failed_proofs.failed_lately(self.portal) and self._prove_first():
            reading = make()
        before = self.portal.client_endpoint
        try:
            return reading, self._run(reading)
        except PortalMoved:
            if self.portal.client_endpoint == before:
                raise
        reading = make()
        return reading, self._run(reading)

    def _run(self, reading: Reading) -> Person:
        self.add_proof(reading.user_batch)
        run_batches(*reading.batches)
        return self.prove()

    def _prove_first(self) -> bool:
        """Proves the posted token before the screen is read. Returns whether the portal has moved.

        Asks the OAuth server; if it gives no answer, asks the portal with that token.
        """
        try:
            owner = self._ask_owner()
        except (NeverSent, OutcomeUnknown):
            batch = self.client.batch()
            self.add_proof(batch)
            batch.run()
            if not self._is_this_app(self._proof_answers()[0]):
                raise
            return False
        try:
            return self._keep_address(owner)
        except (AddressForbidden, AddressNotUnderstood):
            return False  # The stored address may still work.

    def add_proof(self, batch: Batch) -> None:
        """Adds the two queries of the proof to a batch of this opening's client.

        https://apidocs.bitrix24.com/api-reference/common/system/app-info.html
        https://apidocs.bitrix24.com/api-reference/common/users/profile.html
        """
        self._app_info = batch.add(APP_INFO)
        self._profile = batch.add(PROFILE)

    def prove(self) -> Person:
        """Returns the person who opened the app, and stores their tokens.

        The batch with the proof must have run. The portal, at its stored address, accepted the
        token, so the token is a user's of this portal. It is this application's if ID and CODE
        equal those stored at installation; if they differ or are not known, this asks the OAuth
        server, in the only call that it may make.

        Raises OpeningRefused if the token is not proved, TokenRejected if the portal does not let
        this person in, PortalMoved after it stored the portal's new address, TooManyOpenings, and
        the error for which the portal did not answer.
        """
        app, profile = self._proof_answers()
        is_gone = self.portal.uninstalled_at is not None
        if self._owner is not None or is_gone or not self._is_this_app(app):
            self._compare_owner(app, profile)
        self.is_admin, self.user_name = profile.is_admin, profile.name
        return self._admit(profile)

    def _proof_answers(self) -> tuple[AppInfo, Profile]:
        """Returns the portal's answers to the two queries of the proof. Raises as `prove` does."""
        if self._app_info is None or self._profile is None:
            raise RuntimeError("prove() comes after add_proof() and the run of that batch")
        try:
            return self._app_info.get(), self._profile.get()
        except PortalMoved:
            self._update_address()
            raise
        except PortalBusy:
            raise
        except NeverSent as error:
            # The old name of a renamed portal does not redirect for ever.
            if self._update_address():
                raise PortalMoved("the old address does not answer") from error
            raise
        except TokenRejected as error:
            failed_proofs.record(self.portal)
            if error.code.upper() in ABOUT_THE_PERSON:
                security.warning(
                    "opening refused by the portal: %s (member_id %s)",
                    error.code,
                    self.portal.member_id,
                )
                raise
            raise self._refused(f"the portal: {error.code}") from error
        except Refused:
            # QueryLimit too: a flood may have emptied the portal's bucket of requests.
            failed_proofs.record(self.portal)
            raise

    def _is_this_app(self, app: AppInfo) -> bool:
        same_code = constant_time_compare(app.code, self.portal.app_code)
        return same_code and app.id == self.portal.app_id

    def _compare_owner(self, app: AppInfo, profile: Profile) -> None:
        """Compares the portal's answers with the OAuth server's; stores a new ID and CODE."""
        owner = self._ask_owner()
        if owner.user_id != profile.user_id:
            failed_proofs.record(self.portal)
            raise self._refused("a token of another user")
        if self._is_this_app(app):
            return
        # The app was installed again without our installer, so its ID and CODE have changed.
        self.portal.app_id, self.portal.app_code = app.id, app.code
        self.portal.save(update_fields=["app_id", "app_code"])

    def _ask_owner(self) -> TokenOwner:
        """Asks the OAuth server whose the posted token is, once for each opening."""
        if self._owner is not None:
            return self._owner
        member_id = self.portal.member_id
        turn = failed_proofs.take_turn(self._request, member_id)
        try:
            owner = owner_of(
                self._posted.access,
                member_id=member_id,
                server_endpoint=self._posted.server_endpoint,
            )
        except OpeningRefused:
            failed_proofs.record(self.portal)
            raise
        failed_proofs.give_back(turn)
        self._owner = owner
        return owner

    def _update_address(self) -> bool:
        """Asks the OAuth server for the portal's address. Returns whether it has changed."""
        return self._keep_address(self._ask_owner())

    def _keep_address(self, owner: TokenOwner) -> bool:
        """Stores the portal's address. Returns whether it has changed."""
        if not store.keep_address(self.portal, address_of(owner)):
            return False
        self.client = self._client_of(self.portal)
        return True

    def _client_of(self, portal: Portal) -> Client:
        return Client(portal.client_endpoint, PostedCredentials(self._posted.access))

    def _admit(self, profile: Profile) -> Person:
        portal, posted = self.portal, self._posted
        self._end_removal()
        pair = posted.pair(user_id=profile.user_id, client_endpoint=portal.client_endpoint)
        posted_tokens.keep_pair(portal, pair, profile, serving=self._serving)
        # The value comes from the browser, so the person could change it. An administrator may
        # harm their own portal; another user may not.
        if profile.is_admin and posted.application_token:
            posted_tokens.keep_application_token(portal, posted.application_token)
        learned = time_zone.learn(portal, profile)
        if learned:
            portal.save(update_fields=learned)
        trace.about(member_id=portal.member_id, portal_pk=portal.pk, user_id=profile.user_id)
        person = Person(portal, profile.user_id, proved_at=timezone.now())
        request = cast(PortalRequest, self._request)
        identify(request, person)
        request.looks_after_bindings = profile.is_admin and portal.bindings_are_due
        return person

    def _end_removal(self) -> None:
        """Ends a claim that the app was removed, or the grace time: a person has opened the app."""
        portal = self.portal
        if portal.uninstalled_at is not None:
            if not claims.end_grace_time(portal):
                raise self._refused("its data were erased after the removal")
        elif claims.open_claim(portal) is not None:
            claims.refuse(portal)

    def _refused(self, reason: str) -> Exception:
        return refusal(reason, member_id=self.portal.member_id)


def read_opening(request: HttpRequest) -> Opening:
    """Returns the opening in a POST request, unproved. Makes no call and stores nothing.

    Its client calls the stored address of the portal. Raises BadInput for fields that no portal
    sends, OpeningRefused for a portal in which the app is not installed.
    """
    posted = read_posted(request)
    portal, serving = _installed(posted.member_id)
    if portal is None:
        raise refusal("not installed in this portal", member_id=posted.member_id)
    trace.about(member_id=portal.member_id, portal_pk=portal.pk)
    return Opening(
        portal=portal,
        client=Client(portal.client_endpoint, PostedCredentials(posted.access)),
        placement=posted.placement,
        options=posted.options,
        language=posted.language,
        _posted=posted,
        _request=request,
        _serving=serving,
    )


def _installed(member_id: str) -> tuple[Portal | None, UserToken | None]:
    """Returns the portal and the pair that serves it, in one query if such a pair exists.

    Also finds a portal that removed the app, until its grace time is over.
    """
    pairs = UserToken.objects.select_related("portal__removal_claim", "portal__failed_proof")
    is_it = {"portal__member_id": member_id, "portal__installed_at__isnull": False}
    for serving in pairs.filter(serves_portal=True, portal__uninstalled_at=None, **is_it):
        return serving.portal, serving
    portals = Portal.objects.select_related("removal_claim", "failed_proof").filter(
        Q(uninstalled_at=None) | Q(removal_claim__state=RemovalClaim.State.REMOVED),
        member_id=member_id,
        installed_at__isnull=False,
    )
    return portals.first(), None
