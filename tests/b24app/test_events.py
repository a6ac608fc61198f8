"""Events: proved before anything happens, handled once; a forged one changes nothing."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import Client

from b24app import models
from b24app.errors import BadInput
from b24app.events import queue, receive
from b24app.models import EventReceipt, UserToken
from b24app.removal import claims
from b24app.rest.php_form import nested
from b24app.signals import payment_saved
from b24app.tokens.revoke import revoke
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.b24app.installed_app import InstalledApp
from tests.b24app.portal_posts import (
    FORM,
    install,
    stored,
)
from tests.b24app.removals import (
    deliver,
    later,
    prune,
    uninstall_event,
)
from tests.payments.stage import together

pytestmark = pytest.mark.django_db


def event(
    app: InstalledApp,
    name: str,
    *,
    portal: Portal | None = None,
    user_id: int | None = None,
    client_id: str = seed.OUR_CLIENT_ID,
    **auth: Any,
) -> dict[str, Any]:
    """Returns an event made by hand, as an attacker would make it; of Alpha, if not said."""
    member_id = (portal or app.alpha).member_id
    fields = {"member_id": member_id, "application_token": "", **auth}
    if user_id is not None:
        fields["access_token"] = app.sandbox.world.issue(client_id, member_id, user_id).access
    return {"event": name, "data": {"CLEAN": "1"}, "ts": "1696527000", "auth": fields}


def genuine_event(app: InstalledApp, name: str = "ONAPPUPDATE") -> dict[str, Any]:
    """An administrator's event, with an application_token that the app does not know yet."""
    return event(app, name, user_id=seed.ADMIN, application_token="new")


def forged_by_a_manager(
    app: InstalledApp, number: int, name: str = "ONAPPINSTALL"
) -> dict[str, Any]:
    fields = event(app, name, user_id=seed.MANAGER, application_token=f"mine{number}")
    return fields | {"data": {"FIELDS": {"ID": str(number + 1)}}, "ts": str(number)}


def stored_token(app: InstalledApp) -> str:
    return models.Portal.objects.get(pk=app.portal.pk).application_token


