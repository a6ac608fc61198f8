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
from b24app.install import doctor
from b24app.models import RemovalClaim, UserToken
from b24app.removal import claims
from b24app.removal.evidence import PortalSays, ServerSays, Verdict, decide
from sandbox.api.faults import Fault
from sandbox.world import seed
from sandbox.world.removed import RemovedOAuth, RemovedRest
from sandbox.world.world import Portal
from tests.b24app.installed_app import InstalledApp
from tests.b24app.portal_posts import install, opening_fields, session_of
from tests.b24app.removals import (
    DELAYS,
    GRACE,
    deliver,
    forged_event,
    is_removed,
    later,
    prune,
    uninstall_event,
)
from tests.b24app.working import all_done
from tests.payments.stage import together

pytestmark = pytest.mark.django_db

State = RemovalClaim.State
NOW = timedelta()
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def remove(app: InstalledApp, *, clean: bool = False) -> None:
    app.hear_removal(clean=clean)
    queue.work()
    assert app.is_removed


REMOVED, INSTALLED, UNKNOWN = Verdict.REMOVED, Verdict.INSTALLED, Verdict.UNKNOWN
TABLE = {
    #                      installed  not inst.  client     spent      nothing
    PortalSays.INSTALLED: (INSTALLED, REMOVED, INSTALLED, INSTALLED, INSTALLED),
    PortalSays.NOT_FOUND: (INSTALLED, REMOVED, REMOVED, REMOVED, UNKNOWN),
    PortalSays.NOTHING: (INSTALLED, REMOVED, UNKNOWN, UNKNOWN, UNKNOWN),
}


@pytest.mark.parametrize("portal_says", PortalSays)
def test_each_pair_of_answers_has_its_verdict(portal_says: PortalSays) -> None:
    assert tuple(decide(portal_says, server) for server in ServerSays) == TABLE[portal_says]


@pytest.mark.parametrize("clean", [True, False])
def test_a_genuine_removal_ends_tokens_and_sessions(app: InstalledApp, clean: bool) -> None:
    value = app.session_of(seed.ADMIN)
    fields = uninstall_event(app.sandbox, app.alpha, clean=clean)
    app.sandbox.log.clear()
    assert app.hear(fields) == 200
    assert app.questions == 0
    queue.work()
    app.portal.refresh_from_db()
    assert app.portal.uninstalled_at is not None
    assert (app.portal.application_token, app.portal.session_generation) == ("", 1)
    assert not UserToken.objects.exists()
    assert app.listed(value) == 401
    assert (app.claim.state, app.claim.with_data) == (State.REMOVED, clean)
    assert app.opening(seed.ADMIN) == 403


def test_a_person_who_reads_the_token_in_their_browser_removes_nothing(
    app: InstalledApp, caplog: pytest.LogCaptureFixture
) -> None:
    values = [app.session_of(who) for who in (seed.ADMIN, seed.MANAGER)]
    token = opening_fields(app.sandbox, app.alpha, seed.MANAGER)["APPLICATION_TOKEN"]
    fields = forged_event(app.alpha)
    assert fields["auth"]["application_token"] == token == app.portal.application_token
    with caplog.at_level(logging.WARNING, "b24app.security"):
        assert app.hear(fields) == 200
        queue.work()
    assert "claim of a removal is not true" in caplog.text
    assert token not in caplog.text
    assert not app.is_removed
    assert [app.listed(value) for value in values] == [200, 200]
    assert app.serving_pair.failure_code == ""


def test_a_claim_that_is_not_true_is_asked_about_five_times_and_refused(app: InstalledApp) -> None:
    app.hear_forged()
    assert queue.work() == 1
    asked = app.questions
    assert asked <= 2
    for number, delay in enumerate(DELAYS, start=2):
        with later(delay - 2 * timedelta(seconds=25)):
            assert queue.work() == 0
        with later(delay):
            assert (queue.work(), queue.work()) == (1, 0)
        assert app.claim.asks == number
    assert app.claim.state == State.REFUSED
    with later(30 * DAY):
        assert queue.work() == 0
    assert app.questions == 5 * asked
    assert not app.is_removed


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
    app: InstalledApp, rest: RemovedRest, oauth: RemovedOAuth
) -> None:
    app.alpha.removed_rest, app.alpha.removed_oauth = rest, oauth
    remove(app)


