"""Which payments were ticked: too many are refused with a message."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.test.utils import override_settings

from payments.models import MOST_PAYMENTS, Run
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.payments import stage
from tests.payments.frames import Frame, text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def frame(client: Client, sandbox: Sandbox, alpha: Portal) -> Frame:
    stage.install(sandbox, alpha)
    return Frame(client, sandbox, alpha, seed.MANAGER)


def post(frame: Frame, path: str, fields: dict[str, Any], *, headers: dict[str, str]) -> Any:
    """As htmx encodes a form."""
    body = urlencode(fields, doseq=True)
    form = "application/x-www-form-urlencoded"
    return frame.client.post(path, body, content_type=form, headers=headers)


# Beyond the app's bound, Django's bound of fields, and the app's and Django's bounds of a body.
@pytest.mark.parametrize("count", [MOST_PAYMENTS + 1, 1_001, 10_000, 100_000, 200_000])
def test_too_many_ticked_payments_are_refused_with_the_bound(
    sandbox: Sandbox, frame: Frame, count: int
) -> None:
    since = len(sandbox.log)

    ids = list(range(1, count + 1))

    answer = post(frame, "/payments/runs/new/", {"payment": ids}, headers=frame.headers())

    assert f"At most {MOST_PAYMENTS} payments at once." in text_of(answer, 400)
    assert len(sandbox.log) == since
    assert not Run.objects.exists()


def test_as_many_as_allowed_fit_into_the_request(frame: Frame) -> None:
    longest = 10**18 - 1
    ids = range(longest - MOST_PAYMENTS + 1, longest + 1)

    fields = {"payment": list(ids), "q": "1" * 100}

    text_of(post(frame, "/payments/runs/new/", fields, headers=frame.headers()))

    assert Run.objects.get().missing == MOST_PAYMENTS


@pytest.mark.parametrize("path", ["/payments/pay/", "/payments/history/export/", "/payments/mark/"])
@pytest.mark.parametrize("with_header", [True, False])
def test_any_form_with_too_many_fields_is_refused_in_words(
    frame: Frame, path: str, with_header: bool
) -> None:
    fields = {f"field{number}": "x" for number in range(1_001)}
    headers = frame.headers() if with_header else {"hx-request": "true"}

    answer = post(frame, path, fields, headers=headers)

    assert "more fields than the app reads" in text_of(answer, 400)


@override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=1_000)
def test_a_form_that_is_too_long_is_refused_in_words(frame: Frame) -> None:
    answer = post(frame, "/payments/pay/", {"offer": "x" * 2_000}, headers=frame.headers())

    assert "This request is too large. Nothing was done." in text_of(answer, 413)
