"""Installs the app: proves the installer's token, stores the portal, binds places and events."""

from __future__ import annotations

import logging
import re

from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from b24app.errors import B24Error, OpeningRefused, OutcomeUnknown, ScopeMissing
from b24app.identity import failed_proofs, time_zone
from b24app.identity.forms import Posted, read_posted
from b24app.identity.session import Person, identify
from b24app.install import bindings
from b24app.models import Portal, RemovalClaim, UserToken
from b24app.monitoring import trace
from b24app.rest.client import Answer, Client, Query
from b24app.rest.portal_address import PortalAddress
from b24app.tokens import store
from b24app.tokens.clients import portal_client
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

logger = logging.getLogger(__name__)

# The README has the reason for each.
NEEDED_SCOPES = ("crm", "sale", "pay_system", "placement", "user_brief")

# The length of the column. Bitrix24 has some sixty scopes of ten letters each.
SCOPES_LENGTH = 1000
_SCOPE_NAME = re.compile(r"[0-9A-Za-z_.:-]{1,60}")


class AdministratorNeeded(OpeningRefused):
    """The installer is not an administrator of the portal."""

    sentence_by_default = _(
        "Only an administrator of this Bitrix24 can install the app. "
        "Ask one of them to open it once; nothing was changed."
    )


class PermissionsMissing(ScopeMissing):
    """The app's registration in this portal lacks scopes; the description lists them."""

    @property
    def sentence(self) -> str:
        return _(
            "The app lacks these permissions in this Bitrix24: %(scopes)s. "
            "Add them in the app's settings, then install it again."
        ) % {"scopes": self.description}


def _scopes(answer: Answer) -> frozenset[str]:
    if not isinstance(answer.result, list):
        raise OutcomeUnknown("scope: an unknown shape")
    return frozenset(
        name for name in answer.result if isinstance(name, str) and _SCOPE_NAME.fullmatch(name)
    )


# https://apidocs.bitrix24.com/api-reference/common/system/scope.html
SCOPE = Query("scope", _scopes)


def begin(request: HttpRequest) -> Person:
    """Proves who installs the app, and in which portal; stores the portal and its tokens.

    Asks the OAuth server first, and then calls only the address that it names, never the posted
    DOMAIN. A second installation repeats the first one.

    Raises BadInput, OpeningRefused if the token is not proved or the address is not understood,
    TooManyOpenings, AdministratorNeeded, PermissionsMissing, and the error of a server that did not
    answer; in all these cases nothing has been stored.
    https://apidocs.bitrix24.com/settings/app-installation/installation-finish.html
    """
    posted = read_posted(request)
    # One limit for all portals, because each forged installation can have a new member_id.
    turn = failed_proofs.take_turn(request, "installations")
    owner = owner_of(
        posted.access, member_id=posted.member_id, server_endpoint=posted.server_endpoint
    )
    failed_proofs.give_back(turn)
    address = address_of(owner)
    client = Client(address.endpoint, PostedCredentials(posted.access))
    batch = client.batch()
    asked_app, asked_profile = batch.add(APP_INFO), batch.add(PROFILE)
    asked_scope = batch.add(SCOPE)
    batch.run()
    app, profile, scopes = asked_app.get(), asked_profile.get(), asked_scope.get()
    if profile.user_id != owner.user_id:
        raise refusal("the portal names another user", member_id=posted.member_id)
    if not profile.is_admin:
        raise AdministratorNeeded(f"user {profile.user_id} is no administrator")
    missing = [name for name in NEEDED_SCOPES if name not in scopes]
    if missing:
        raise PermissionsMissing("insufficient_scope", ", ".join(missing))
    portal = _store_portal(posted, owner, address, app, scopes, profile)
    trace.about(member_id=portal.member_id, portal_pk=portal.pk, user_id=owner.user_id)
    person = Person(portal, owner.user_id, proved_at=timezone.now())
    identify(request, person)
    return person


@transaction.atomic
def _store_portal(
    posted: Posted,
    owner: TokenOwner,
    address: PortalAddress,
    app: AppInfo,
    scopes: frozenset[str],
    profile: Profile,
) -> Portal:
    portal, _created = Portal.objects.select_for_update().get_or_create(member_id=owner.member_id)
    # The app is installed, so a claim of a removal is wrong; in the grace time its data are kept.
    RemovalClaim.objects.filter(portal=portal).delete()
    if portal.uninstalled_at is not None:
        portal.installed_at, portal.uninstalled_at = None, None
    if portal.app_id != app.id:
        # A new installation without an event of the removal: the old token proves nothing now.
        portal.application_token = ""
    portal.client_endpoint, portal.domain = address.endpoint, address.netloc
    portal.app_id, portal.app_code = app.id, app.code
    portal.scope = _scope_text(scopes)
    portal.status, portal.language = posted.status, posted.language
    portal.bindings_checked_at = None
    time_zone.learn(portal, profile)
    if posted.application_token:
        portal.application_token = posted.application_token
    portal.save()
    pair = posted.pair(user_id=owner.user_id, client_endpoint=address.endpoint)
    store.store_portal_pair(portal, pair)
    return portal


def _scope_text(scopes: frozenset[str]) -> str:
    """Returns the scopes as one text, the needed ones first; drops those that exceed the column."""
    text = ""
    for name in sorted(scopes, key=lambda name: (name not in NEEDED_SCOPES, name)):
        longer = f"{text},{name}" if text else name
        if len(longer) > SCOPES_LENGTH:
            break
        text = longer
    return text


def finish(person: Person) -> None:
    """Binds the app's places and events, then marks it as installed. A repeated call is harmless.

    Uses the installer's token, which serves the portal from now on. Raises AdministratorNeeded for
    another person, and the portal's error.
    """
    serving = UserToken.objects.filter(portal=person.portal, serves_portal=True)
    if not serving.filter(user_id=person.user_id).exists():
        raise AdministratorNeeded(f"user {person.user_id} is not the installer")
    bindings.bind_all(portal_client(person.portal))
    now, portal = timezone.now(), Portal.objects.filter(pk=person.portal.pk)
    portal.update(bindings_checked_at=now)
    portal.filter(installed_at=None).update(installed_at=now)


def restore_bindings(person: Person) -> None:
    """Binds again what the portal has dropped, for example when the app was updated.

    The page that an administrator opens calls this, so that the opening itself does not wait. Uses
    the administrator's own token. Does nothing if the bindings were checked lately. Only logs a
    failure, because the person did not ask for this; the next opening retries. Raises
    AdministratorNeeded for other people.
    """
    if not person.portal.bindings_are_due:
        return
    profile = person.client.read(PROFILE)
    if not profile.is_admin:
        raise AdministratorNeeded(f"user {profile.user_id} is no administrator")
    # Stored before the work, so that of two tabs opened at once only one does it.
    portal = Portal.objects.filter(pk=person.portal.pk)
    seen = portal.filter(bindings_checked_at=person.portal.bindings_checked_at)
    if not seen.update(bindings_checked_at=timezone.now()):
        return
    try:
        bindings.bind_all(person.client)
    except B24Error as error:
        portal.update(bindings_checked_at=None)
        logger.warning(
            "bindings of %s were not restored: %s %r",
            person.portal.member_id,
            type(error).__name__,
            str(error),
        )