@pytest.mark.parametrize("rest", [RemovedRest.OLD_TOKEN_WORKS, RemovedRest.APPLICATION_NOT_FOUND])
def test_a_server_behind_the_portal_is_asked_until_it_knows(
    app: InstalledApp, rest: RemovedRest
) -> None:
    app.alpha.removed_rest, app.alpha.removed_oauth = rest, RemovedOAuth.STILL_INSTALLED
    app.hear_removal()
    queue.work()
    assert not app.is_removed
    # A pair that was renewed is stored.
    assert not app.sandbox.world.tokens[app.serving_pair.access].refresh_spent
    app.work_at(*DELAYS[:2])
    assert not app.is_removed
    app.work_at(DELAYS[2])
    assert app.is_removed


@pytest.mark.parametrize("kind", ["drop", "status500", "html502", "query_limit", "broken_json"])
def test_an_oauth_server_that_is_away_is_asked_again(app: InstalledApp, kind: str) -> None:
    app.fails(kind, method="oauth.token")
    app.hear_removal()
    queue.work()
    assert (app.claim.state, app.is_removed) == (State.OPEN, False)
    app.sandbox.faults.clear()
    app.work_at(MINUTE)
    assert app.is_removed


def test_servers_that_stay_away_are_asked_daily_until_the_grace_time_is_over(
    app: InstalledApp,
) -> None:
    app.fails("drop")
    app.hear_forged()
    app.work_at(NOW, *DELAYS, *(day * DAY for day in range(2, 9)))
    assert (app.claim.state, app.claim.next_ask_at) == (State.REFUSED, None)
    assert app.claim.asks <= 12
    assert not app.is_removed


def _expire(app: InstalledApp) -> None:
    app.sandbox.world.tokens[app.serving_pair.access].expires = 0.0


def _forget_the_token(app: InstalledApp) -> None:
    del app.sandbox.world.tokens[app.serving_pair.access]


def _dismiss_the_person(app: InstalledApp) -> None:
    del app.alpha.users[seed.ADMIN]


@pytest.mark.parametrize("happens", [_expire, _forget_the_token, _dismiss_the_person])
def test_what_the_portal_says_of_a_token_is_no_word_about_the_app(
    app: InstalledApp, happens: Callable[[InstalledApp], None]
) -> None:
    happens(app)
    app.fails("drop", method="oauth.token")
    app.hear_forged()
    queue.work()
    assert (app.claim.state, app.is_removed) == (State.OPEN, False)
    assert app.claim.portal_said == PortalSays.NOTHING


@pytest.mark.parametrize(
    ("name", "value"), [("B24_CLIENT_SECRET", "wrong"), ("B24_CLIENT_ID", "app.unknown")]
)
@pytest.mark.parametrize("is_silent", [False, True])
def test_wrong_settings_of_the_app_remove_no_portal(
    app: InstalledApp, settings: Settings, name: str, value: str, is_silent: bool
) -> None:
    setattr(settings, name, value)
    if is_silent:
        app.fails("expired_token", method="app.info")
    app.hear_forged()
    app.work_at(NOW, *DELAYS, GRACE, GRACE + DAY)
    assert not app.is_removed
    assert app.claim.state == State.REFUSED
    assert app.serving_pair.failure_code == ""


def test_without_a_pair_to_renew_the_portals_answer_to_an_old_token_decides(
    app: InstalledApp,
) -> None:
    app.spend_pairs()
    app.hear_forged()
    queue.work()
    assert not app.is_removed
    with later(DELAYS[0]):
        remove(app)


def test_another_error_of_the_oauth_server_that_the_portal_passes_on_removes_nothing(
    app: InstalledApp,
) -> None:
    app.spend_pairs()
    passed_on = {"error": "ERROR_OAUTH", "error_description": "Temporarily unavailable"}
    fault = Fault("alter", method="app.info", alter=lambda envelope: passed_on, times=None)
    app.sandbox.faults.add(fault)
    app.hear_forged()
    app.work_at(NOW, *DELAYS)
    assert not app.is_removed


@pytest.mark.parametrize("kept", ["spent", "none"])
def test_without_a_clear_answer_the_grace_time_decides(app: InstalledApp, kept: str) -> None:
    app.spend_pairs()
    if kept == "none":
        UserToken.objects.all().delete()
    app.fails("expired_token", method="app.info")
    app.hear_removal(clean=True)
    for delay in (NOW, *DELAYS, GRACE - DAY, GRACE - MINUTE):
        with later(delay):
            queue.work()
            prune()
        assert not app.is_removed
    with later(GRACE + MINUTE):
        queue.work()
        assert app.is_removed
        prune()
        assert not RemovalClaim.objects.exists()


