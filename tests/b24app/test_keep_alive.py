"""`manage.py keep_tokens`: which pairs are renewed, which are not, and which errors end it."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from b24app import models
from b24app.tokens import keep_alive, store
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.installing import begin_installation
from sandbox.world.world import Portal
from tests.b24app.rows import calls, installed, pair_of

pytestmark = pytest.mark.django_db(transaction=True)

DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    taken: list[float] = []
    monkeypatch.setattr(keep_alive, "pause", taken.append)
    return taken


def aged(row: models.UserToken, age: timedelta) -> models.UserToken:
    row.refreshed_at = timezone.now() - age
    row.save()
    return row


@pytest.fixture
def row(sandbox: Sandbox, alpha: Portal) -> models.UserToken:
    """The pair that serves a portal that was not opened for 179 days."""
    portal = installed(sandbox, alpha)
    return aged(store.store_portal_pair(portal, pair_of(sandbox, alpha, seed.ADMIN)), 179 * DAY)


def idle_portals(sandbox: Sandbox, alpha: Portal, count: int) -> list[models.UserToken]:
    """More rows of the same kind, each a chain of its own; the sandbox has fewer portals than rows,
    so that they are all alpha's chain under portals of their own, and of the same moment."""
    now = timezone.now()
    found = models.Portal.objects.bulk_create(
        models.Portal(
            member_id=f"{number:032}",
            client_endpoint="https://alpha.example.com/rest/",
            domain=f"{number}.example.com",
            installed_at=timezone.now(),
        )
        for number in range(count)
    )
    pair = pair_of(sandbox, alpha, seed.ADMIN)
    return models.UserToken.objects.bulk_create(
        models.UserToken(
            portal=portal,
            user_id=seed.ADMIN,
            serves_portal=True,
            access=pair.access,
            refresh=pair.refresh,
            expires_at=timezone.now(),
            refreshed_at=now - 179 * DAY,
        )
        for portal in found
    )


def keep_tokens(**options: Any) -> str:
    output = StringIO()
    call_command("keep_tokens", stdout=output, **options)
    return output.getvalue()


def test_a_chain_in_its_last_days_is_renewed(sandbox: Sandbox, row: models.UserToken) -> None:
    assert keep_tokens() == "Renewed 1, failed 0.\n"

    kept = models.UserToken.objects.get()
    assert kept.refresh != row.refresh
    assert timezone.now() - kept.refreshed_at < DAY
    assert kept.access in sandbox.world.tokens
    assert keep_tokens() == "Renewed 0, failed 0.\n"
    assert calls(sandbox, "oauth.token") == 1


@pytest.mark.parametrize("age", [timedelta(0), 169 * DAY, 181 * DAY], ids=str)
def test_no_other_chain_is(sandbox: Sandbox, row: models.UserToken, age: timedelta) -> None:
    aged(row, age)
    assert keep_tokens() == "Renewed 0, failed 0.\n"
    assert sandbox.log == []


def test_unused_pairs_are_left_alone(
    sandbox: Sandbox, alpha: Portal, row: models.UserToken
) -> None:
    own = store.store_user_pair(row.portal, pair_of(sandbox, alpha, seed.MANAGER))
    aged(own, 179 * DAY)
    models.UserToken.objects.filter(pk=row.pk).update(failure_code="invalid_grant")
    assert keep_tokens() == "Renewed 0, failed 0.\n"

    models.UserToken.objects.filter(pk=row.pk).update(failure_code="")
    for change in ({"uninstalled_at": timezone.now()}, {"installed_at": None}):
        before = models.Portal.objects.values(*change).get()
        models.Portal.objects.update(**change)
        assert keep_tokens() == "Renewed 0, failed 0.\n"
        models.Portal.objects.update(**before)
    assert sandbox.log == []


def test_one_broken_portal_does_not_stop_the_others(
    sandbox: Sandbox, beta: Portal, row: models.UserToken
) -> None:
    begin_installation(sandbox.world, beta, seed.OUR_CLIENT_ID)
    other = models.Portal.objects.create(
        member_id=beta.member_id, domain="beta.example.com", installed_at=timezone.now()
    )
    aged(store.store_portal_pair(other, pair_of(sandbox, beta, seed.ADMIN)), 178 * DAY)
    sandbox.world.portals[seed.ALPHA].installations[seed.OUR_CLIENT_ID].removed = True

    told = keep_tokens()

    assert "alpha.example.com: not renewed: NOT_INSTALLED" in told
    assert "Renewed 1, failed 1." in told
    assert models.UserToken.objects.get(portal=row.portal).failure_code == "NOT_INSTALLED"


