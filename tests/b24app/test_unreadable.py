"""Requests that cannot be read, at every address: a 4xx, and one line in the log."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings as configured
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import UnreadablePostError
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from pytest_django import Settings

from b24app.identity import session
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.b24app.portal_posts import FORM, install, opening_fields, session_of, stored

pytestmark = pytest.mark.django_db

MULTIPART = "multipart/form-data; boundary=x"
# Far below the real bound, because a parser takes milliseconds for a thousand parts.
FIELDS_AT_ONCE = 20


def addresses() -> Iterator[str]:
    """Returns every address of the app, with a value for each part that varies."""
    for pattern in _patterns("", get_resolver().url_patterns):
        path = re.sub(r"<int:\w+>", "1", pattern)
        path = re.sub(r"<(path|str):\w+>|<\w+>", "x", path)
        if not re.search(r"[(^\\?]", path):
            yield f"/{path}"


def _patterns(before: str, patterns: list[Any]) -> Iterator[str]:
    for pattern in patterns:
        here = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _patterns(here, pattern.url_patterns)
        elif isinstance(pattern, URLPattern):
            yield here


ADDRESSES = sorted(set(addresses()))


def part(headers: str, body: str = "1") -> str:
    return f"--x\r\n{headers}\r\n\r\n{body}\r\n--x--\r\n"


# Django's parser raises for each of these, by one of six exceptions.
UNREADABLE: dict[str, tuple[bytes, str]] = {
    "multipart without a boundary": (b"--x", "multipart/form-data"),
    "multipart, a boundary of odd letters": (b"--x", "multipart/form-data; boundary=\xe9"),
    "too many fields": (
        "&".join(f"f{number}=1" for number in range(FIELDS_AT_ONCE + 1)).encode(),
        FORM,
    ),
    "too many parts": (
        b"".join(
            b'--x\r\nContent-Disposition: form-data; name="f"\r\n\r\n1\r\n'
            for _ in range(FIELDS_AT_ONCE + 1)
        )
        + b"--x--\r\n",
        MULTIPART,
    ),
    "utf-16": (b"a=1", f"{FORM}; charset=utf-16"),
    "20 MB": (b"a=" + b"x" * (20 * 1024 * 1024), FORM),
    "a file of 20 MB": (
        part('Content-Disposition: form-data; name="a"; filename="a"', "x" * 20_000_000).encode(),
        MULTIPART,
    ),
}


# Django makes something of these, so it is for the view to miss what it needs.
SLOPPY: dict[str, tuple[bytes, str]] = {
    "multipart without an end": (b"--x\r\nbroken", MULTIPART),
    "multipart, an unknown charset": (
        part("Content-Disposition: form-data; name*=unheard-of''offer").encode(),
        MULTIPART,
    ),
    "multipart, broken base64": (
        part(
            'Content-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: base64', "!"
        ).encode(),
        MULTIPART,
    ),
}


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.WARNING)
    return caplog


@pytest.fixture
def frame(client: Client, sandbox: Sandbox, alpha: Portal) -> dict[str, str]:
    """Returns the header of an administrator's page."""
    install(client, sandbox, alpha)
    value = session_of(client, sandbox, alpha, seed.ADMIN)
    sandbox.log.clear()
    return {session.HEADER: value}


def told_once(lines: pytest.LogCaptureFixture) -> str:
    """Returns the only line in the log; it has no traceback and is below ERROR."""
    found = [record for record in lines.records if record.levelno >= logging.WARNING]
    assert len(found) == 1, [record.getMessage() for record in found]
    assert not found[0].exc_info
    assert found[0].levelno == logging.WARNING
    text = found[0].getMessage()
    assert "\n" not in text
    lines.clear()
    return text


@pytest.mark.parametrize("kind", UNREADABLE)
def test_a_body_that_cannot_be_read_is_refused_everywhere(
    sandbox: Sandbox,
    frame: dict[str, str],
    lines: pytest.LogCaptureFixture,
    settings: Settings,
    kind: str,
) -> None:
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = FIELDS_AT_ONCE
    body, content_type = UNREADABLE[kind]
    browser = Client(raise_request_exception=False)
    kept = stored()
    lines.clear()
    for path in ADDRESSES:
        answer = browser.generic("POST", path, body, content_type, headers=frame)
        # The form of ticked payments tells its own bound, whatever its length.
        tells_its_bound = path == reverse("payments:bulk_dry_run") and content_type == FORM
        is_large = "20 MB" in kind and not tells_its_bound
        assert answer.status_code == (413 if is_large else 400), path
        line = told_once(lines)
        assert path in line or "bulk_dry_run" in line
        assert "Nothing was done" in answer.content.decode() or path.startswith("/admin")
        assert "frame-ancestors" in answer["Content-Security-Policy"]
    assert sandbox.log == []
    assert stored() == kept


@pytest.mark.parametrize("kind", SLOPPY)
def test_a_sloppy_body_is_not_an_internal_error(
    sandbox: Sandbox, frame: dict[str, str], lines: pytest.LogCaptureFixture, kind: str
) -> None:
    browser = Client(raise_request_exception=False)
    lines.clear()
    for path in ADDRESSES:
        answer = browser.generic("POST", path, *SLOPPY[kind], headers=frame)
        assert answer.status_code < 500, path
        if answer.streaming:  # An export holds the portal's one place until it is read.
            b"".join(answer)
        if answer.status_code >= 400:
            told_once(lines)
        lines.clear()


