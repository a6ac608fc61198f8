"""A genuine opening: which servers it asks, what it stores, and how it refuses."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from b24app import models
from b24app.errors import BadInput, TokenRejected
from b24app.identity.forms import positive_id
from b24app.identity.session import Person
from b24app.models import UserToken
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.b24app.portal_posts import begin, install, opening_fields, post, stored

pytestmark = pytest.mark.django_db


def test_a_manager_opens_the_app_and_their_own_pair_is_kept(
    client: Client, sandbox: Sandbox, alpha: Portal
) -> None:
    portal = install(client, sandbox, alpha)
    fields = opening_fields(sandbox, alpha, seed.MANAGER)
    assert post(client, "/", fields).status_code == 200
    own = UserToken.objects.get(portal=portal, user_id=seed.MANAGER)
    assert (own.access, own.refresh) == (fields["AUTH_ID"], fields["REFRESH_ID"])
    assert not own.serves_portal


def test_the_oauth_server_is_not_asked_where_the_portal_knows_the_app(
    client: Client, sandbox: Sandbox, alpha: Portal
) -> None:
    install(client, sandbox, alpha)
    sandbox.log.clear()
    post(client, "/session/", opening_fields(sandbox, alpha, seed.MANAGER))
    assert [(call.host, set(call.batch)) for call in sandbox.log] == [
        ("alpha.example.com", {"app.info", "profile"})
    ]


def test_a_reinstalled_app_is_proved_once_and_then_known(
    client: Client, sandbox: Sandbox, alpha: Portal
) -> None:
    portal = install(client, sandbox, alpha)
    alpha.installations[seed.OUR_CLIENT_ID].id += 1
    asked = []
    for _ in range(2):
        sandbox.log.clear()
        answer = post(client, "/session/", opening_fields(sandbox, alpha, seed.MANAGER))
        assert answer.status_code == 200
        asked.append([call.host for call in sandbox.log])
    assert asked == [["alpha.example.com", "oauth.bitrix.info"], ["alpha.example.com"]]
    portal.refresh_from_db()
    assert portal.app_id == alpha.installations[seed.OUR_CLIENT_ID].id


def test_the_page_holds_no_token(client: Client, sandbox: Sandbox, alpha: Portal) -> None:
    install(client, sandbox, alpha)
    fields = opening_fields(sandbox, alpha, seed.MANAGER)
    answer = post(client, "/", fields)
    seen = answer.content.decode() + str(answer.headers)
    for secret in ("AUTH_ID", "REFRESH_ID", "APPLICATION_TOKEN"):
        assert fields[secret] not in seen
    assert seed.OUR_SECRET not in seen
    assert "Set-Cookie" not in answer


def test_openings_are_refused_before_the_installation_is_finished(
    client: Client, sandbox: Sandbox, alpha: Portal
) -> None:
    begin(sandbox, alpha)
    post(client, "/install/", opening_fields(sandbox, alpha, seed.ADMIN))
    kept = stored()
    answer = post(client, "/session/", opening_fields(sandbox, alpha, seed.MANAGER))
    assert answer.status_code == 403
    assert stored() == kept


def test_openings_are_refused_after_the_app_was_removed_and_added_by_other_means(
    client: Client, sandbox: Sandbox, alpha: Portal
) -> None:
    """Their tokens are good, but the portal is not one that our installer knows to be set up."""
    install(client, sandbox, alpha)
    models.Portal.objects.update(uninstalled_at=timezone.now())
    kept = stored()
    answer = post(client, "/session/", opening_fields(sandbox, alpha, seed.MANAGER))
    assert answer.status_code == 403
    assert stored() == kept


def test_a_person_without_access_is_told_whom_to_ask(
    client: Client, sandbox: Sandbox, alpha: Portal
) -> None:
    install(client, sandbox, alpha)
    alpha.installations[seed.OUR_CLIENT_ID].allowed_users = frozenset({seed.READER})
    kept = stored()
    answer = post(client, "/", opening_fields(sandbox, alpha, seed.MANAGER))
    assert answer.status_code == 401
    assert "administrator has limited this app" in answer.content.decode()
    assert stored() == kept


def test_an_expired_token_is_not_renewed_before_it_is_proved(
    client: Client, sandbox: Sandbox, alpha: Portal
) -> None:
    install(client, sandbox, alpha)
    fields = opening_fields(sandbox, alpha, seed.MANAGER)
    sandbox.world.advance(3601)
    kept = stored()
    sandbox.log.clear()
    assert post(client, "/session/", fields).status_code == 401
    assert [call.host for call in sandbox.log] == ["alpha.example.com"]
    assert stored() == kept


@pytest.mark.parametrize("kind", ["drop", "status500", "html502", "broken_json", "query_limit"])
def test_an_outage_proves_nothing(
    client: Client, sandbox: Sandbox, alpha: Portal, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("b24app.rest.client.pause", lambda seconds: None)
    install(client, sandbox, alpha)
    kept = stored()
    sandbox.faults.add(Fault(kind, times=None))
    answer = post(client, "/session/", opening_fields(sandbox, alpha, seed.MANAGER))
    assert answer.status_code in (429, 503, 504)
    assert stored() == kept


def test_a_portal_that_moved_is_found_through_the_oauth_server(
    client: Client, sandbox: Sandbox, alpha: Portal
) -> None:
    portal = install(client, sandbox, alpha)
    alpha.url = "https://renamed.example.com"
    models.Portal.objects.update(client_endpoint="https://beta.example.com/rest/")
    sandbox.faults.add(Fault("redirect", host="beta.example.com", url="https://evil.example.com"))
    answer = post(client, "/session/", opening_fields(sandbox, alpha, seed.MANAGER))
    assert answer.status_code == 200
    portal.refresh_from_db()
    assert portal.client_endpoint == "https://renamed.example.com/rest/"
    assert portal.domain == "renamed.example.com"


@pytest.mark.parametrize(
    "user_id, is_kept", [(seed.ADMIN, True), (seed.MANAGER, False), (seed.SETTINGS_ADMIN, False)]
)
def test_only_an_administrators_opening_changes_the_application_token(
    client: Client, sandbox: Sandbox, alpha: Portal, user_id: int, is_kept: bool
) -> None:
    portal = install(client, sandbox, alpha)
    before = portal.application_token
    fields = opening_fields(sandbox, alpha, user_id, APPLICATION_TOKEN="another")
    assert post(client, "/session/", fields).status_code == 200
    portal.refresh_from_db()
    assert portal.application_token == ("another" if is_kept else before)


def test_an_older_portal_sends_no_application_token_and_takes_none_away(
    client: Client, sandbox: Sandbox, alpha: Portal
) -> None:
    portal = install(client, sandbox, alpha)
    fields = opening_fields(sandbox, alpha, seed.ADMIN)
    for name in ("APPLICATION_TOKEN", "SERVER_ENDPOINT", "APPLICATION_SCOPE"):
        del fields[name]
    assert post(client, "/session/", fields).status_code == 200
    portal.refresh_from_db()
    assert portal.application_token


def test_another_persons_refresh_token_gives_nobodys_identity(
    client: Client, sandbox: Sandbox, alpha: Portal
) -> None:
    """The opener's AUTH_ID is genuine; REFRESH_ID is the administrator's, stolen."""
    portal = install(client, sandbox, alpha)
    stolen = sandbox.world.issue(seed.OUR_CLIENT_ID, alpha.member_id, seed.ADMIN)
    fields = opening_fields(sandbox, alpha, seed.READER, REFRESH_ID=stolen.refresh)
    assert post(client, "/session/", fields).status_code == 200
    sandbox.world.advance(3601)
    UserToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    reader = Person(portal, seed.READER, proved_at=timezone.now())
    with pytest.raises(TokenRejected):
        reader.client._credentials.access_token()
    assert not UserToken.objects.exclude(user_id=seed.READER).filter(serves_portal=False).exists()


def serving(portal: models.Portal) -> UserToken:
    return UserToken.objects.get(portal=portal, serves_portal=True)


def test_an_administrators_opening_replaces_a_broken_serving_pair(
    client: Client, sandbox: Sandbox, alpha: Portal
) -> None:
    portal = install(client, sandbox, alpha)
    post(client, "/session/", opening_fields(sandbox, alpha, seed.ADMIN))
    UserToken.objects.filter(serves_portal=True).update(failure_code="INVALID_GRANT")
    post(client, "/session/", opening_fields(sandbox, alpha, seed.MANAGER))
    assert serving(portal).failure_code
    fields = opening_fields(sandbox, alpha, seed.ADMIN)
    post(client, "/session/", fields)
    assert (serving(portal).refresh, serving(portal).failure_code) == (fields["REFRESH_ID"], "")
    # A chain is kept once, and the administrator works with it too.
    assert UserToken.objects.filter(portal=portal, user_id=seed.ADMIN).count() == 1
    admin = Person(portal, seed.ADMIN, proved_at=timezone.now())
    assert admin.client._credentials.access_token() == fields["AUTH_ID"]


def test_the_installers_own_tokens_are_not_kept_twice(
    client: Client, sandbox: Sandbox, alpha: Portal
) -> None:
    portal = install(client, sandbox, alpha)
    row = serving(portal)
    fields = opening_fields(sandbox, alpha, seed.ADMIN, AUTH_ID=row.access, REFRESH_ID=row.refresh)
    assert post(client, "/session/", fields).status_code == 200
    assert UserToken.objects.filter(portal=portal).count() == 1


WRONG_FIELDS: list[dict[str, str]] = [
    {"AUTH_ID": ""},
    {"AUTH_ID": "two words"},
    {"AUTH_ID": "x" * 2049},
    {"AUTH_ID": "нет"},
    {"AUTH_ID": "nul\x00"},
    {"REFRESH_ID": ""},
    {"member_id": ""},
    {"member_id": "' OR 1=1 --"},
    {"member_id": "a" * 65},
    {"member_id": f"{seed.ALPHA}\n"},
    {"REFRESH_ID": "nul\x00"},
    {"REFRESH_ID": "x" * 2049},
    {"member_id": "nul\x00"},
]


@pytest.mark.parametrize("path", ["/", "/session/", "/install/"])
@pytest.mark.parametrize("changes", WRONG_FIELDS, ids=lambda changes: str(changes)[:40])
def test_fields_that_no_portal_sends_are_refused_unasked(
    client: Client, sandbox: Sandbox, alpha: Portal, path: str, changes: dict[str, str]
) -> None:
    begin(sandbox, alpha)
    fields = opening_fields(sandbox, alpha, seed.ADMIN, **changes)
    answer = post(client, path, fields)
    assert answer.status_code == 400
    assert sandbox.log == []
    assert not models.Portal.objects.exists()


# Sent by portals of other versions, by proxies and by people who try things out.
ODD_TEXTS = [
    "",
    "null",
    "undefined",
    "[]",
    "0",
    "-1",
    "1.5",
    "1767225600",
    "99999999999999999999",
    "soon",
    '"text"',
    "[1]",
    "{",
    "[" * 9000,
    '{"ID":' * 2000,
    '{"ID": "\\ud800"}',
    '{"ID": ' + "9" * 5000 + "}",
    json.dumps({"ID": "9" * 20000}),
    "x" * 20000,
    "nul\x00",
    "\ufffd \u202e",
    "<script>",
    "../../etc",
    "file:///etc/passwd",
    "http://[::1/",
    "https://oauth.bitrix.info",
    "https://oauth.bitrix.info/rest/ ; junk",
    "https://unheard-of.example.com/rest/",
]
NOT_NEEDED = (
    "AUTH_EXPIRES",
    "status",
    "PLACEMENT",
    "PLACEMENT_OPTIONS",
    "APPLICATION_TOKEN",
    "APPLICATION_SCOPE",
    "SERVER_ENDPOINT",
    "unheard_of",
)


# Eight fields of this length and more make a body that is refused for its size.
LONG = 5000


@pytest.mark.parametrize("path", ["/", "/session/", "/install/"])
@pytest.mark.parametrize(
    ("names", "text"),
    [
        *(((name,), None) for name in NOT_NEEDED),
        *(((name,), "[]") for name in NOT_NEEDED),
        *((NOT_NEEDED, text) for text in ODD_TEXTS if len(text) < LONG),
        *(((name,), text) for name in NOT_NEEDED[:5] for text in ODD_TEXTS if len(text) >= LONG),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_bad_optional_field_does_not_refuse_the_opening(
    client: Client,
    sandbox: Sandbox,
    alpha: Portal,
    path: str,
    names: tuple[str, ...],
    text: str | None,
) -> None:
    install(client, sandbox, alpha)
    fields = opening_fields(sandbox, alpha, seed.ADMIN)
    for name in names:
        fields.pop(name, None)
        if text is not None:
            fields[name] = text
    sandbox.log.clear()
    answer = post(client, path, fields)
    assert answer.status_code == 200
    assert {call.host for call in sandbox.log} <= {"alpha.example.com", "oauth.bitrix.info"}
    kept = UserToken.objects.get(serves_portal=True)
    assert timedelta() < kept.expires_at - timezone.now() <= timedelta(days=1)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("", 3600), ("60", 60), ("0", 3600), ("86400", 86400), ("86401", 3600), ("1767225600", 3600)],
)
def test_a_token_lives_as_long_as_the_portal_says_or_as_usual(
    client: Client, sandbox: Sandbox, alpha: Portal, text: str, seconds: int
) -> None:
    portal = install(client, sandbox, alpha)
    fields = opening_fields(sandbox, alpha, seed.MANAGER, AUTH_EXPIRES=text)
    assert post(client, "/session/", fields).status_code == 200
    left = portal.tokens.get(user_id=seed.MANAGER).expires_at - timezone.now()
    assert abs(left.total_seconds() - seconds) < 5


@pytest.mark.parametrize("options", ["", "null", "[]", "{}", '"7"', '{"ID": null}', "[" * 9000])
def test_a_card_that_does_not_say_whose_it_is_is_refused_unasked(
    client: Client, sandbox: Sandbox, alpha: Portal, options: str
) -> None:
    install(client, sandbox, alpha)
    sandbox.log.clear()
    fields = opening_fields(
        sandbox, alpha, seed.MANAGER, PLACEMENT="CRM_DEAL_DETAIL_TAB", PLACEMENT_OPTIONS=options
    )
    assert post(client, "/", fields).status_code == 400
    assert sandbox.log == []


@pytest.mark.parametrize("path", ["/", "/session/", "/install/", "/event/"])
def test_a_body_larger_than_any_genuine_one_is_not_read(
    client: Client, sandbox: Sandbox, alpha: Portal, path: str
) -> None:
    begin(sandbox, alpha)
    fields = opening_fields(
        sandbox, alpha, seed.ADMIN, more="x" * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0)
    )
    assert post(client, path, fields).status_code == 413
    assert sandbox.log == []


@pytest.mark.parametrize("path", ["/", "/session/", "/install/", "/event/"])
@pytest.mark.parametrize(
    "body, content_type",
    [
        ("{}", "application/json"),
        ("", "application/x-www-form-urlencoded"),
        ("a=1", "application/x-www-form-urlencoded; charset=utf-16"),
        ("--x\r\nbroken", "multipart/form-data; boundary=x"),
        ("&".join(f"f{number}=1" for number in range(2000)), "application/x-www-form-urlencoded"),
    ],
    ids=["json", "empty", "utf-16", "broken multipart", "too many fields"],
)
def test_an_unreadable_body_is_a_bad_request(
    client: Client, sandbox: Sandbox, path: str, body: str, content_type: str
) -> None:
    answer = client.post(path, body, content_type=content_type)
    assert answer.status_code == 400
    assert sandbox.log == []


@pytest.mark.parametrize("text", ["1", "8061", 8061, "999999999999999999"])
def test_a_positive_id_is_a_number_or_its_text(text: Any) -> None:
    assert positive_id(text) == int(text)


@pytest.mark.parametrize(
    "text", ["0", "-1", "1.5", "", " 1", "1\n", "٣", "1" * 19, 0, -3, True, None, 1.0, [1], "0x10"]
)
def test_anything_else_is_no_id(text: Any) -> None:
    with pytest.raises(BadInput):
        positive_id(text)