def test_another_persons_pair_is_asked_with_where_the_serving_one_is_spent(
    app: InstalledApp,
) -> None:
    app.session_of(seed.MANAGER)
    app.spend_pairs(app.serving_pair)
    app.alpha.removed_rest = RemovedRest.OLD_TOKEN_WORKS
    app.hear_removal()
    app.sandbox.log.clear()
    queue.work()
    assert app.is_removed
    renewals = [call.error for call in app.sandbox.log if call.method == "oauth.token"]
    assert renewals == ["invalid_grant", "NOT_INSTALLED"]


def _an_unproved_opening(app: InstalledApp) -> None:
    assert app.opening(seed.MANAGER, AUTH_ID="0" * 70) == 403


def _an_administrator_opens(app: InstalledApp) -> None:
    app.session_of(seed.ADMIN)


def _a_manager_opens(app: InstalledApp) -> None:
    app.session_of(seed.MANAGER)


def _a_manager_opens_days_after_the_last_pair_is_gone(app: InstalledApp) -> None:
    UserToken.objects.all().delete()
    app.work_at(NOW)
    with later(3 * DAY):
        queue.work()
        app.session_of(seed.MANAGER)


def _an_installation(app: InstalledApp) -> None:
    install(app.client, app.sandbox, app.alpha)


@pytest.mark.parametrize(
    ("happens", "states"),
    [
        (_an_unproved_opening, [State.OPEN]),
        (_an_administrator_opens, [State.REFUSED]),
        (_a_manager_opens, [State.REFUSED]),
        (_a_manager_opens_days_after_the_last_pair_is_gone, [State.REFUSED]),
        (_an_installation, []),
    ],
)
def test_what_is_proved_ends_the_claim_and_its_questions(
    app: InstalledApp, happens: Callable[[InstalledApp], None], states: list[State]
) -> None:
    app.hear_forged()
    happens(app)
    assert list(RemovalClaim.objects.values_list("state", flat=True)) == states
    is_open = State.OPEN in states
    app.sandbox.log.clear()
    with later(30 * DAY):
        assert queue.work() == is_open
        prune()
    assert (app.questions > 0) == is_open
    assert not app.is_removed


def test_repeated_claims_do_not_multiply_the_questions(app: InstalledApp) -> None:
    """A person posts the event every five minutes for a day."""
    for minute in range(0, 24 * 60, 5):
        with later(minute * MINUTE):
            app.hear_forged(ts=str(minute))
            queue.work()
    assert RemovalClaim.objects.count() == 1
    assert app.questions <= 2 * 45
    assert not app.is_removed


def test_claims_and_openings_in_turn_do_not_multiply_the_questions(app: InstalledApp) -> None:
    for number in range(20):
        app.hear_forged(ts=str(number))
        queue.work()
        claims.refuse(app.portal)
    assert app.questions <= 2


@pytest.mark.parametrize("waited", [NOW, timedelta(minutes=30), timedelta(hours=3)])
def test_a_genuine_removal_after_a_forged_one_is_found_within_hours(
    app: InstalledApp, waited: timedelta
) -> None:
    app.hear_forged()
    app.work_at(NOW, *(each for each in DELAYS if each < waited))
    with later(waited):
        app.hear_removal()
        queue.work()
    app.work_at(waited + timedelta(hours=1))
    assert app.is_removed


def test_a_genuine_removal_in_the_quiet_time_is_kept_and_asked_about_after_it(
    app: InstalledApp,
) -> None:
    app.hear_forged()
    queue.work()
    app.session_of(seed.MANAGER)
    app.hear_removal()
    assert queue.work() == 0
    app.work_at(claims.QUIET)
    assert app.is_removed


def test_an_event_that_comes_during_the_last_question_begins_another_round(
    app: InstalledApp,
) -> None:
    app.hear_forged()
    app.work_at(NOW, *DELAYS[:-1])
    genuine: list[int] = []

    def remove_now() -> None:
        event = uninstall_event(app.sandbox, app.alpha)
        genuine.append(deliver(Client(), event).status_code)

    # The server has renewed the pair already when the app is removed.
    app.meanwhile("oauth.token", remove_now)
    app.work_at(DELAYS[-1])
    assert (genuine, app.is_removed) == ([200], False)
    app.work_at(DELAYS[-1] + claims.QUIET + MINUTE)
    assert app.is_removed


@pytest.mark.parametrize("first, second", [("1", "0"), ("0", "1")])
def test_events_that_contradict_each_other_delete_no_data(
    app: InstalledApp, first: str, second: str
) -> None:
    app.hear_forged(ts="1", clean=first)
    app.hear_forged(ts="2", clean=second)
    assert not app.claim.with_data


