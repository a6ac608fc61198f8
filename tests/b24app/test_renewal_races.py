"""Many processes and one chain: it is renewed once, and a process that dies costs at most
the next opening."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from b24app import models
from b24app.errors import ChainBroken
from b24app.tokens import store
from b24app.tokens.clients import user_client
from b24app.tokens.proof import PROFILE
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.b24app.portal_posts import opening_fields, post
from tests.b24app.ported import ported_sandbox, renewing_process
from tests.b24app.rows import calls, expire, installed, pair_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes]

PROCESSES, THREADS = 4, 10


@pytest.fixture
def ported(settings: Settings) -> Iterator[Sandbox]:
    with ported_sandbox() as sandbox:
        settings.B24_OAUTH_URL = sandbox.world.oauth_url
        yield sandbox


@pytest.fixture
def there(ported: Sandbox) -> Portal:
    return ported.world.portals[seed.ALPHA]


def kept_expired(sandbox: Sandbox, there: Portal, *, ahead: timedelta) -> models.UserToken:
    """Returns the manager's pair with an expired token; by the app's clock it has `ahead` to go."""
    pair = pair_of(sandbox, there, seed.MANAGER, expires_in=ahead)
    expire(sandbox, pair.access)
    return store.store_user_pair(installed(sandbox, there), pair)


def ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


@pytest.mark.parametrize(
    "ahead", [timedelta(hours=1), timedelta(hours=-1)], ids=["told by the portal", "known"]
)
def test_forty_threads_in_four_processes_renew_once(
    ported: Sandbox, there: Portal, ahead: timedelta
) -> None:
    there.bucket_size = 1000  # its limit of requests is not what this is about
    kept_expired(ported, there, ahead=ahead)
    ported.faults.add(Fault("delay", "oauth.token", seconds=0.2, times=None))

    with ExitStack() as stack:
        processes = [
            stack.enter_context(renewing_process(ported, threads=THREADS)) for _ in range(PROCESSES)
        ]
        for process in processes:
            ready(process)
        for process in processes:
            go(process)
        answers = [
            answer for process in processes for answer in json.loads(process.communicate()[0])
        ]

    assert answers == [str(seed.MANAGER)] * (PROCESSES * THREADS)
    assert calls(ported, "oauth.token") == 1
    kept = models.UserToken.objects.get()
    assert not ported.world.tokens[kept.access].revoked


def test_a_process_killed_with_the_new_pair_in_its_hands(
    client: Client, ported: Sandbox, there: Portal
) -> None:
    """The pair is lost, for the server has spent the old one; the next opening brings another."""
    row = kept_expired(ported, there, ahead=timedelta(hours=-1))
    with renewing_process(ported, dies=True) as process:
        ready(process)
        go(process)
        assert process.wait() == -signal.SIGKILL
    assert calls(ported, "oauth.token") == 1
    kept = models.UserToken.objects.get()
    assert (kept.access, kept.refresh, kept.failure_code) == (row.access, row.refresh, "")

    portal = models.Portal.objects.get()
    for _ in range(2):
        with pytest.raises(ChainBroken) as told:
            user_client(portal, seed.MANAGER).read(PROFILE)
        assert "open it again" in str(told.value.sentence)
    # Asked once, and not again.
    assert calls(ported, "oauth.token") == 2
    assert models.UserToken.objects.get().failure_code == "invalid_grant"

    answer = post(client, "/session/", opening_fields(ported, there, seed.MANAGER))
    assert answer.status_code == 200
    assert user_client(portal, seed.MANAGER).read(PROFILE).user_id == seed.MANAGER
    renewed = models.UserToken.objects.get()
    assert renewed.failure_code == ""
    assert renewed.expires_at > timezone.now()


def test_a_server_that_takes_a_spent_refresh_token_again_loses_no_pair(
    ported: Sandbox, there: Portal
) -> None:
    """The documentation does not say whether it does; the app sends one twice only if it must."""
    ported.world.refresh_once = False
    kept_expired(ported, there, ahead=timedelta(hours=-1))
    with renewing_process(ported, dies=True) as process:
        ready(process)
        go(process)
        assert process.wait() == -signal.SIGKILL

    client = user_client(models.Portal.objects.get(), seed.MANAGER)
    assert client.read(PROFILE).user_id == seed.MANAGER
    assert calls(ported, "oauth.token") == 2
    assert models.UserToken.objects.get().failure_code == ""
