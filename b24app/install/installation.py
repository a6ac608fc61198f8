"""Installation: prove the installer's token, remember the portal, then bind what we need there."""

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

# Each with its reason in the README; nothing that no feature needs.
NEEDED_SCOPES = ("crm", "sale", "pay_system", "placement", "user_brief")

# As long as its column; Bitrix24 has some sixty scopes, of ten letters each.
SCOPES_LENGTH = 1000
_SCOPE_NAME = re.compile(r"[0-9A-Za-z_.:-]{1,60}")


class AdministratorNeeded(OpeningRefused):
    """The installer is known, and is not an administrator of the portal."""

    sentence_by_default = _(
        "Only an administrator of this Bitrix24 can install the app. "
        "Ask one of them to open it once; nothing was changed."
    )


class PermissionsMissing(ScopeMissing):
    """The app's registration in this portal lacks a scope; the description names the missing."""

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
    """Prove who installs the app, and where; remember the portal and its tokens.

    The OAuth server is asked first, and the address it names is the only one that is called then:
    the posted DOMAIN never is. Raises BadInput, OpeningRefused if the token is not proved or that
    address is not understood, TooManyOpenings,
    AdministratorNeeded, PermissionsMissing, and whatever kept either server from answering; in all
    of these cases nothing has been stored. A second installation repeats the first one.
    """
    posted = read_posted(request)
    # Of all portals together: anybody can make up a member_id for each installation they forge.
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
    portal = _remember(posted, owner, address, app, scopes, profile)
    trace.about(member_id=portal.member_id, portal_pk=portal.pk, user_id=owner.user_id)
    person = Person(portal, owner.user_id, proved_at=timezone.now())
    identify(request, person)
    return person


@transaction.atomic
def _remember(
    posted: Posted,
    owner: TokenOwner,
    address: PortalAddress,
    app: AppInfo,
    scopes: frozenset[str],
    profile: Profile,
) -> Portal:
    portal, _created = Portal.objects.select_for_update().get_or_create(member_id=owner.member_id)
    # Whatever an event said, the app is there; in the grace time its data are taken up again.
    RemovalClaim.objects.filter(portal=portal).delete()
    if portal.uninstalled_at is not None:
        portal.installed_at, portal.uninstalled_at = None, None
    if portal.app_id != app.id:
        # Installed anew, and we were not told of the removal: the old token proves nothing now.
        portal.application_token = ""
    portal.client_endpoint, portal.domain = address.endpoint, address.netloc
    portal.app_id, portal.app_code = app.id, app.code
    portal.scope = _kept(scopes)
    portal.status, portal.language = posted.status, posted.language
    portal.bindings_checked_at = None
    time_zone.learn(portal, profile)
    if posted.application_token:
        portal.application_token = posted.application_token
    portal.save()
    pair = posted.pair(user_id=owner.user_id, client_endpoint=address.endpoint)
    store.store_portal_pair(portal, pair)
    return portal


def _kept(scopes: frozenset[str]) -> str:
    """The scopes as one text, the needed ones first; those for which its column has no room go."""
    kept = ""
    for name in sorted(scopes, key=lambda name: (name not in NEEDED_SCOPES, name)):
        longer = f"{kept},{name}" if kept else name
        if len(longer) > SCOPES_LENGTH:
            break
        kept = longer
    return kept


def finish(person: Person) -> None:
    """Bind the app's places in the portal, then call it installed; a repeated call is harmless.

    With the installer's own token, which is the portal's from now on. Raises AdministratorNeeded
    for anybody else, and what the portal answers.
    """
    serving = UserToken.objects.filter(portal=person.portal, serves_portal=True)
    if not serving.filter(user_id=person.user_id).exists():
        raise AdministratorNeeded(f"user {person.user_id} is not the installer")
    bindings.bind_all(portal_client(person.portal))
    now, portal = timezone.now(), Portal.objects.filter(pk=person.portal.pk)
    portal.update(bindings_checked_at=now)
    portal.filter(installed_at=None).update(installed_at=now)


def restore_bindings(person: Person) -> None:
    """Bind again what the portal has dropped, as an update of the app does; by any administrator.

    Called by the page that such a person opens, so that the opening itself waits for nothing, and
    with their own token. Does nothing where the bindings were looked at a short while ago. A
    failure is only logged, since nobody asked for this: the next opening tries again. Raises
    AdministratorNeeded for anybody else.
    """
    if not person.portal.bindings_are_due:
        return
    profile = person.client.read(PROFILE)
    if not profile.is_admin:
        raise AdministratorNeeded(f"user {profile.user_id} is no administrator")
    # Taken before the work, so that two tabs opened at once do it once.
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
