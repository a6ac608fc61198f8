"""The admin's sign-in when passwords are guessed, and its lists under odd addresses."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from axes.models import AccessAttempt
from django.conf import settings as configured
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from b24app import models
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.b24app.portal_posts import install, opening_fields, post
from tests.b24app.test_admin import NAME, PASSWORD, TABLES, admin, kept

__all__ = ["admin", "kept"]

pytestmark = pytest.mark.django_db

LIMIT = configured.AXES_FAILURE_LIMIT


@pytest.fixture
def publisher() -> User:
    return User.objects.create_superuser(NAME, password=PASSWORD)


def sign_in(password: str, *, name: str = NAME, network: str = "192.0.2.7", path: str = "") -> Any:
    """Signs in with a new browser each time, so that no cookie counts."""
    return Client().post(
        f"/admin/login/{path}",
        {"username": name, "password": password},
        secure=True,
        headers={"x-forwarded-for": network},
    )


def test_after_some_wrong_passwords_none_is_tried(publisher: User) -> None:
    answers = [sign_in(f"guess {number}") for number in range(LIMIT + 5)]
    assert [answer.status_code for answer in answers[: LIMIT - 1]] == [200] * (LIMIT - 1)
    assert {answer.status_code for answer in answers[LIMIT - 1 :]} == {429}
    told = sign_in(PASSWORD)
    assert told.status_code == 429
    assert "Too many wrong passwords. Try again in 15 minutes." in told.content.decode()
    assert told["Retry-After"] == "900"
    assert not told.cookies
    assert "frame-ancestors 'none'" in told["Content-Security-Policy"]


def test_the_lock_ends_by_itself_although_it_is_tried_meanwhile(publisher: User) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for number in range(LIMIT):
            sign_in(f"guess {number}")
        for _ in range(3):
            clock.shift(timedelta(minutes=4))
            assert sign_in("guess").status_code == 429
        clock.shift(timedelta(minutes=4))
        assert sign_in(PASSWORD).status_code == 302


def test_the_owner_elsewhere_and_other_names_are_not_locked(publisher: User) -> None:
    User.objects.create_superuser("second", password=PASSWORD)
    for number in range(LIMIT + 1):
        sign_in(f"guess {number}")
    assert sign_in(PASSWORD, network="198.51.100.1").status_code == 302
    assert sign_in(PASSWORD, name="second").status_code == 302


def test_an_address_that_the_guesser_makes_up_does_not_count(publisher: User) -> None:
    """The proxy appends what it saw: all before that comes from the client."""
    for number in range(LIMIT):
        sign_in(f"guess {number}", network=f"203.0.113.{number}, 192.0.2.7")
    assert sign_in(PASSWORD, network="203.0.113.200, 192.0.2.7").status_code == 429


def test_another_address_of_the_same_ipv6_customer_does_not_count(publisher: User) -> None:
    for number in range(LIMIT):
        sign_in(f"guess {number}", network=f"2001:db8:1:2::{number + 1}")
    assert sign_in(PASSWORD, network="2001:db8:1:2:ffff::1").status_code == 429
    assert sign_in(PASSWORD, network="2001:db8:1:3::1").status_code == 302


def test_a_right_password_forgets_the_wrong_ones(publisher: User) -> None:
    for _ in range(2):
        for number in range(LIMIT - 1):
            assert sign_in(f"guess {number}").status_code == 200
        assert sign_in(PASSWORD).status_code == 302


@pytest.mark.parametrize(
    "path", ["?next=/admin/%00", "?%00=1", "?next=" + "x" * 5000, "?a=%ff", "?next=//evil"]
)
def test_odd_sign_ins_are_not_internal_errors(publisher: User, path: str) -> None:
    for name in (NAME, "nul\x00", "x" * 500, "\u202e", ""):
        assert sign_in("guess", name=name, path=path).status_code in (200, 400, 429)
    answer = Client().post(
        "/admin/login/",
        {"username": NAME, "password": "guess"},
        secure=True,
        headers={"user-agent": "nul\x00", "accept": "x" * 3000, "x-forwarded-for": "nul\x00"},
    )
    assert answer.status_code in (200, 400, 429)


def test_no_password_is_kept_and_what_is_kept_goes(publisher: User) -> None:
    sign_in("a secret guess")
    attempt = AccessAttempt.objects.values().get()
    assert "a secret guess" not in str(attempt)
    call_command("prune")
    assert AccessAttempt.objects.exists()
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(days=31))
    call_command("prune")
    assert not AccessAttempt.objects.exists()


def test_frames_know_nothing_of_it(
    client: Client, sandbox: Sandbox, alpha: Portal, publisher: User
) -> None:
    for number in range(LIMIT + 1):
        sign_in(f"guess {number}", network="127.0.0.1")
    install(client, sandbox, alpha)
    answer = post(client, "/", opening_fields(sandbox, alpha, seed.MANAGER))
    assert answer.status_code == 200
    assert not answer.cookies


QUERIES = [
    "x=y",
    "e=1",
    "e=1&x=y",
    "p=abc",
    "p=-1",
    "p=" + "9" * 400,
    "all=",
    "o=1.2.3",
    "o=-99.abc",
    "q=%00",
    "q=%ff",
    "q=" + "a" * 3000,
    "_facets=1",
    "_facets=True&x=y",
    "_popup=1",
    "_to_field=x",
    "status=abc",
    "status__exact=" + "9" * 30,
    "status__in=",
    "status__exact=1&status__exact=2",
    "at__year=abc",
    "at__year=" + "9" * 30,
    "at__gte=0000-00-00",
    "at__gte=9999-12-31+23:59:59%2B00:00",
    "at__lt=0001-01-01+00:00:00%2B14:00",
    "at__gte=%00",
    "at__month=13",
    "created_at__gte=x&created_at__lt=y",
    "installed_at__isnull=maybe",
    "handled_at__isempty=x",
    "portal=abc",
    "portal__member_id=x",
    "portal__application_token=x",
    "portal__tokens__access=1",
    "method=%00",
    "method__exact=%00",
    "method__regex=[",
    "method__iregex=((((a*)*)*)*)*$",
    "state__exact=%00",
    "state__regex=(",
    "currency__exact=%00",
    "event__exact=%00",
    "event__regex=[",
    "language__regex=[",
    "reason__exact=" + "x" * 3000,
    "id__in=a,b",
    "id__exact=%00",
    "pk=" + "9" * 30,
    "%00=1",
    "__=1",
    "=1",
    "asked__x=1",
    "asked=%00",
    "asked__contains=%00",
    "evidence__x=1",
]


LISTS = [*TABLES, "payments/entry", "payments/approval", "payments/policy"]


def test_every_list_is_tried_below(admin: Client) -> None:
    index = admin.get("/admin/", secure=True).content.decode()
    assert set(re.findall(r'href="/admin/(\w+/\w+)/"', index)) == set(LISTS)


@pytest.mark.parametrize("name", LISTS)
def test_no_address_of_a_list_is_an_internal_error(
    admin: Client, kept: models.Portal, sandbox: Sandbox, name: str
) -> None:
    admin.raise_request_exception = False
    faults = []
    for query in QUERIES:
        answer = admin.get(f"/admin/{name}/?{query}", secure=True, follow=True)
        if answer.status_code >= 500:
            faults.append(query)
    assert faults == []


def test_no_address_of_a_row_is_an_internal_error(admin: Client, kept: models.Portal) -> None:
    admin.raise_request_exception = False
    faults = []
    for name, table in TABLES.items():
        first = table.objects.values_list("pk", flat=True).first()
        for pk in (first, "abc", "%00", "9" * 30, "-1", "_00", "%FF"):
            for page in ("change", "history", "delete", "x"):
                for query in ("", "?_changelist_filters=%00", "?_to_field=%00&p=abc&_popup=1"):
                    path = f"/admin/{name}/{pk}/{page}/{query}"
                    if admin.get(path, secure=True, follow=True).status_code >= 500:
                        faults.append(path)
    names = ("", "login/", "logout/", "password_change/", "jsi18n/", "autocomplete/", "r/1/%00/")
    queries = ("", "?x=y", "?next=%00", "?term=%00&app_label=x", "?p=abc")
    others = [f"/admin/{name}{query}" for name in names for query in queries]
    faults += [
        path for path in others if admin.get(path, secure=True, follow=True).status_code >= 500
    ]
    assert faults == []
