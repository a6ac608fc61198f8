"""Addresses of portals: which are accepted, which refused; each source is checked."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from b24app import models
from b24app.errors import AddressForbidden, AddressNotUnderstood
from b24app.identity import session, webhook
from b24app.identity.session import Person
from b24app.rest import portal_address, transport
from b24app.tokens import store
from b24app.tokens.clients import user_client
from b24app.tokens.proof import PROFILE
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.b24app.portal_posts import FORM, begin, install, opening_fields, post, stored
from tests.b24app.rows import installed, pair_of
from tests.b24app.servers import Telling


@pytest.fixture(autouse=True)
def _https_alone(settings: Settings) -> None:
    settings.B24_ALLOW_HTTP = False


GOOD = [
    ("https://alpha.example.com/rest/", "https://alpha.example.com/rest/"),
    ("HTTPS://Alpha.Example.COM/rest", "https://alpha.example.com/rest/"),
    ("https://alpha.example.com.:443/rest/", "https://alpha.example.com/rest/"),
    ("https://alpha.example.com:8443/rest/", "https://alpha.example.com:8443/rest/"),
    ("https://my_portal.example.com/rest/", "https://my_portal.example.com/rest/"),
    ("https://_intra.example.com/rest/", "https://_intra.example.com/rest/"),
    ("https://bücher.example.com/rest/", "https://xn--bcher-kva.example.com/rest/"),
    ("https://BÜCHER。example.com/rest/", "https://xn--bcher-kva.example.com/rest/"),
    ("https://crm_büro.example.com/rest/", "https://xn--crm_bro-r2a.example.com/rest/"),
    ("https://xn--bcher-kva.example.com/rest/", "https://xn--bcher-kva.example.com/rest/"),
    ("https://портал.example.com/rest/", "https://xn--80awhdgm.example.com/rest/"),
    ("https://portal/rest/", "https://portal/rest/"),
    ("https://203.0.113.4/rest/", "https://203.0.113.4/rest/"),
    ("https://www.example.com/crm-2/my_site/rest/", "https://www.example.com/crm-2/my_site/rest/"),
    ("http://127.0.0.1:8001/rest/", "http://127.0.0.1:8001/rest/"),
    ("http://portal.example.com:80/rest/", "http://portal.example.com/rest/"),
]

BAD = [
    "",
    "null",
    "alpha.example.com",
    "//alpha.example.com/rest/",
    "ftp://alpha.example.com/rest/",
    "javascript://alpha.example.com/rest/",
    "https://",
    "https:///rest/",
    "https://alpha.example.com",
    "https://user@alpha.example.com/rest/",
    "https://user:word@alpha.example.com/rest/",
    "https://alpha.example.com@evil.example.com/rest/",
    "https://alpha.example.com\\@evil.example.com/rest/",
    "https://*.example.com/rest/",
    "https://*/rest/",
    "https://alpha.example.com *; script-src */rest/",
    "https://alpha.example.com;script-src */rest/",
    "https://alpha.example.com,https://evil.example.com/rest/",
    "https://alpha.example.com'/rest/",
    'https://alpha".example.com/rest/',
    "https://alpha .example.com/rest/",
    " https://alpha.example.com/rest/",
    "https://alpha.example.com/rest/ ",
    "https://alpha.example.com/rest/\n",
    "https://alpha.example.com\n/rest/",
    "https://alpha.example.com/re st/",
    "https://alpha.example.com/rest/;",
    "https://alpha.example.com/'rest'/",
    "https://alpha.example.com/rest\x00/",
    "https://alpha\x00.example.com/rest/",
    "https://alpha.example.com/../rest/",
    "https://alpha.example.com/./rest/",
    "https://alpha.example.com//rest/",
    "https://alpha.example.com/rest/?x=1",
    "https://alpha.example.com/rest/#x",
    "https://alpha.example.com/%72est/",
    "https://alpha.example.com:0/rest/",
    "https://alpha.example.com:65536/rest/",
    "https://alpha.example.com:99999999/rest/",
    "https://alpha.example.com:/rest/",
    "https://alpha.example.com:-1/rest/",
    "https://alpha.example.com:４４３/rest/",
    "https://alpha.example.com:8443:1/rest/",
    "https://[::1]/rest/",
    "https://[v1.x]/rest/",
    "https://alpha..example.com/rest/",
    "https://.example.com/rest/",
    "https://-alpha.example.com/rest/",
    "https://alpha-.example.com/rest/",
    f"https://{'a' * 64}.example.com/rest/",
    f"https://{'a.' * 126}com/rest/",
    f"https://alpha.example.com/{'a' * 255}/",
    f"https://{'ü' * 63}.example.com/rest/",
    "https://a\u200bb\u2028.example.com/rest/",
    "https://\ud800.example.com/rest/",
    "https://☃️☃.example.com/rest/",
    "https://alpha.example.com／rest/",
    "https://ü\u0301-.example.com/rest/",
]


@pytest.mark.parametrize(("text", "endpoint"), GOOD)
def test_an_address_is_understood(text: str, endpoint: str) -> None:
    address = portal_address.parse(text)
    assert address.endpoint == endpoint
    assert address.endpoint == f"{address.scheme}://{address.netloc}{address.path}"
    assert portal_address.parse(address.endpoint) == address


@pytest.mark.parametrize("text", BAD)
def test_an_address_is_not_understood(text: str) -> None:
    with pytest.raises(AddressNotUnderstood):
        portal_address.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "http://alpha.example.com/rest/",
        "https://127.0.0.1/rest/",
        "https://169.254.169.254/rest/",
        "https://10.0.0.1:8443/rest/",
    ],
)
def test_an_address_that_is_never_called_is_not_taken_either(text: str) -> None:
    with pytest.raises(AddressForbidden):
        portal_address.parse_callable(text)


# Every way in. The OAuth server names what the portal's `url` is.

UNUSABLE = [
    "https://alpha.example.com *; script-src *",
    "https://*.example.com",
    "https://user@alpha.example.com",
    "https://alpha.example.com:99999",
    "https://169.254.169.254",
    "http://alpha.example.com",
]
BY_NAME = [
    ("https://my_portal.example.com", "my_portal.example.com"),
    ("https://bücher.example.com", "xn--bcher-kva.example.com"),
    ("https://Alpha.Example.com:8443", "alpha.example.com:8443"),
]


def named_by_oauth(sandbox: Sandbox, alpha: Portal, url: str, answers_at: str = "") -> None:
    """The OAuth server names the portal by `url`; the portal answers at another spelling."""
    alpha.url = url
    if answers_at:
        sandbox.world.portals[answers_at] = replace(alpha, url=f"https://{answers_at}")


def policy_of(answer: Any) -> list[str]:
    return [part.strip() for part in answer["Content-Security-Policy"].split(";")]


@pytest.mark.django_db
@pytest.mark.parametrize("url", UNUSABLE)
def test_an_installation_at_an_unusable_address_is_refused_with_a_message(
    client: Client, sandbox: Sandbox, alpha: Portal, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    begin(sandbox, alpha)
    fields = opening_fields(sandbox, alpha, seed.ADMIN)
    alpha.url = url
    kept = stored()
    with caplog.at_level(logging.WARNING, "b24app.security"):
        answer = post(client, "/install/", fields)
    text = answer.content.decode()
    assert "is not understood" in text or "cannot be called from here" in text
    assert answer.status_code in (403, 503)
    assert {call.host for call in sandbox.log} == {"oauth.bitrix.info"}
    assert stored() == kept
    assert "no usable address" in caplog.text


@pytest.mark.django_db
@pytest.mark.parametrize("url", UNUSABLE[:-1])
def test_an_opening_of_a_portal_that_moved_to_an_unusable_address_keeps_the_old_one(
    client: Client, sandbox: Sandbox, alpha: Portal, url: str
) -> None:
    install(client, sandbox, alpha)
    fields = opening_fields(sandbox, alpha, seed.MANAGER)
    alpha.url = url
    kept = stored()
    answer = post(client, "/", fields)
    assert answer.status_code in (403, 503)
    assert "is not understood" in answer.content.decode() or (
        "cannot be called from here" in answer.content.decode()
    )
    assert stored() == kept


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("url", UNUSABLE)
def test_a_renewal_with_an_unusable_address_keeps_the_pair_and_the_old_address(
    sandbox: Sandbox, alpha: Portal, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    portal = installed(sandbox, alpha)
    row = store.store_user_pair(portal, pair_of(sandbox, alpha, seed.MANAGER))
    alpha.url = url
    with caplog.at_level(logging.WARNING, "b24app.security"):
        store.StoredCredentials(row).renew(row.access)
    kept = models.UserToken.objects.get()
    assert kept.access != row.access
    assert sandbox.world.tokens[kept.access].refresh == kept.refresh
    portal.refresh_from_db()
    assert portal.client_endpoint == "https://alpha.example.com/rest/"
    assert portal.domain == "alpha.example.com"
    assert caplog.text.count("no usable address") == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("url", "netloc"), BY_NAME)
def test_a_renewal_takes_a_name_in_any_spelling(
    sandbox: Sandbox, alpha: Portal, url: str, netloc: str
) -> None:
    portal = installed(sandbox, alpha)
    row = store.store_user_pair(portal, pair_of(sandbox, alpha, seed.MANAGER))
    alpha.url = url
    store.StoredCredentials(row).renew(row.access)
    portal.refresh_from_db()
    assert (portal.client_endpoint, portal.domain) == (f"https://{netloc}/rest/", netloc)


@pytest.mark.django_db
@pytest.mark.parametrize(("url", "netloc"), BY_NAME)
def test_a_portal_by_such_a_name_is_installed_opened_and_framed(
    client: Client, sandbox: Sandbox, alpha: Portal, url: str, netloc: str
) -> None:
    begin(sandbox, alpha)
    fields = [opening_fields(sandbox, alpha, seed.ADMIN) for _ in range(2)]
    named_by_oauth(sandbox, alpha, url, answers_at=netloc)
    # The sandbox finds a token by its portal's member_id.
    for each in fields:
        page = post(client, "/install/", each)
        assert page.status_code == 200, page.content.decode()
        assert f"frame-ancestors https://{netloc}" in policy_of(page)
    row = models.Portal.objects.get()
    assert (row.client_endpoint, row.domain) == (f"https://{netloc}/rest/", netloc)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "stored_address", [text for text in BAD if "\x00" not in text and "\ud800" not in text][:40]
)
def test_what_is_stored_by_other_ways_cannot_reach_the_header(
    client: Client, sandbox: Sandbox, alpha: Portal, stored_address: str
) -> None:
    portal = installed(sandbox, alpha)
    person = Person(portal, seed.MANAGER, proved_at=timezone.now())
    value = session.issue(person)
    models.Portal.objects.update(client_endpoint=stored_address)
    answer = client.post("/install/finish/", headers={session.HEADER: value})
    policy = policy_of(answer)
    assert "frame-ancestors 'none'" in policy
    assert len([part for part in policy if part.startswith("script-src")]) == 1
    assert not re.search(r"(^|[\s;])\*", answer["Content-Security-Policy"])


@pytest.mark.parametrize(("url", "netloc"), BY_NAME)
def test_a_webhook_may_have_such_a_name(url: str, netloc: str) -> None:
    found = webhook.parse(f"{url}/rest/1/{seed.WEBHOOK_CODE}/")
    assert (found.host, found.root) == (netloc, f"https://{netloc}/rest/")
    assert found.client.endpoint == f"https://{netloc}/rest/1/{seed.WEBHOOK_CODE}/"


@pytest.mark.parametrize("url", [url for url in UNUSABLE if "//alpha" in url or "*" in url][:2])
def test_a_webhook_at_no_address_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(webhook.NotAWebhook) as told:
        webhook.parse(f"{url}/rest/1/{seed.WEBHOOK_CODE}/")
    assert seed.WEBHOOK_CODE not in f"{told.value!r}{told.value.__context__!r}"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("stored_name", "typed"),
    [
        ("my_portal.example.com", " My_Portal.example.com "),
        ("xn--bcher-kva.example.com", "Bücher.example.com"),
        ("alpha.example.com", "alpha.example.com:443"),
        ("alpha.example.com:8443", "ALPHA.example.com:8443"),
    ],
)
def test_a_person_types_the_name_as_they_know_it(
    client: Client, sandbox: Sandbox, alpha: Portal, stored_name: str, typed: str
) -> None:
    installed(sandbox, alpha)
    models.Portal.objects.update(domain=stored_name, client_endpoint=f"https://{stored_name}/rest/")
    answer = client.get("/oauth/start/", {"domain": typed})
    assert answer.status_code == 302
    assert answer["Location"].startswith(f"https://{stored_name}/oauth/authorize/?")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "server_endpoint",
    ["", "x", "null", "https://oauth.bitrix.info", "https://evil.example.com/rest/", "nul\x00"]
    + [f"{url}/rest/" for url in UNUSABLE],
)
def test_an_event_is_not_refused_for_the_server_it_names(
    client: Client, sandbox: Sandbox, alpha: Portal, server_endpoint: str
) -> None:
    portal = install(client, sandbox, alpha)
    sandbox.log.clear()
    fields = {
        "event": "ONPAYMENTENTITYSAVED",
        "data[FIELDS][ID]": str(seed.PAYMENT),
        "ts": "soon",
        "auth[member_id]": alpha.member_id,
        "auth[application_token]": portal.application_token,
        "auth[access_token]": "no token",
        "auth[server_endpoint]": server_endpoint,
    }
    answer = client.post("/event/", urlencode(fields), content_type=FORM)
    assert answer.json() == {"ok": True}
    assert sandbox.log == []


@pytest.mark.django_db(transaction=True)
def test_a_call_goes_to_a_host_with_an_underscore(sandbox: Sandbox, alpha: Portal) -> None:
    portal = installed(sandbox, alpha)
    store.store_user_pair(portal, pair_of(sandbox, alpha, seed.MANAGER))
    portal.client_endpoint = portal_address.parse("https://büro_1.example.com/rest/").endpoint
    server = Telling({"result": {"ID": "3", "ADMIN": False}})
    with transport.use_adapter(server):
        user_client(portal, seed.MANAGER).read(PROFILE)
    assert server.requests[0].url == f"{portal.client_endpoint}profile"
