"""The installer is dismissed and Bitrix24 keeps the integration, or does not."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.test import Client

from b24app import models
from b24app.errors import ChainBroken
from b24app.models import UserToken
from b24app.tokens import store
from b24app.tokens.clients import portal_client
from b24app.tokens.proof import PROFILE
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.system_user import dismiss_installer
from sandbox.world.world import Portal
from tests.b24app.portal_posts import install, opening_fields, post
from tests.b24app.test_serving import ADVICE

pytestmark = pytest.mark.django_db(transaction=True)

CODE = "vendor.pay"


@pytest.fixture
def portal(client: Client, sandbox: Sandbox, alpha: Portal) -> models.Portal:
    sandbox.world.applications[seed.OUR_CLIENT_ID].code = CODE
    return install(client, sandbox, alpha)


def serving() -> UserToken:
    return UserToken.objects.select_related("portal").get(serves_portal=True)


@pytest.mark.parametrize("renewed_as_clone", [False, True])
def test_a_system_user_serves_the_portal_in_the_installers_place(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal, renewed_as_clone: bool
) -> None:
    clone = dismiss_installer(
        sandbox.world,
        alpha,
        seed.OUR_CLIENT_ID,
        seed.ADMIN,
        renewed_as_clone=renewed_as_clone,
    )
    assert clone is not None
    row = serving()
    store.StoredCredentials(row).renew(row.access)
    cache.clear()

    page = post(client, "/", opening_fields(sandbox, alpha, seed.MANAGER))

    assert page.context["listing"].systems_known
    assert ADVICE not in page.content.decode()
    assert portal_client(portal).read(PROFILE).user_id == clone.id
    assert serving().user_id == (clone.id if renewed_as_clone else seed.ADMIN)
    # The dismissed person has no token: nothing is done in their name.
    if renewed_as_clone:
        with pytest.raises(ChainBroken):
            store.user_credentials(portal, seed.ADMIN)


def test_a_system_user_who_is_no_administrator_is_told_and_replaced(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    dismissed = alpha.users[seed.ADMIN]
    clone = dismiss_installer(
        sandbox.world, alpha, seed.OUR_CLIENT_ID, seed.ADMIN, renewed_as_clone=True
    )
    assert clone is not None
    clone.role = alpha.users[seed.MANAGER].role
    cache.clear()
    page = post(client, "/", opening_fields(sandbox, alpha, seed.MANAGER))
    assert page.status_code == 200
    assert ADVICE in page.content.decode()

    alpha.users[seed.ADMIN] = dismissed
    page = post(client, "/", opening_fields(sandbox, alpha, seed.ADMIN))

    assert page.context["listing"].systems_known
    assert (serving().user_id, serving().failure_code) == (seed.ADMIN, "")


def test_a_persons_own_pair_never_becomes_another_persons(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    post(client, "/", opening_fields(sandbox, alpha, seed.MANAGER))
    own = UserToken.objects.select_related("portal").get(user_id=seed.MANAGER)
    dismiss_installer(sandbox.world, alpha, seed.OUR_CLIENT_ID, seed.MANAGER, renewed_as_clone=True)

    with pytest.raises(Exception, match="another person's"):
        store.StoredCredentials(own).renew(own.access)

    assert UserToken.objects.get(pk=own.pk).access == own.access


def test_the_tokens_of_a_local_app_end_with_its_installer(
    client: Client, sandbox: Sandbox, alpha: Portal
) -> None:
    portal = install(client, sandbox, alpha)
    assert not dismiss_installer(
        sandbox.world, alpha, seed.OUR_CLIENT_ID, seed.ADMIN, renewed_as_clone=True
    )
    cache.clear()

    page = post(client, "/", opening_fields(sandbox, alpha, seed.MANAGER))

    assert page.context["lines"]
    assert ADVICE in page.content.decode()
    with pytest.raises(ChainBroken):
        portal_client(portal)
