"""A removal is believed only when Bitrix24 confirms it."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from b24app import models
from b24app.events import queue
from b24app.identity import session
from b24app.install import doctor
from b24app.models import RemovalClaim, UserToken
from b24app.removal import claims
from b24app.removal.evidence import PortalSays, ServerSays, Verdict, decide
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.removed import RemovedOAuth, RemovedRest
from sandbox.world.world import Portal
from tests.b24app.portal_posts import install, opening_fields, post, session_of
from tests.b24app.removals import (
    DELAYS,
    GRACE,
    claim_of,
    deliver,
    forged_event,
    is_removed,
    later,
    prune,
    remove,
    uninstall_event,
)
from tests.b24app.working import all_done
from tests.payments.stage import together

pytestmark = pytest.mark.django_db

State = RemovalClaim.State
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


@pytest.fixture
def portal(client: Client, sandbox: Sandbox, alpha: Portal) -> models.Portal:
    known = install(client, sandbox, alpha)
    sandbox.world.outbox.clear()
    sandbox.log.clear()
    return known


def questions(sandbox: Sandbox) -> int:
    return len(sandbox.log)


def listed(client: Client, value: str) -> int:
    return client.get("/payments/", headers={session.HEADER: value}).status_code


REMOVED, INSTALLED, UNKNOWN = Verdict.REMOVED, Verdict.INSTALLED, Verdict.UNKNOWN
TABLE = {
    #                      installed  not inst.  client     spent      nothing
    PortalSays.INSTALLED: (INSTALLED, REMOVED, INSTALLED, INSTALLED, INSTALLED),
    PortalSays.NOT_FOUND: (INSTALLED, REMOVED, REMOVED, REMOVED, UNKNOWN),
    PortalSays.NOTHING: (INSTALLED, REMOVED, UNKNOWN, UNKNOWN, UNKNOWN),
}


@pytest.mark.parametrize(
    ("portal_says", "server_says"), list(itertools.product(PortalSays, ServerSays))
)
def test_each_pair_of_answers_has_its_verdict(
    portal_says: PortalSays, server_says: ServerSays
) -> None:
    expected = TABLE[portal_says][list(ServerSays).index(server_says)]
    assert decide(portal_says, server_says) is expected


@pytest.mark.parametrize("clean", [True, False])
def test_a_genuine_removal_ends_tokens_and_sessions(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal, clean: bool
) -> None:
    value = session_of(client, sandbox, alpha, seed.ADMIN)
    fields = uninstall_event(sandbox, alpha, clean=clean)
    sandbox.log.clear()
    assert deliver(client, fields).status_code == 200
    assert sandbox.log == []
    queue.work()
    portal.refresh_from_db()
    assert portal.uninstalled_at is not None
    assert (portal.application_token, portal.session_generation) == ("", 1)
    assert not UserToken.objects.exists()
    assert listed(client, value) == 401
    found = claim_of(alpha)
    assert (found.state, found.with_data) == (State.REMOVED, clean)
    opening = post(client, "/session/", opening_fields(sandbox, alpha, seed.ADMIN))
    assert opening.status_code == 403


def test_a_person_who_reads_the_token_in_their_browser_removes_nothing(
    client: Client,
    sandbox: Sandbox,
    alpha: Portal,
    portal: models.Portal,
    caplog: pytest.LogCaptureFixture,
) -> None:
    values = [session_of(client, sandbox, alpha, who) for who in (seed.ADMIN, seed.MANAGER)]
    token = opening_fields(sandbox, alpha, seed.MANAGER)["APPLICATION_TOKEN"]
    fields = forged_event(alpha)
    assert fields["auth"]["application_token"] == token == portal.application_token
    with caplog.at_level(logging.WARNING, "b24app.security"):
        assert deliver(client, fields).status_code == 200
        queue.work()
    assert "claim of a removal is not true" in caplog.text
    assert token not in caplog.text
    assert not is_removed(alpha)
    assert [listed(client, value) for value in values] == [200, 200]
    assert UserToken.objects.get(serves_portal=True).failure_code == ""


def test_a_claim_that_is_not_true_is_asked_about_five_times_and_refused(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    deliver(client, forged_event(alpha))
    assert queue.work() == 1
    asked = questions(sandbox)
    assert asked <= 2
    for number, delay in enumerate(DELAYS, start=2):
        with later(delay - 2 * timedelta(seconds=25)):
            assert queue.work() == 0
        with later(delay):
            assert queue.work() == 1
            assert queue.work() == 0
        assert claim_of(alpha).asks == number
    assert claim_of(alpha).state == State.REFUSED
    with later(30 * DAY):
        assert queue.work() == 0
    assert questions(sandbox) == 5 * asked
    assert not is_removed(alpha)


@pytest.mark.parametrize(
    ("rest", "oauth"),
    [
        *itertools.product(
            [RemovedRest.APPLICATION_NOT_FOUND, RemovedRest.ERROR_OAUTH],
            [RemovedOAuth.NOT_INSTALLED, RemovedOAuth.INVALID_CLIENT, RemovedOAuth.INVALID_GRANT],
        ),
        (RemovedRest.OLD_TOKEN_WORKS, RemovedOAuth.NOT_INSTALLED),
    ],
)
def test_each_way_to_confirm_a_removal_is_believed_at_once(
    client: Client,
    sandbox: Sandbox,
    alpha: Portal,
    portal: models.Portal,
    rest: RemovedRest,
    oauth: RemovedOAuth,
) -> None:
    alpha.removed_rest, alpha.removed_oauth = rest, oauth
    deliver(client, uninstall_event(sandbox, alpha))
    queue.work()
    assert is_removed(alpha)


@pytest.mark.parametrize("rest", [RemovedRest.OLD_TOKEN_WORKS, RemovedRest.APPLICATION_NOT_FOUND])
def test_a_server_behind_the_portal_is_asked_until_it_knows(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal, rest: RemovedRest
) -> None:
    alpha.removed_rest, alpha.removed_oauth = rest, RemovedOAuth.STILL_INSTALLED
    deliver(client, uninstall_event(sandbox, alpha))
    queue.work()
    assert not is_removed(alpha)
    # A pair that was renewed is stored.
    row = UserToken.objects.get(serves_portal=True)
    assert not sandbox.world.tokens[row.access].refresh_spent
    for delay in DELAYS[:2]:
        with later(delay):
            queue.work()
        assert not is_removed(alpha)
    with later(DELAYS[2]):
        queue.work()
    assert is_removed(alpha)


@pytest.mark.parametrize("kind", ["drop", "status500", "html502", "query_limit", "broken_json"])
def test_an_oauth_server_that_is_away_is_asked_again(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal, kind: str
) -> None:
    sandbox.faults.add(Fault(kind, method="oauth.token", times=None))
    deliver(client, uninstall_event(sandbox, alpha))
    queue.work()
    assert not is_removed(alpha)
    assert claim_of(alpha).state == State.OPEN
    sandbox.faults.clear()
    with later(MINUTE):
        queue.work()
        assert is_removed(alpha)


def test_servers_that_stay_away_are_asked_daily_until_the_grace_time_is_over(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    sandbox.faults.add(Fault("drop", times=None))
    deliver(client, forged_event(alpha))
    queue.work()
    for delay in DELAYS:
        with later(delay):
            queue.work()
    for day in range(2, 9):
        with later(day * DAY):
            queue.work()
    found = claim_of(alpha)
    assert (found.state, found.next_ask_at) == (State.REFUSED, None)
    assert found.asks <= 12
    assert not is_removed(alpha)


@pytest.mark.parametrize("code", ["expired_token", "invalid_token", "a dismissed person"])
def test_what_the_portal_says_of_a_token_is_no_word_about_the_app(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal, code: str
) -> None:
    row = UserToken.objects.get(serves_portal=True)
    token = sandbox.world.tokens[row.access]
    if code == "expired_token":
        token.expires = 0.0
    elif code == "invalid_token":
        del sandbox.world.tokens[row.access]
    else:
        del alpha.users[seed.ADMIN]
    sandbox.faults.add(Fault("drop", method="oauth.token", times=None))
    deliver(client, forged_event(alpha))
    queue.work()
    assert (claim_of(alpha).state, is_removed(alpha)) == (State.OPEN, False)
    assert claim_of(alpha).portal_said == PortalSays.NOTHING


@pytest.mark.parametrize(
    ("name", "value"), [("B24_CLIENT_SECRET", "wrong"), ("B24_CLIENT_ID", "app.unknown")]
)
@pytest.mark.parametrize("is_silent", [False, True])
def test_wrong_settings_of_the_app_remove_no_portal(
    client: Client,
    sandbox: Sandbox,
    alpha: Portal,
    portal: models.Portal,
    settings: Settings,
    name: str,
    value: str,
    is_silent: bool,
) -> None:
    setattr(settings, name, value)
    if is_silent:
        sandbox.faults.add(Fault("expired_token", method="app.info", times=None))
    deliver(client, forged_event(alpha))
    for delay in (timedelta(), *DELAYS, GRACE, GRACE + DAY):
        with later(delay):
            queue.work()
    assert not is_removed(alpha)
    assert claim_of(alpha).state == State.REFUSED
    assert UserToken.objects.get(serves_portal=True).failure_code == ""


def spend_all_pairs(sandbox: Sandbox) -> None:
    """Spends the stored refresh tokens."""
    for row in UserToken.objects.all():
        sandbox.world.tokens[row.access].refresh_spent = True


def test_without_a_pair_to_renew_the_portals_answer_to_an_old_token_decides(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    spend_all_pairs(sandbox)
    deliver(client, forged_event(alpha))
    queue.work()
    assert not is_removed(alpha)
    with later(DELAYS[0]):
        deliver(client, uninstall_event(sandbox, alpha))
        queue.work()
        assert is_removed(alpha)


@pytest.mark.parametrize("kept", ["spent", "none"])
def test_without_a_clear_answer_the_grace_time_decides(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal, kept: str
) -> None:
    spend_all_pairs(sandbox)
    if kept == "none":
        UserToken.objects.all().delete()
    sandbox.faults.add(Fault("expired_token", method="app.info", times=None))
    deliver(client, uninstall_event(sandbox, alpha, clean=True))
    for delay in (timedelta(), *DELAYS, GRACE - DAY, GRACE - MINUTE):
        with later(delay):
            queue.work()
            prune()
        assert not is_removed(alpha)
    with later(GRACE + MINUTE):
        queue.work()
        assert is_removed(alpha)
        prune()
        assert not RemovalClaim.objects.exists()


def test_without_a_clear_answer_an_opening_ends_the_claim(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    UserToken.objects.all().delete()
    deliver(client, forged_event(alpha))
    queue.work()
    with later(3 * DAY):
        queue.work()
        session_of(client, sandbox, alpha, seed.MANAGER)
    with later(30 * DAY):
        queue.work()
        prune()
    assert not is_removed(alpha)
    assert claim_of(alpha).state == State.REFUSED


def test_another_persons_pair_is_asked_with_where_the_serving_one_is_spent(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    session_of(client, sandbox, alpha, seed.MANAGER)
    serving = UserToken.objects.get(serves_portal=True)
    sandbox.world.tokens[serving.access].refresh_spent = True
    alpha.removed_rest = RemovedRest.OLD_TOKEN_WORKS
    deliver(client, uninstall_event(sandbox, alpha))
    sandbox.log.clear()
    queue.work()
    assert is_removed(alpha)
    assert [call.error for call in sandbox.log if call.method == "oauth.token"] == [
        "invalid_grant",
        "NOT_INSTALLED",
    ]


@pytest.mark.parametrize("who", [seed.ADMIN, seed.MANAGER])
def test_a_proved_opening_ends_the_claim(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal, who: int
) -> None:
    deliver(client, forged_event(alpha))
    session_of(client, sandbox, alpha, who)
    assert claim_of(alpha).state == State.REFUSED
    sandbox.log.clear()
    with later(2 * DAY):
        assert queue.work() == 0
    assert sandbox.log == []


def test_an_unproved_opening_does_not_end_the_claim(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    deliver(client, forged_event(alpha))
    fields = opening_fields(sandbox, alpha, seed.MANAGER, AUTH_ID="0" * 70)
    assert post(client, "/session/", fields).status_code == 403
    assert claim_of(alpha).state == State.OPEN


def test_an_installation_ends_the_claim(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    deliver(client, forged_event(alpha))
    install(client, sandbox, alpha)
    assert queue.work() == 0
    assert not is_removed(alpha)


def test_repeated_claims_do_not_multiply_the_questions(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    """A person posts the event every five minutes for a day."""
    for minute in range(0, 24 * 60, 5):
        with later(minute * MINUTE):
            deliver(client, forged_event(alpha, ts=str(minute)))
            queue.work()
    assert RemovalClaim.objects.count() == 1
    assert questions(sandbox) <= 2 * 45
    assert not is_removed(alpha)


def test_claims_and_openings_in_turn_do_not_multiply_the_questions(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    for number in range(20):
        deliver(client, forged_event(alpha, ts=str(number)))
        queue.work()
        claims.refuse(portal)
    assert questions(sandbox) <= 2


@pytest.mark.parametrize("waited", [timedelta(), timedelta(minutes=30), timedelta(hours=3)])
def test_a_genuine_removal_after_a_forged_one_is_found_within_hours(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal, waited: timedelta
) -> None:
    deliver(client, forged_event(alpha))
    for delay in (timedelta(), *(each for each in DELAYS if each < waited)):
        with later(delay):
            queue.work()
    with later(waited):
        deliver(client, uninstall_event(sandbox, alpha))
        queue.work()
    with later(waited + timedelta(hours=1)):
        queue.work()
        assert is_removed(alpha)


def test_a_genuine_removal_in_the_quiet_time_is_kept_and_asked_about_after_it(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    deliver(client, forged_event(alpha))
    queue.work()
    session_of(client, sandbox, alpha, seed.MANAGER)
    assert deliver(client, uninstall_event(sandbox, alpha)).status_code == 200
    assert queue.work() == 0
    with later(claims.QUIET):
        queue.work()
        assert is_removed(alpha)


def test_an_event_that_comes_during_the_last_question_begins_another_round(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    deliver(client, forged_event(alpha))
    for delay in (timedelta(), *DELAYS[:-1]):
        with later(delay):
            queue.work()
    genuine: list[int] = []

    def remove_now() -> None:
        genuine.append(deliver(Client(), uninstall_event(sandbox, alpha)).status_code)

    # The server has renewed the pair already when the app is removed.
    meanwhile(sandbox, "oauth.token", remove_now)
    with later(DELAYS[-1]):
        queue.work()
        assert (genuine, is_removed(alpha)) == ([200], False)
    with later(DELAYS[-1] + claims.QUIET + MINUTE):
        queue.work()
        assert is_removed(alpha)


@pytest.mark.parametrize("first, second", [("1", "0"), ("0", "1")])
def test_events_that_contradict_each_other_delete_no_data(
    client: Client, alpha: Portal, portal: models.Portal, first: str, second: str
) -> None:
    deliver(client, forged_event(alpha, ts="1", clean=first))
    deliver(client, forged_event(alpha, ts="2", clean=second))
    assert not claim_of(alpha).with_data


def test_only_the_portal_that_was_named_is_removed(
    client: Client, sandbox: Sandbox, alpha: Portal, beta: Portal, portal: models.Portal
) -> None:
    other = install(client, sandbox, beta)
    value = session_of(client, sandbox, beta, seed.ADMIN)
    remove(client, sandbox, alpha, clean=True)
    with later(GRACE + MINUTE):
        prune()
    assert not is_removed(beta)
    assert {row.portal_id for row in UserToken.objects.all()} == {other.pk}
    assert listed(client, value) == 200


@pytest.mark.django_db(transaction=True)
def test_of_several_workers_one_asks(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    deliver(client, forged_event(alpha))
    worked = together(*[queue.work] * 4)
    assert sorted(worked) == [0, 0, 0, 1]
    assert questions(sandbox) == 2


def test_a_worker_that_died_is_replaced_when_its_lease_is_over(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    deliver(client, uninstall_event(sandbox, alpha))
    assert claims._take(claim_of(alpha))
    assert queue.work() == 0
    with later(claims.LEASE):
        assert queue.work() == 1
        assert is_removed(alpha)


def meanwhile(sandbox: Sandbox, method: str, action: Callable[[], object]) -> None:
    """Runs this when the server has carried the method out, before its answer arrives."""
    sandbox.faults.add(Fault("delay", method=method, when="after", seconds=0, on_hit=action))


def test_an_opening_that_is_proved_while_the_servers_are_asked_wins(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    """The server said that the app is not installed; before that is written down, it is again."""
    deliver(client, uninstall_event(sandbox, alpha))
    meanwhile(sandbox, "oauth.token", lambda: claims.refuse(portal))
    queue.work()
    assert not is_removed(alpha)
    assert UserToken.objects.exists()


def test_a_pair_that_is_deleted_while_the_portal_is_asked_proves_nothing(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    deliver(client, forged_event(alpha))
    meanwhile(sandbox, "app.info", lambda: UserToken.objects.all().delete())
    queue.work()
    assert not is_removed(alpha)
    assert claim_of(alpha).server_said == ServerSays.NOTHING


def test_a_pair_that_an_opening_stored_meanwhile_opens_nothing_and_is_pruned(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    value = session_of(client, sandbox, alpha, seed.MANAGER)
    late = UserToken.objects.filter(user_id=seed.MANAGER).values().get()
    remove(client, sandbox, alpha)
    UserToken.objects.create(**late)
    assert listed(client, value) == 401
    prune()
    assert not UserToken.objects.exists()


def test_a_removal_that_the_servers_were_wrong_about_ends_with_the_next_opening(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    remove(client, sandbox, alpha, clean=True)
    installation = alpha.installations[seed.OUR_CLIENT_ID]
    installation.removed = False
    with later(GRACE - MINUTE):
        prune()
        value = session_of(client, sandbox, alpha, seed.ADMIN)
        assert listed(client, value) == 200
    assert not is_removed(alpha)
    with later(2 * GRACE):
        prune()
    assert models.UserToken.objects.get(serves_portal=True).user_id == seed.ADMIN
    assert not RemovalClaim.objects.exists()


def test_an_opening_within_the_grace_time_is_proved_by_the_oauth_server(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    """The portal still answers to the old token that a person has kept."""
    alpha.removed_rest = RemovedRest.OLD_TOKEN_WORKS
    fields = opening_fields(sandbox, alpha, seed.MANAGER)
    remove(client, sandbox, alpha)
    assert post(client, "/session/", fields).status_code == 403
    assert is_removed(alpha)
    assert not UserToken.objects.exists()


def test_after_the_grace_time_an_opening_is_refused(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    remove(client, sandbox, alpha)
    with later(GRACE + MINUTE):
        prune()
        alpha.installations[seed.OUR_CLIENT_ID].removed = False
        fields = opening_fields(sandbox, alpha, seed.MANAGER)
        assert post(client, "/session/", fields).status_code == 403


@pytest.mark.parametrize("days", [1, 30])
def test_the_grace_time_is_a_setting(
    client: Client,
    sandbox: Sandbox,
    alpha: Portal,
    portal: models.Portal,
    settings: Settings,
    days: int,
) -> None:
    settings.B24_REMOVAL_GRACE_DAYS = days
    remove(client, sandbox, alpha)
    with later(days * DAY - MINUTE):
        prune()
        assert RemovalClaim.objects.exists()
    with later(days * DAY + MINUTE):
        prune()
        assert not RemovalClaim.objects.exists()


def test_the_doctor_tells_of_an_open_claim(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    all_done()
    deliver(client, forged_event(alpha))
    queue.work()
    known = models.Portal.objects.get(pk=portal.pk)
    told = [line for line in doctor.examine(known) if not line.is_ok]
    assert [str(line.name) for line in told] == ["Removal"]
    assert "asked 1 time;" in str(told[0].found)
    claims.refuse(portal)
    assert all(line.is_ok for line in doctor.examine(models.Portal.objects.get(pk=portal.pk)))


def test_a_second_delivery_of_a_removal_that_was_refused_begins_nothing(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    fields = forged_event(alpha)
    deliver(client, fields)
    claims.refuse(portal)
    assert deliver(client, fields).status_code == 200
    assert claim_of(alpha).state == State.REFUSED
    assert timezone.now() >= claim_of(alpha).claimed_at