def test_only_the_portal_that_was_named_is_removed(app: InstalledApp, beta: Portal) -> None:
    other = install(app.client, app.sandbox, beta)
    value = session_of(app.client, app.sandbox, beta, seed.ADMIN)
    remove(app, clean=True)
    with later(GRACE + MINUTE):
        prune()
    assert not is_removed(beta)
    assert {row.portal_id for row in UserToken.objects.all()} == {other.pk}
    assert app.listed(value) == 200


@pytest.mark.django_db(transaction=True)
def test_of_several_workers_one_asks(app: InstalledApp) -> None:
    app.hear_forged()
    assert sorted(together(*[queue.work] * 4)) == [0, 0, 0, 1]
    assert app.questions == 2


def test_a_worker_that_died_is_replaced_when_its_lease_is_over(app: InstalledApp) -> None:
    app.hear_removal()
    assert claims._take(app.claim)
    assert queue.work() == 0
    with later(claims.LEASE):
        assert queue.work() == 1
    assert app.is_removed


def test_an_opening_that_is_proved_while_the_servers_are_asked_wins(app: InstalledApp) -> None:
    """The server said that the app is not installed; before that is written down, it is again."""
    app.hear_removal()
    app.meanwhile("oauth.token", lambda: claims.refuse(app.portal))
    queue.work()
    assert not app.is_removed
    assert UserToken.objects.exists()


def test_a_pair_that_is_deleted_while_the_portal_is_asked_proves_nothing(
    app: InstalledApp,
) -> None:
    app.hear_forged()
    app.meanwhile("app.info", lambda: UserToken.objects.all().delete())
    queue.work()
    assert not app.is_removed
    assert app.claim.server_said == ServerSays.NOTHING


def test_a_pair_that_an_opening_stored_meanwhile_opens_nothing_and_is_pruned(
    app: InstalledApp,
) -> None:
    value = app.session_of(seed.MANAGER)
    late = UserToken.objects.filter(user_id=seed.MANAGER).values().get()
    remove(app)
    UserToken.objects.create(**late)
    assert app.listed(value) == 401
    prune()
    assert not UserToken.objects.exists()


def test_a_removal_that_the_servers_were_wrong_about_ends_with_the_next_opening(
    app: InstalledApp,
) -> None:
    remove(app, clean=True)
    app.returns_to_portal()
    with later(GRACE - MINUTE):
        prune()
        assert app.listed(app.session_of(seed.ADMIN)) == 200
    assert not app.is_removed
    with later(2 * GRACE):
        prune()
    assert app.serving_pair.user_id == seed.ADMIN
    assert not RemovalClaim.objects.exists()


def test_an_opening_within_the_grace_time_is_proved_by_the_oauth_server(
    app: InstalledApp,
) -> None:
    """The portal still answers to the old token that a person has kept."""
    app.alpha.removed_rest = RemovedRest.OLD_TOKEN_WORKS
    kept = opening_fields(app.sandbox, app.alpha, seed.MANAGER)
    remove(app)
    assert app.opening(seed.MANAGER, **kept) == 403
    assert app.is_removed
    assert not UserToken.objects.exists()


def test_after_the_grace_time_an_opening_is_refused(app: InstalledApp) -> None:
    remove(app)
    with later(GRACE + MINUTE):
        prune()
        app.returns_to_portal()
        assert app.opening(seed.MANAGER) == 403


@pytest.mark.parametrize("days", [1, 30])
def test_the_grace_time_is_a_setting(app: InstalledApp, settings: Settings, days: int) -> None:
    settings.B24_REMOVAL_GRACE_DAYS = days
    remove(app)
    for delay, is_kept in ((-MINUTE, True), (MINUTE, False)):
        with later(days * DAY + delay):
            prune()
        assert RemovalClaim.objects.exists() == is_kept


def test_the_doctor_tells_of_an_open_claim(app: InstalledApp) -> None:
    def complaints() -> list[doctor.Line]:
        known = models.Portal.objects.get(pk=app.portal.pk)
        return [line for line in doctor.examine(known) if not line.is_ok]

    all_done()
    app.hear_forged()
    queue.work()
    (told,) = complaints()
    assert str(told.name) == "Removal"
    assert "asked 1 time;" in str(told.found)
    claims.refuse(app.portal)
    assert complaints() == []


def test_a_second_delivery_of_a_removal_that_was_refused_begins_nothing(
    app: InstalledApp,
) -> None:
    app.hear_forged()
    claims.refuse(app.portal)
    app.hear_forged()
    assert app.claim.state == State.REFUSED
    assert timezone.now() >= app.claim.claimed_at
