"""On-premise portals: any host and port, vouched for by the OAuth server in the settings."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client, override_settings
from django.utils import timezone

from b24app import models
from b24app.events import queue
from b24app.models import UserToken
from b24app.tokens.clients import portal_client
from b24app.tokens.proof import PROFILE
from sandbox.server.app import Sandbox
from sandbox.world import installing, seed
from sandbox.world.events import form_body
from sandbox.world.world import Portal
from tests.b24app.portal_posts import FORM, begin, install, opening_fields, post
from tests.conftest import OAUTH_URL

pytestmark = pytest.mark.django_db

OWN_OAUTH_URL = "https://oauth.intranet.example"


@pytest.mark.parametrize("oauth_url", [OAUTH_URL, OWN_OAUTH_URL], ids=["central", "its own"])
@pytest.mark.parametrize("host", ["crm.intranet.example", "crm.intranet.example:8443"])
def test_a_portal_of_ones_own_lives_as_any_other(
    client: Client, sandbox: Sandbox, alpha: Portal, host: str, oauth_url: str
) -> None:
    alpha.url, sandbox.world.oauth_url = f"https://{host}", oauth_url
    with override_settings(B24_OAUTH_URL=oauth_url):
        portal = install(client, sandbox, alpha)
        assert (portal.client_endpoint, portal.domain) == (f"https://{host}/rest/", host)
        page = post(client, "/", opening_fields(sandbox, alpha, seed.MANAGER))
        assert page.status_code == 200
        assert f"frame-ancestors https://{host}" in page["Content-Security-Policy"]

        UserToken.objects.update(expires_at=timezone.now() - timedelta(hours=1))
        assert portal_client(portal).read(PROFILE).user_id == seed.ADMIN

        sandbox.world.outbox.clear()
        installing.uninstall(sandbox.world, alpha, seed.OUR_CLIENT_ID, user_id=seed.ADMIN)
        removal = form_body(sandbox.world.outbox.pop().fields)
        assert client.post("/event/", removal, content_type=FORM).status_code == 200
        queue.work()
        assert not UserToken.objects.exists()
    oauth_host = oauth_url.removeprefix("https://")
    assert {call.host for call in sandbox.log} == {host, oauth_host}


def test_the_server_in_the_settings_is_asked_also_where_the_portal_names_none(
    client: Client, sandbox: Sandbox, alpha: Portal
) -> None:
    alpha.url, sandbox.world.oauth_url = "https://crm.intranet.example", OWN_OAUTH_URL
    begin(sandbox, alpha)
    fields = opening_fields(sandbox, alpha, seed.ADMIN, SERVER_ENDPOINT="")
    with override_settings(B24_OAUTH_URL=OWN_OAUTH_URL):
        assert post(client, "/install/", fields).status_code == 200


def test_a_server_that_is_not_in_the_settings_is_not_believed(
    client: Client, sandbox: Sandbox, alpha: Portal
) -> None:
    """Otherwise the owner of such a server could install the app under any portal's name."""
    alpha.url, sandbox.world.oauth_url = "https://crm.intranet.example", OWN_OAUTH_URL
    begin(sandbox, alpha)
    answer = post(client, "/install/", opening_fields(sandbox, alpha, seed.ADMIN))
    assert answer.status_code >= 400
    assert not models.Portal.objects.exists()
    assert sandbox.log == []