@pytest.mark.parametrize("length", ["abc", "-1", "1e3", "9" * 400, "\u0663", ""])
def test_an_odd_length_is_a_clear_answer(
    sandbox: Sandbox, frame: dict[str, str], lines: pytest.LogCaptureFixture, length: str
) -> None:
    browser = Client(raise_request_exception=False)
    lines.clear()
    for path in ("/", "/session/", "/install/", "/event/", "/payments/pay/", "/payments/runs/new/"):
        answer = browser.generic(
            "POST", path, b"", FORM, headers=frame, CONTENT_LENGTH=length, HTTP_HX_REQUEST="true"
        )
        assert answer.status_code in (400, 413), path
        told_once(lines)
    assert sandbox.log == []


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW", "GET"])
def test_a_wrong_method_is_logged_in_one_line(
    sandbox: Sandbox, frame: dict[str, str], lines: pytest.LogCaptureFixture, method: str
) -> None:
    browser = Client(raise_request_exception=False)
    lines.clear()
    for path in ADDRESSES:
        if path.startswith("/admin/") or (method in ("GET", "OPTIONS") and "payments" in path):
            continue
        answer = browser.generic(method, path, b"a=1", FORM, headers=frame)
        assert answer.status_code < 500, path
        if answer.status_code >= 400:
            told_once(lines)
        lines.clear()


@pytest.mark.parametrize(
    "query", ["&".join(f"f{number}" for number in range(2000)), "a=%FF", "%00=%00", "LANG=%00"]
)
def test_an_odd_query_is_a_clear_answer(lines: pytest.LogCaptureFixture, query: str) -> None:
    browser = Client(raise_request_exception=False)
    for path in ADDRESSES:
        answer = browser.get(f"{path}?{query}")
        assert answer.status_code < 500, path
        if answer.status_code >= 400:
            told_once(lines)
        lines.clear()


@pytest.mark.parametrize("host", ["evil.example.com", "a b", "*", "[::1", "x" * 300])
def test_an_unknown_host_is_logged_in_one_line(lines: pytest.LogCaptureFixture, host: str) -> None:
    browser = Client(raise_request_exception=False)
    for path in ("/", "/healthz/", "/admin/login/", "/payments/", "/nowhere/"):
        assert browser.get(path, headers={"host": host}).status_code == 400
        told_once(lines)


FIELDS = {
    "offer",
    "offers",
    "pay_system_id",
    "note",
    "q",
    "before",
    "attempt",
    "attempt_id",
    "repair",
    "name",
    "code",
    "payment",
    "approval",
    "frame_session",
    "since",
    "until",
    "state",
    "person",
    "answer",
    "max_sum",
    *(opening_fields.__kwdefaults__ or {}),
}


@pytest.mark.parametrize(
    ("text", "content_type"),
    [
        (b"%00", FORM),
        (b"%FF%FE", FORM),
        (b"\xff\xfe", FORM),
        (b"%ED%A0%80", FORM),
        (b"1%00", FORM),
        (b"7", "text/plain"),
        (b"7", "application/json"),
        (b"7", ""),
        (b"7", "nonsense"),
        (b"7", "application/x-www-form-urlencoded; charset=unheard-of"),
        (b"x" * ((configured.DATA_UPLOAD_MAX_MEMORY_SIZE or 0) // 20), FORM),
    ],
)
def test_odd_bytes_in_every_field_are_not_internal_errors(
    client: Client,
    sandbox: Sandbox,
    alpha: Portal,
    frame: dict[str, str],
    lines: pytest.LogCaptureFixture,
    text: bytes,
    content_type: str,
) -> None:
    browser = Client(raise_request_exception=False)
    names = FIELDS | set(opening_fields(sandbox, alpha, seed.ADMIN))
    names |= {f"auth[{name}]" for name in ("member_id", "application_token", "access_token")}
    names |= {"event", "ts", "data[FIELDS][ID]", "username", "password"}
    body = b"&".join(name.encode() + b"=" + text for name in sorted(names))
    lines.clear()
    for path in ADDRESSES:
        answer = browser.generic("POST", path, body, content_type, headers=frame)
        assert answer.status_code < 500, path
        if answer.streaming:  # An export holds the portal's one place until it is read.
            b"".join(answer)
        if answer.status_code >= 400:
            told_once(lines)
        lines.clear()


@pytest.mark.parametrize("error", [SuspiciousOperation, PermissionDenied, UnreadablePostError])
def test_what_a_view_finds_wrong_with_a_request_is_one_line_as_well(
    lines: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def fails(*args: object) -> None:
        raise error("one\nand two")

    monkeypatch.setattr("b24app.events.views.events.receive", fails)
    answer = Client(raise_request_exception=False).post("/event/", {"a": "1"})
    assert answer.status_code == (403 if error is PermissionDenied else 400)
    assert answer.json()["error"] in ("bad_request", "forbidden")
    assert "/event/" in told_once(lines)


def test_a_fault_of_our_own_keeps_its_traceback(
    lines: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*args: object) -> None:
        raise ValueError("ours")

    monkeypatch.setattr("b24app.events.views.events.receive", fails)
    assert Client(raise_request_exception=False).post("/event/", {"a": "1"}).status_code == 500
    assert [record.levelname for record in lines.records if record.exc_info] == ["ERROR"]


def test_a_sender_who_hangs_up_is_one_line(lines: pytest.LogCaptureFixture) -> None:
    class Gone:
        def read(self, *args: object) -> bytes:
            raise OSError("gone")

        readline = read

    browser = Client(raise_request_exception=False)
    extra: dict[str, Any] = {"wsgi.input": Gone(), "CONTENT_LENGTH": "100"}
    for content_type in (FORM, MULTIPART):
        answer = browser.generic("POST", "/event/", b"x", content_type, **extra)
        assert answer.status_code == 400
        assert "UnreadablePostError" in told_once(lines)
