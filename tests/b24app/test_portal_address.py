"""Addresses of portals: one parser for each source that names one."""

from __future__ import annotations

import logging

import pytest
from django.test import Client

from b24app import models, portal_address, tokens, transport
from b24app.errors import AddressForbidden, AddressNotUnderstood
from sandbox import seed
from sandbox.app import Sandbox
from sandbox.world import Portal
from tests.b24app.portal_posts import install, opening_fields, post
from tests.b24app.rows import installed, pair_of
from tests.b24app.test_oauth import A_PAIR, Telling


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("https://alpha.example.com/rest/", "https://alpha.example.com/rest/"),
        ("https://ALPHA.example.com:443/rest", "https://alpha.example.com/rest/"),
        ("https://alpha.example.com:8443/rest/", "https://alpha.example.com:8443/rest/"),
        ("https://crm_portal.example.com/rest/", "https://crm_portal.example.com/rest/"),
        ("https://example.com/sites/crm/rest/", "https://example.com/sites/crm/rest/"),
        ("https://bücher.example.com/rest/", "https://xn--bcher-kva.example.com/rest/"),
        ("https://портал.example.com/rest/", "https://xn--80awhdgm.example.com/rest/"),
        ("https://alpha.example.com./rest/", "https://alpha.example.com/rest/"),
    ],
)
def test_an_address_is_read_in_one_form(text: str, endpoint: str) -> None:
    assert portal_address.parse(text).endpoint == endpoint


HOSTILE = [
    "",
    "alpha.example.com/rest/",
    "ftp://alpha.example.com/rest/",
    "https://alpha.example.com",
    "https://user:word@alpha.example.com/rest/",
    "https://alpha.example.com *; script-src */rest/",
    "https://alpha.example.com;frame-ancestors */rest/",
    "https://*/rest/",
    "https://alpha.example.com/rest/?a=1",
    "https://alpha.example.com/rest/#a",
    "https://alpha.example.com/../rest/",
    "https://alpha.example.com//rest/",
    "https://alpha.example.com/re st/",
    "https://alpha.example.com/rest/\n",
    "https://alpha.example.com\r\nX-Y: z/rest/",
    "https://alpha.example.com:0/rest/",
    "https://alpha.example.com:65536/rest/",
    "https://alpha.example.com:99999999/rest/",
    "https://alpha'.example.com/rest/",
    'https://alpha".example.com/rest/',
    "https://[::1]/rest/",
    "https://a..example.com/rest/",
    f"https://{'a' * 64}.example.com/rest/",
    f"https://{'a.' * 130}example.com/rest/",
    "https://xn--a\u0300.example.com/rest/",
    "https://\ud800.example.com/rest/",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_an_address_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(AddressNotUnderstood) as told:
        portal_address.parse(text)
    assert "not understood" in str(told.value.sentence)


@pytest.mark.parametrize("text", ["https://127.0.0.1/rest/", "https://169.254.169.254/rest/"])
def test_an_address_that_is_never_called_is_forbidden(text: str) -> None:
    with pytest.raises(AddressForbidden):
        portal_address.parse_callable(text)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("text", [*HOSTILE, "https://127.0.0.1/rest/"])
def test_a_renewal_with_an_odd_address_keeps_its_pair_and_the_old_address(
    sandbox: Sandbox, alpha: Portal, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    portal = installed(sandbox, alpha)
    row = tokens.store_user_pair(portal, pair_of(sandbox, alpha, seed.MANAGER))
    with (
        transport.use_adapter(Telling({**A_PAIR, "client_endpoint": text})),
        caplog.at_level(logging.WARNING, "b24app.security"),
    ):
        access = tokens.StoredCredentials(row).renew(row.access)
    row.refresh_from_db()
    assert (access, row.access, row.refresh) == ("new-access", "new-access", "new-refresh")
    portal.refresh_from_db()
    assert portal.client_endpoint == "https://alpha.example.com/rest/"
    assert ("no usable address" in caplog.text) is bool(text)


@pytest.mark.django_db
@pytest.mark.parametrize("text", HOSTILE[1:])
def test_the_page_may_be_framed_by_the_portal_alone(
    client: Client, sandbox: Sandbox, alpha: Portal, text: str
) -> None:
    """Whatever was stored before addresses were parsed."""
    install(client, sandbox, alpha)
    fields = opening_fields(sandbox, alpha, seed.MANAGER)
    models.Portal.objects.update(client_endpoint=text[:255].encode(errors="replace").decode())
    answer = post(client, "/", fields)
    policy = answer.headers["Content-Security-Policy"]
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert len(directives) == policy.count(";") + 1
    assert "*" not in directives["script-src"]
    # An error page without a person has nothing on it to be protected.
    allowed = {"https://alpha.example.com"} if answer.status_code == 200 else {"*", "'none'"}
    assert directives["frame-ancestors"] in allowed
