"""The frame session: whose it is, how long it lasts, and what ends it."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.core import signing
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.utils import timezone

from b24app.errors import SessionExpired
from b24app.identity import session
from b24app.identity.session import Person
from b24app.models import Portal
from sandbox.server.app import Sandbox
from sandbox.world import seed, world
from tests.b24app.portal_posts import install, opening_fields, post

pytestmark = pytest.mark.django_db


def a_person(*, proved_ago: timedelta = timedelta(0)) -> Person:
    portal = Portal.objects.create(
        member_id=seed.ALPHA,
        client_endpoint="https://alpha.example.com/rest/",
        domain="alpha.example.com",
        installed_at=timezone.now(),
    )
    return Person(portal, seed.MANAGER, proved_at=timezone.now() - proved_ago)


def carrying(value: str) -> HttpRequest:
    return RequestFactory().post("/payments/pay/", headers={session.HEADER: value})


def test_a_session_names_the_person_it_was_issued_for() -> None:
    person = a_person()
    found = session.read(carrying(session.issue(person)))
    assert (found.portal, found.user_id) == (person.portal, person.user_id)
    assert abs(found.proved_at - person.proved_at) < timedelta(seconds=1)


def test_a_form_field_carries_it_too() -> None:
    value = session.issue(a_person())
    request = RequestFactory().post("/payments/pay/", {session.FIELD: value})
    assert session.read(request).user_id == seed.MANAGER


@pytest.mark.parametrize(
    "request_with",
    [
        lambda value: RequestFactory().get("/", {session.FIELD: value}),
        lambda value: RequestFactory().get(f"/?{session.HEADER}={value}"),
        lambda value: RequestFactory().post(f"/?{session.FIELD}={value}"),
        lambda value: RequestFactory(HTTP_COOKIE=f"{session.FIELD}={value}").post("/"),
        lambda value: RequestFactory().post("/"),
    ],
    ids=["query of GET", "header's name in the query", "query of POST", "cookie", "nowhere"],
)
def test_no_address_and_no_cookie_carries_it(request_with: object) -> None:
    assert callable(request_with)
    with pytest.raises(SessionExpired):
        session.read(request_with(session.issue(a_person())))


def test_a_changed_value_is_nobodys() -> None:
    value = session.issue(a_person())
    content, signature = value.rsplit(":", 1)
    other = "A" if content[-1] != "A" else "B"
    for forged in (
        f"{content[:-1]}{other}:{signature}",
        f"{content}:{signature[:-1]}",
        content,
        "nonsense",
        "x" * (session.MAX_LENGTH + 1),
        signing.dumps([1, seed.ADMIN, 0, 0, 0]),
        signing.Signer(salt="another purpose").sign_object([1, seed.ADMIN, 0, 0, 0]),
    ):
        with pytest.raises(SessionExpired):
            session.read(carrying(forged))


def test_it_lasts_an_hour() -> None:
    person = a_person(proved_ago=timedelta(hours=2))
    nearly, over = timedelta(minutes=59), timedelta(minutes=60, seconds=1)
    found = session.read(carrying(session.sign(person, issued_at=timezone.now() - nearly)))
    assert found.user_id == person.user_id
    with pytest.raises(SessionExpired):
        session.read(carrying(session.sign(person, issued_at=timezone.now() - over)))


def test_renewal_ends_twelve_hours_after_the_proof() -> None:
    person = a_person(proved_ago=timedelta(hours=12))
    with pytest.raises(SessionExpired):
        session.read(carrying(session.issue(person)))


@pytest.mark.parametrize(
    ("issued_ago", "proved_ago"),
    [
        (session.LIFETIME, session.LIFETIME),
        (timedelta(0), session.ABSOLUTE_LIFETIME),
    ],
    ids=["issued", "proved"],
)
def test_it_ends_with_the_exact_second(issued_ago: timedelta, proved_ago: timedelta) -> None:
    now = timezone.now().replace(microsecond=0)
    with time_machine.travel(now, tick=False) as clock:
        person = a_person(proved_ago=proved_ago)
        value = session.sign(person, issued_at=now - issued_ago)
        clock.shift(timedelta(seconds=-1))
        assert session.read(carrying(value)).user_id == person.user_id
        clock.shift(timedelta(seconds=1))
        with pytest.raises(SessionExpired, match="too old"):
            session.read(carrying(value))


def test_a_portal_ends_its_sessions_by_a_new_generation() -> None:
    person = a_person()
    value = session.issue(person)
    Portal.objects.update(session_generation=1)
    with pytest.raises(SessionExpired):
        session.read(carrying(value))


def test_an_uninstalled_portal_has_no_sessions() -> None:
    value = session.issue(a_person())
    Portal.objects.update(uninstalled_at=timezone.now())
    with pytest.raises(SessionExpired):
        session.read(carrying(value))


@pytest.mark.parametrize("age, is_renewed", [(9, False), (11, True)])
def test_a_response_renews_a_session_that_gets_old(
    client: Client, sandbox: Sandbox, alpha: world.Portal, age: int, is_renewed: bool
) -> None:
    portal = install(client, sandbox, alpha)
    person = Person(portal, seed.ADMIN, proved_at=timezone.now() - timedelta(hours=1))
    old = session.sign(person, issued_at=timezone.now() - timedelta(minutes=age))
    answer = client.post("/install/finish/", headers={session.HEADER: old})
    assert answer.status_code == 200
    assert (session.HEADER in answer) is is_renewed
    if is_renewed:
        fresh = session.read(carrying(answer[session.HEADER]))
        assert abs(fresh.proved_at - person.proved_at) < timedelta(seconds=1)


def test_an_expired_tab_reopens_with_the_tokens_that_its_portal_gives_it(
    client: Client, sandbox: Sandbox, alpha: world.Portal
) -> None:
    install(client, sandbox, alpha)
    answer = post(client, "/session/", opening_fields(sandbox, alpha, seed.MANAGER))
    assert answer.status_code == 200
    assert session.read(carrying(answer.json()["session"])).user_id == seed.MANAGER


def test_a_missing_session_is_json_where_programs_read_it(client: Client) -> None:
    answer = client.post("/install/finish/")
    assert answer.status_code == 401
    assert answer.json()["error"] == "session_expired"
    assert "Reopen" in answer.json()["sentence"]
