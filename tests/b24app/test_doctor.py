"""The doctor: what it finds, who may run it, and that its repairs reach the portal."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from b24app import models
from b24app.identity.session import Person
from b24app.install import bindings, repairs
from b24app.models import UserToken
from b24app.rest import client as b24client
from b24app.tokens import store
from payments.models import SETTLE_AFTER, Attempt, State
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import installing, seed
from sandbox.world.world import Portal, Role
from tests.b24app.portal_posts import install, opening_fields, post, session_of
from tests.b24app.rows import expire, pair_of
from tests.b24app.working import all_done
from tests.payments import stage

pytestmark = pytest.mark.django_db

SERVING = "The administrator's sign-in that serves this portal"


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(b24client, "pause", lambda seconds: None)


@pytest.fixture(autouse=True)
def _a_worker_runs(db: None) -> None:
    all_done()


@pytest.fixture
def portal(client: Client, sandbox: Sandbox, alpha: Portal) -> models.Portal:
    return install(client, sandbox, alpha)


def run(*options: str, name: str = "alpha.example.com") -> tuple[int, str]:
    """Returns the exit code and the output."""
    said = io.StringIO()
    try:
        call_command("doctor", name, *options, stdout=said, stderr=said)
    except SystemExit as ended:
        assert isinstance(ended.code, int)
        return ended.code, said.getvalue()
    return 0, said.getvalue()


def problems(said: str) -> list[str]:
    """Returns the names of lines that report a problem."""
    marked = [line for line in said.splitlines() if line.startswith("PROBLEM")]
    return [line.removeprefix("PROBLEM").strip().split(": ")[0] for line in marked]


def unbind_all(alpha: Portal) -> None:
    """Unbinds every event, as an update of the app does."""
    installation = alpha.installations[seed.OUR_CLIENT_ID]
    installation.events.clear()


def lose_serving(sandbox: Sandbox, portal: models.Portal) -> None:
    portal.tokens.filter(serves_portal=True).delete()


def break_serving(sandbox: Sandbox, portal: models.Portal) -> None:
    portal.tokens.filter(serves_portal=True).update(failure_code="invalid_grant")


def dismiss_serving(sandbox: Sandbox, portal: models.Portal) -> None:
    sandbox.world.portals[portal.member_id].users[seed.ADMIN].role = Role.DISMISSED


def demote_serving(sandbox: Sandbox, portal: models.Portal) -> None:
    sandbox.world.portals[portal.member_id].users[seed.ADMIN].role = Role.MANAGER


def unfinish(sandbox: Sandbox, portal: models.Portal) -> None:
    installation = sandbox.world.portals[portal.member_id].installations[seed.OUR_CLIENT_ID]
    installation.finished = False


def break_off_installation(sandbox: Sandbox, portal: models.Portal) -> None:
    models.Portal.objects.update(installed_at=None)


def take_scope_away(sandbox: Sandbox, portal: models.Portal) -> None:
    scopes = tuple(name for name in seed.OUR_SCOPES if name != "user_brief")
    stage = sandbox.world.portals[portal.member_id]
    installing.set_scopes(sandbox.world, stage, seed.OUR_CLIENT_ID, scopes)


def let_the_token_age(sandbox: Sandbox, portal: models.Portal) -> None:
    then = timezone.now() - timedelta(days=179)
    portal.tokens.filter(serves_portal=True).update(refreshed_at=then)


def set_the_clock(sandbox: Sandbox, portal: models.Portal) -> None:
    sandbox.world.advance(300)


def stop_the_clock(sandbox: Sandbox, portal: models.Portal) -> None:
    sandbox.world.advance(400)


def leave_in_doubt(sandbox: Sandbox, portal: models.Portal) -> None:
    Attempt.objects.create(
        portal=portal,
        payment_id=seed.PAYMENT,
        account_number="163/1",
        pay_system_id=seed.ACME_PAY,
        bound_pay_system_id=seed.ACME_PAY,
        sum=1,
        currency="EUR",
        user_id=seed.MANAGER,
        state=State.UNKNOWN,
        sent_at=timezone.now() - SETTLE_AFTER - timedelta(seconds=1),
    )


def hand_over(sandbox: Sandbox, portal: models.Portal) -> None:
    leave_in_doubt(sandbox, portal)
    Attempt.objects.update(handed_over_at=timezone.now())


def test_payments_that_wait_for_a_person_are_not_in_doubt(
    sandbox: Sandbox, portal: models.Portal
) -> None:
    hand_over(sandbox, portal)
    assert "ok       Payments in doubt: None." in run()[1]


def test_a_portal_in_order_has_no_problem(portal: models.Portal) -> None:
    code, said = run()
    assert code == 0, said
    assert not problems(said)
    for name in ("Installation", "Permissions", "Tabs and events", SERVING, "Clocks"):
        assert f"ok       {name}: " in said


@pytest.mark.parametrize(
    ("spoil", "name", "words"),
    [
        (lose_serving, SERVING, "sign-in is stored"),
        (break_serving, SERVING, "(code invalid_grant)"),
        (dismiss_serving, SERVING, "dismissed"),
        (demote_serving, SERVING, "User 1 is no administrator any more."),
        (let_the_token_age, SERVING, "run keep_tokens every day"),
        (unfinish, "Installation", "Bitrix24 says that the app is not installed"),
        (break_off_installation, "Installation", "It was begun and not finished."),
        (take_scope_away, "Permissions", "Missing: user_brief."),
        (set_the_clock, "Clocks", "seconds ahead of the app"),
        (stop_the_clock, "Clocks", "Nothing can be paid until"),
        (leave_in_doubt, "Payments in doubt", "163/1"),
        (hand_over, "Payments that wait for a decision", "An administrator decides"),
    ],
)
def test_what_is_wrong_is_named_with_what_to_do(
    sandbox: Sandbox,
    portal: models.Portal,
    spoil: Callable[[Sandbox, models.Portal], None],
    name: str,
    words: str,
) -> None:
    spoil(sandbox, portal)
    code, said = run()
    assert code == 1
    assert name in problems(said)
    assert words in said


def test_events_that_an_update_dropped_are_bound_again(
    portal: models.Portal, alpha: Portal, sandbox: Sandbox
) -> None:
    unbind_all(alpha)
    code, said = run()
    assert code == 1
    assert f"Not in their places: {', '.join(sorted(bindings.EVENTS))}." in said

    code, said = run("--repair")

    assert code == 0, said
    assert "bind: done" in said
    assert run()[0] == 0


def test_an_administrators_stored_sign_in_takes_over(
    sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    alpha.users[seed.SETTINGS_ADMIN].role = Role.PORTAL_ADMIN
    store.store_user_pair(portal, pair_of(sandbox, alpha, seed.MANAGER))
    store.store_user_pair(portal, pair_of(sandbox, alpha, seed.SETTINGS_ADMIN))
    demote_serving(sandbox, portal)

    code, said = run("--repair")

    assert code == 0, said
    serving = UserToken.objects.get(portal=portal, serves_portal=True)
    assert serving.user_id == seed.SETTINGS_ADMIN
    assert not UserToken.objects.filter(user_id=seed.SETTINGS_ADMIN, serves_portal=False).exists()


def test_only_an_administrator_takes_over(
    sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    store.store_user_pair(portal, pair_of(sandbox, alpha, seed.MANAGER))
    lose_serving(sandbox, portal)
    code, said = run("--repair")
    assert code == 1
    assert "Only an administrator" in said
    assert not UserToken.objects.filter(serves_portal=True).exists()


def test_a_portal_that_does_not_answer_is_a_problem_and_not_a_bug(
    sandbox: Sandbox, portal: models.Portal
) -> None:
    sandbox.faults.add(Fault("status500", times=None))
    code, said = run()
    assert code == 1
    assert {"Installation", "Permissions", "Clocks", SERVING} <= set(problems(said))


def test_a_portal_that_left_says_so(portal: models.Portal) -> None:
    models.Portal.objects.update(uninstalled_at=timezone.now())
    code, said = run(name=portal.member_id)
    assert code == 1
    assert "The app was removed" in said


def test_an_unknown_portal_is_an_error_of_its_own() -> None:
    with pytest.raises(CommandError) as told:
        run(name="nowhere.example.com")
    assert told.value.returncode == 2


def test_no_token_is_printed(sandbox: Sandbox, portal: models.Portal) -> None:
    _, said = run()
    assert not [token for token in sandbox.world.tokens if token in said]


# ---- The page


def ask(client: Client, sandbox: Sandbox, alpha: Portal, user_id: int, **fields: str) -> Any:
    session = session_of(client, sandbox, alpha, user_id)
    return press(client, session, **fields)


def press(client: Client, session: str, **fields: str) -> Any:
    path = "/doctor/repair/" if fields else "/doctor/"
    return client.post(path, fields, headers={"x-frame-session": session})


def test_an_administrator_reads_the_same_lines(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    answer = ask(client, sandbox, alpha, seed.ADMIN)
    html = answer.content.decode()
    assert answer.status_code == 200
    assert "b24app/install/doctor.html" in [template.name for template in answer.templates]
    assert 'data-ok="no"' not in html
    assert "Tabs and events" in html
    assert not [token for token in sandbox.world.tokens if token in html]


def test_one_click_binds_again(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    unbind_all(alpha)
    session = session_of(client, sandbox, alpha, seed.ADMIN)
    assert 'value="bind"' in press(client, session).content.decode()
    answer = press(client, session, repair="bind")
    assert 'data-ok="no"' not in answer.content.decode()
    assert run()[0] == 0


def test_one_click_takes_over_by_ones_own_sign_in(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    """The chain moves: renewed afterwards, it is renewed from one row."""
    alpha.users[seed.SETTINGS_ADMIN].role = Role.PORTAL_ADMIN
    demote_serving(sandbox, portal)
    session = session_of(client, sandbox, alpha, seed.SETTINGS_ADMIN)
    assert 'value="serve"' in press(client, session).content.decode()

    answer = press(client, session, repair="serve")

    assert 'data-ok="no"' not in answer.content.decode()
    row = UserToken.objects.get(portal=portal, serves_portal=True)
    assert row.user_id == seed.SETTINGS_ADMIN
    assert UserToken.objects.filter(user_id=seed.SETTINGS_ADMIN).count() == 1
    expire(sandbox, row.access)
    assert press(client, session).status_code == 200


def test_pressed_twice_it_is_done_once(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    alpha.users[seed.SETTINGS_ADMIN].role = Role.PORTAL_ADMIN
    demote_serving(sandbox, portal)
    session = session_of(client, sandbox, alpha, seed.SETTINGS_ADMIN)
    press(client, session, repair="serve")
    assert press(client, session, repair="serve").status_code == 200
    assert UserToken.objects.filter(serves_portal=True).count() == 1


def test_a_repair_in_the_middle_of_another_persons_look_is_no_fault(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    """A second administrator replaces the serving pair while the first one runs the doctor."""
    alpha.users[seed.SETTINGS_ADMIN].role = Role.PORTAL_ADMIN
    session = session_of(client, sandbox, alpha, seed.SETTINGS_ADMIN)
    second = Person(portal, seed.SETTINGS_ADMIN, proved_at=timezone.now())
    sandbox.faults.add(
        Fault(
            "delay",
            method="profile",
            user_id=seed.ADMIN,
            seconds=0,
            on_hit=lambda: repairs.take_over(second),
        )
    )
    answer = press(client, session)
    assert answer.status_code == 200
    assert 'data-ok="no"' not in answer.content.decode()
    assert portal.tokens.get(serves_portal=True).user_id == seed.SETTINGS_ADMIN


@pytest.mark.django_db(transaction=True)
def test_of_two_administrators_who_take_over_at_the_same_time_both_are_served(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    others = (seed.SETTINGS_ADMIN, seed.MANAGER)
    sessions = []
    for user_id in others:
        alpha.users[user_id].role = Role.PORTAL_ADMIN
        sessions.append(session_of(client, sandbox, alpha, user_id))
    both = threading.Barrier(2, timeout=20)
    sandbox.faults.add(Fault("delay", method="profile", times=2, seconds=0, on_hit=both.wait))
    answers = stage.together(
        *[partial(press, Client(), session, repair="serve") for session in sessions]
    )
    assert [answer.status_code for answer in answers] == [200, 200]
    assert portal.tokens.get(serves_portal=True).user_id in others


@pytest.mark.parametrize("fields", [{}, {"repair": "bind"}, {"repair": "serve"}])
@pytest.mark.parametrize("user_id", [seed.MANAGER, seed.SETTINGS_ADMIN, seed.READER])
def test_other_people_are_refused(
    client: Client,
    sandbox: Sandbox,
    alpha: Portal,
    portal: models.Portal,
    user_id: int,
    fields: dict[str, str],
) -> None:
    serving = UserToken.objects.get(serves_portal=True).pk
    answer = ask(client, sandbox, alpha, user_id, **fields)
    assert answer.status_code == 403
    assert "Only an administrator" in answer.content.decode()
    assert UserToken.objects.get(serves_portal=True).pk == serving


def test_who_was_an_administrator_when_the_page_was_opened_is_not_enough(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    session = session_of(client, sandbox, alpha, seed.ADMIN)
    alpha.users[seed.ADMIN].role = Role.MANAGER
    unbind_all(alpha)
    assert press(client, session, repair="bind").status_code == 403
    assert not alpha.installations[seed.OUR_CLIENT_ID].events


def test_an_unknown_repair_is_a_bad_request(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    assert ask(client, sandbox, alpha, seed.ADMIN, repair="drop").status_code == 400


def test_without_a_session_no_portal_is_asked(client: Client, portal: models.Portal) -> None:
    assert client.post("/doctor/").status_code == 401
    assert client.get("/doctor/").status_code == 405


@pytest.mark.parametrize(("user_id", "shown"), [(seed.ADMIN, True), (seed.MANAGER, False)])
def test_the_main_page_leads_there_for_administrators_alone(
    client: Client,
    sandbox: Sandbox,
    alpha: Portal,
    portal: models.Portal,
    user_id: int,
    shown: bool,
) -> None:
    answer = post(client, "/", opening_fields(sandbox, alpha, user_id))
    assert ('hx-post="/doctor/"' in answer.content.decode()) is shown