def test_a_row_that_no_key_opens_does_not_stop_the_others(
    sandbox: Sandbox, alpha: Portal, row: models.UserToken, settings: Settings
) -> None:
    readable, key = settings.B24_TOKEN_KEYS, "bG9zdC1sb3N0LWxvc3QtbG9zdC1sb3N0LWxvc3QtMDE="
    settings.B24_TOKEN_KEYS = [key]
    (unreadable,) = idle_portals(sandbox, alpha, 1)
    models.UserToken.objects.filter(pk=unreadable.pk).update(
        refreshed_at=timezone.now() - 179 * DAY - timedelta(hours=1)
    )
    settings.B24_TOKEN_KEYS = readable

    told = keep_tokens()

    assert "0.example.com: not renewed: No key in B24_TOKEN_KEYS" in told
    assert "Renewed 1, failed 1." in told


def test_a_dead_server_is_not_asked_for_each_portal(sandbox: Sandbox, alpha: Portal) -> None:
    installed(sandbox, alpha)
    idle_portals(sandbox, alpha, 20)
    sandbox.faults.add(Fault("html502", "oauth.token", times=None))

    with pytest.raises(CommandError, match="5 failures in a row"):
        keep_tokens()
    assert calls(sandbox, "oauth.token") == keep_alive.FAILURES_IN_A_ROW


def test_a_run_has_a_cap_and_begins_with_the_oldest(
    sandbox: Sandbox, alpha: Portal, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    rows = idle_portals(sandbox, alpha, 12)
    for number, row in enumerate(rows):
        aged(row, 179 * DAY - timedelta(minutes=number))
    monkeypatch.setattr(keep_alive, "CHUNK", 3)
    tried: list[int] = []
    monkeypatch.setattr(keep_alive, "_renew_one", lambda pk: tried.append(pk))

    keep_tokens(at_most=8)

    assert tried == [row.pk for row in rows[:8]]
    # One after another, and never in step with another machine's.
    assert len(pauses) == len(tried) - 1
    assert len(set(pauses)) > 1
    assert all(keep_alive.PAUSE * 0.5 <= taken <= keep_alive.PAUSE * 1.5 for taken in pauses)


def test_portals_of_one_day_are_renewed_on_different_days(
    sandbox: Sandbox, alpha: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All installed the app in the same minute. None waits until there is no day left to fail."""
    rows = idle_portals(sandbox, alpha, 200)
    first_day = keep_alive.LIFETIME - keep_alive.LAST_DAYS
    tried: set[int] = set()
    counts = []
    monkeypatch.setattr(keep_alive, "_renew_one", lambda pk: tried.add(pk))
    for day in range(6):
        age = first_day + day * DAY + timedelta(hours=1)
        models.UserToken.objects.update(refreshed_at=timezone.now() - age)
        before = len(tried)
        list(keep_alive.renew_due())
        counts.append(len(tried) - before)

    assert len(tried) == len(rows)
    assert sum(counts[1:5]) > 120
    assert max(counts) < 80


def test_many_are_looked_at_a_few_at_a_time(
    sandbox: Sandbox, alpha: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 10 * keep_alive.CHUNK
    idle_portals(sandbox, alpha, count)
    tried: list[int] = []
    monkeypatch.setattr(keep_alive, "_renew_one", lambda pk: tried.append(pk))

    with CaptureQueriesContext(connection) as statements:
        list(keep_alive.renew_due(at_most=count))

    assert len(set(tried)) == len(tried) == count
    assert len(statements) == count / keep_alive.CHUNK + 1
    assert all(f"LIMIT {keep_alive.CHUNK}" in statement["sql"] for statement in statements)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    rows = keep_alive._last_days().order_by("refreshed_at", "pk").values_list("refreshed_at", "pk")
    assert "serving_pairs_by_age" in rows[: keep_alive.CHUNK].explain()


def test_a_pair_that_another_process_renewed_is_not_renewed_again(
    sandbox: Sandbox, row: models.UserToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two machines run it, or a manager opens the app meanwhile."""
    due = list(keep_alive._due_pks(10))
    store.StoredCredentials(row).renew(row.access)
    monkeypatch.setattr(keep_alive, "_due_pks", lambda at_most: iter(due))

    assert keep_tokens() == "Renewed 0, failed 0.\n"
    assert calls(sandbox, "oauth.token") == 1