def test_a_second_delivery_is_harmless(app: InstalledApp) -> None:
    fields = uninstall_event(app.sandbox, app.alpha)
    assert app.hear(fields) == 200
    queue.work()
    assert app.hear(fields) == 200
    assert queue.work() == 0
    app.portal.refresh_from_db()
    assert app.portal.session_generation == 1
    assert EventReceipt.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_deliveries_at_once_are_one_claim(
    app: InstalledApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    both_proved = threading.Barrier(2, timeout=20)
    prove = receive._is_proved

    def prove_and_meet(event: receive.Event, portal: models.Portal) -> bool:
        proved = prove(event, portal)
        both_proved.wait()
        return proved

    monkeypatch.setattr(receive, "_is_proved", prove_and_meet)
    fields = uninstall_event(app.sandbox, app.alpha)
    answers = together(*[lambda: deliver(Client(), fields).status_code] * 2)
    assert answers == [200, 200]
    assert not app.claim.heard_again
    assert EventReceipt.objects.count() == 1


def test_an_old_uninstallation_does_not_undo_a_new_installation(app: InstalledApp) -> None:
    fields = uninstall_event(app.sandbox, app.alpha)
    deliver(app.client, fields)
    queue.work()
    install(app.client, app.sandbox, app.alpha)
    assert app.hear(fields) == 200
    queue.work()
    assert not app.is_removed
    assert UserToken.objects.exists()


def test_a_claim_that_could_not_be_kept_is_our_fault_and_tried_again(
    app: InstalledApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.client.raise_request_exception = False
    fields = uninstall_event(app.sandbox, app.alpha)
    with monkeypatch.context() as broken:
        broken.setattr(claims, "claim", lambda *args, **kwargs: 1 / 0)
        answer = deliver(app.client, fields)
    assert (answer.status_code, answer.json()["error"]) == (500, "server_error")
    assert EventReceipt.objects.get().handled_at is None
    assert app.hear(fields) == 200
    queue.work()
    assert app.is_removed


FORGED_AUTH: list[dict[str, Any]] = [
    {"application_token": ""},
    {"application_token": "wrong"},
    {"member_id": "0" * 32},
]


@pytest.mark.parametrize("name", ["ONAPPUNINSTALL", "ONAPPUPDATE", "ONAPPINSTALL", "ONANYTHING"])
@pytest.mark.parametrize("auth", FORGED_AUTH, ids=str)
def test_a_forged_event_is_refused_and_noted(
    app: InstalledApp, caplog: pytest.LogCaptureFixture, name: str, auth: dict[str, Any]
) -> None:
    genuine: dict[str, Any] = {"application_token": app.portal.application_token}
    kept = stored()
    app.sandbox.log.clear()
    with caplog.at_level(logging.WARNING, "b24app.security"):
        answer = deliver(app.client, event(app, name, **(genuine | auth)))
    assert answer.status_code == 403
    assert answer.json()["error"] == "invalid_application_token"
    assert stored() == kept
    assert app.sandbox.log == []
    assert name in caplog.text
    assert app.portal.application_token not in caplog.text


def _the_token_of_another_portal(app: InstalledApp, beta: Portal) -> dict[str, Any]:
    other = install(app.client, app.sandbox, beta)
    return event(app, "ONAPPUNINSTALL", application_token=other.application_token)


def _none_where_none_is_stored(app: InstalledApp, beta: Portal) -> dict[str, Any]:
    models.Portal.objects.update(application_token="")
    return event(app, "ONAPPUNINSTALL")


def _any_where_none_is_stored(app: InstalledApp, beta: Portal) -> dict[str, Any]:
    models.Portal.objects.update(application_token="")
    return event(app, "ONAPPUNINSTALL", application_token="anything")


def _the_token_of_the_former_installation(app: InstalledApp, beta: Portal) -> dict[str, Any]:
    late = event(app, "ONAPPUNINSTALL", application_token=app.portal.application_token)
    reinstall_unheard(app)
    return late


def _a_person_without_the_right(app: InstalledApp, beta: Portal) -> dict[str, Any]:
    """Has one of the app's access tokens in the browser."""
    return event(app, "ONAPPUPDATE", user_id=seed.MANAGER, application_token="mine")


def _another_application(app: InstalledApp, beta: Portal) -> dict[str, Any]:
    client_id = seed.OTHER_CLIENT_ID
    return event(
        app, "ONAPPUPDATE", user_id=seed.ADMIN, client_id=client_id, application_token="mine"
    )


def _no_access_token(app: InstalledApp, beta: Portal) -> dict[str, Any]:
    return event(app, "ONAPPUPDATE", application_token="mine")


def _an_administrator_with_an_empty_token(app: InstalledApp, beta: Portal) -> dict[str, Any]:
    """Whom the OAuth server vouches for cannot leave the portal without a proof either."""
    return event(app, "ONAPPUPDATE", user_id=seed.ADMIN)


def _an_administrator_of_another_portal(app: InstalledApp, beta: Portal) -> dict[str, Any]:
    install(app.client, app.sandbox, beta)
    fields = event(app, "ONAPPUPDATE", portal=beta, user_id=seed.ADMIN, application_token="mine")
    fields["auth"]["member_id"] = app.alpha.member_id
    return fields


@pytest.mark.parametrize(
    "proof",
    [
        _the_token_of_another_portal,
        _none_where_none_is_stored,
        _any_where_none_is_stored,
        _the_token_of_the_former_installation,
        _a_person_without_the_right,
        _another_application,
        _no_access_token,
        _an_administrator_with_an_empty_token,
        _an_administrator_of_another_portal,
    ],
)
def test_an_event_without_a_proof_changes_nothing(
    app: InstalledApp, beta: Portal, proof: Callable[[InstalledApp, Portal], dict[str, Any]]
) -> None:
    fields = proof(app, beta)
    kept = stored()
    assert app.hear(fields) == 403
    assert stored() == kept


@pytest.mark.parametrize("name", ["ONAPPINSTALL", "ONAPPUPDATE"])
def test_an_event_that_the_oauth_server_vouches_for_brings_a_token_and_ends_a_claim(
    app: InstalledApp, name: str
) -> None:
    app.hear_forged()
    assert app.hear(genuine_event(app, name)) == 200
    assert stored_token(app) == "new"
    assert app.claim.state == models.RemovalClaim.State.REFUSED


def test_a_first_token_comes_with_the_event_of_the_installation(
    client: Client, sandbox: Sandbox, alpha: Portal
) -> None:
    alpha.sends_application_token = False
    portal = install(client, sandbox, alpha)
    models.Portal.objects.update(application_token="")
    fields = next(
        delivery.fields
        for delivery in sandbox.world.outbox
        if delivery.fields["event"] == "ONAPPINSTALL"
    )
    assert deliver(client, fields).status_code == 200
    portal.refresh_from_db()
    assert portal.application_token == alpha.installations[seed.OUR_CLIENT_ID].application_token


def reinstall_unheard(app: InstalledApp) -> None:
    """The event of the removal is lost, the portal is too old to send the token with its frame, and
    the event of the new installation is lost as well."""
    uninstall_event(app.sandbox, app.alpha)
    install(app.client, app.sandbox, app.alpha, APPLICATION_TOKEN="")
    app.sandbox.world.outbox.clear()


def test_a_missed_removal_and_a_new_installation_lock_no_event_out(app: InstalledApp) -> None:
    reinstall_unheard(app)
    token = app.alpha.installations[seed.OUR_CLIENT_ID].application_token
    assert token not in (app.portal.application_token, stored_token(app))
    saved = event(app, "ONPAYMENTENTITYSAVED", user_id=seed.ADMIN, application_token=token)
    assert app.hear(saved | {"data": {"FIELDS": {"ID": "7"}}}) == 200
    assert stored_token(app) == token
    app.hear_removal()
    queue.work()
    assert app.is_removed


def test_a_frame_brings_the_token_of_a_new_installation_at_once(app: InstalledApp) -> None:
    uninstall_event(app.sandbox, app.alpha)
    install(app.client, app.sandbox, app.alpha)
    app.hear_removal()
    queue.work()
    assert app.is_removed


@pytest.mark.parametrize("name", ["ONPAYMENTENTITYSAVED", "ONAPPINSTALL", "ONAPPUPDATE"])
def test_forged_events_cause_one_question_in_ten_seconds(app: InstalledApp, name: str) -> None:
    kept = stored()["Portal"]
    app.sandbox.log.clear()
    with later(timedelta()):
        statuses = [app.hear(forged_by_a_manager(app, number, name)) for number in range(30)]
        queue.work()
        assert len(app.sandbox.log) == 2
    assert statuses == [403] + [200] * 29
    for seconds in range(10, 300, 10):
        with later(timedelta(seconds=seconds)):
            queue.work()
        assert len(app.sandbox.log) <= 2 + 2 * seconds / 10
    assert stored()["Portal"] == kept
    assert not EventReceipt.objects.exists()


@pytest.mark.parametrize("name", ["ONPAYMENTENTITYSAVED", "ONAPPINSTALL", "ONAPPUPDATE"])
def test_a_genuine_event_after_forged_ones_is_believed_when_its_turn_comes(
    app: InstalledApp, name: str
) -> None:
    told: list[int] = []

    def note(payment_id: int, **_: object) -> None:
        told.append(payment_id)

    for number in range(20):
        deliver(app.client, forged_by_a_manager(app, number, name))
    genuine = event(app, name, user_id=seed.ADMIN, application_token="genuine")
    genuine["data"] = {"FIELDS": {"ID": "271"}}
    assert app.hear(genuine) == 200
    secret = genuine["auth"]["access_token"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM b24app_eventreceipt")
        stored_text = str(cursor.fetchall())
    assert secret not in stored_text
    assert "genuine" not in stored_text
    payment_saved.connect(note)
    try:
        with later(timedelta(minutes=4)):
            queue.work()
    finally:
        payment_saved.disconnect(note)
    app.portal.refresh_from_db()
    assert app.portal.application_token == "genuine"
    assert told == ([271] if name == "ONPAYMENTENTITYSAVED" else [])
    assert not EventReceipt.objects.filter(is_proved=False).exists()
    assert set(EventReceipt.objects.values_list("proof", flat=True)) <= {""}


def test_a_flood_of_forged_events_is_bounded(app: InstalledApp, beta: Portal) -> None:
    install(app.client, app.sandbox, beta)
    with later(timedelta()):
        answers = [deliver(app.client, forged_by_a_manager(app, number)) for number in range(100)]
        assert EventReceipt.objects.count() <= 61
        assert answers[-1].status_code == 429
        assert answers[-1].json()["error"] == "too_many_events"
        other = event(app, "ONAPPINSTALL", portal=beta, user_id=seed.ADMIN, application_token="b")
        assert app.hear(other) == 200
        assert models.Portal.objects.get(member_id=seed.BETA).application_token == "b"


@pytest.mark.django_db(transaction=True)
def test_events_at_the_same_time_share_the_turns(app: InstalledApp) -> None:
    app.sandbox.log.clear()
    forged = [forged_by_a_manager(app, number) for number in range(6)]
    posts = [partial(deliver, Client(), fields) for fields in forged]
    statuses = sorted(answer.status_code for answer in together(*posts))
    assert statuses == [200] * 5 + [403]
    assert len(app.sandbox.log) == 2


def _a_day_passes(app: InstalledApp) -> None:
    """No worker runs."""
    with later(timedelta(hours=25)):
        prune()


def _the_tokens_are_revoked(app: InstalledApp) -> None:
    revoke(app.portal)


@pytest.mark.parametrize("happens", [_a_day_passes, _the_tokens_are_revoked])
def test_unproved_events_are_not_kept_for_ever(
    app: InstalledApp, happens: Callable[[InstalledApp], None]
) -> None:
    for number in range(3):
        app.hear(forged_by_a_manager(app, number))
    assert EventReceipt.objects.count() == 2
    happens(app)
    assert not EventReceipt.objects.exists()


def test_an_outage_is_no_proof_and_no_refusal(app: InstalledApp) -> None:
    """Bitrix24 sends no event twice, so this one is stored until the server can say whose it is."""
    app.sandbox.faults.add(Fault("drop", method="app.info"))
    fields = genuine_event(app)
    kept = stored()["Portal"]
    assert app.hear(fields) == 200
    assert stored()["Portal"] == kept
    assert queue.work() == 0
    app.work_at(timedelta(seconds=10))
    assert stored_token(app) == "new"


def test_an_event_that_nothing_here_waits_for_is_noted(app: InstalledApp) -> None:
    fields = event(app, "ONORDERENTITYSAVED", application_token=app.portal.application_token)
    assert deliver(app.client, fields).json() == {"ok": True}
    assert EventReceipt.objects.get().event == "ONORDERENTITYSAVED"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"event": "ONAPPUNINSTALL"},
        {"event": "ONAPPUNINSTALL", "auth": "text"},
        {"event[a]": "1", "auth[member_id]": seed.ALPHA},
        {"event": "ONAPPUNINSTALL", "auth[member_id][a]": seed.ALPHA},
        {"event": "ONAPPUNINSTALL", "auth[member_id]": "' OR 1=1"},
        {"event": "ONAPPUNINSTALL", "auth[member_id]": seed.ALPHA, "data": "text"},
        {"event": "ON APP\nX", "auth[member_id]": seed.ALPHA},
        {"event": "ONAPPUNINSTALL", "auth": "1", "auth[member_id]": seed.ALPHA},
        {"event": "ONAPPUNINSTALL", "auth[member_id]": seed.ALPHA, "data[a": "1"},
        {"event": "ONAPPUNINSTALL", "auth[member_id]": seed.ALPHA, "data[a][b][c][d][e][f]": "1"},
    ],
    ids=str,
)
def test_what_is_no_event_is_a_bad_request(app: InstalledApp, fields: dict[str, str]) -> None:
    kept = stored()
    answer = app.client.post("/event/", urlencode(fields), content_type=FORM)
    assert answer.status_code == 400
    assert answer.json()["error"] == "bad_input"
    assert stored() == kept


def test_get_is_not_an_event(client: Client) -> None:
    answer = client.get("/event/")
    assert answer.status_code == 405
    assert answer["Allow"] == "POST"
    assert answer.json()["error"] == "method_not_allowed"


def test_brackets_are_a_tree() -> None:
    fields = [("event", "X"), ("data[FIELDS][ID]", "271"), ("data[FIELDS][A]", ""), ("ts", "1")]
    assert nested(fields) == {
        "event": "X",
        "data": {"FIELDS": {"ID": "271", "A": ""}},
        "ts": "1",
    }


@pytest.mark.parametrize("name", ["", "[a]", "a[]", "a[b", "a]b", "a[b]c", "a[[b]]", "a[b][]"])
def test_odd_brackets_are_refused(name: str) -> None:
    with pytest.raises(BadInput):
        nested([(name, "1")])


@pytest.mark.parametrize("names", [("a", "a[b]"), ("a[b]", "a"), ("a[b][c]", "a[b]")])
def test_a_field_is_a_text_or_a_tree(names: tuple[str, str]) -> None:
    with pytest.raises(BadInput):
        nested((name, "1") for name in names)
