"""Events: proved before anything happens, handled once; a forged one changes nothing."""

from __future__ import annotations

import logging
import threading
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
from sandbox.world import installing, seed
from sandbox.world.world import Portal
from tests.b24app.portal_posts import (
    FORM,
    begin,
    install,
    opening_fields,
    post,
    stored,
)
from tests.b24app.removals import (
    claim_of,
    deliver,
    forged_event,
    is_removed,
    later,
    prune,
    uninstall_event,
)
from tests.payments.stage import together

pytestmark = pytest.mark.django_db


@pytest.fixture
def portal(client: Client, sandbox: Sandbox, alpha: Portal) -> models.Portal:
    known = install(client, sandbox, alpha)
    sandbox.world.outbox.clear()
    return known


def event(
    sandbox: Sandbox,
    portal: Portal,
    name: str,
    *,
    user_id: int | None = None,
    client_id: str = seed.OUR_CLIENT_ID,
    **auth: Any,
) -> dict[str, Any]:
    """Returns an event made by hand, as an attacker would make it."""
    fields = {"member_id": portal.member_id, "application_token": "", **auth}
    if user_id is not None:
        fields["access_token"] = sandbox.world.issue(client_id, portal.member_id, user_id).access
    return {"event": name, "data": {"CLEAN": "1"}, "ts": "1696527000", "auth": fields}


def test_a_second_delivery_is_harmless(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    fields = uninstall_event(sandbox, alpha)
    assert deliver(client, fields).status_code == 200
    queue.work()
    assert deliver(client, fields).status_code == 200
    assert queue.work() == 0
    portal.refresh_from_db()
    assert portal.session_generation == 1
    assert EventReceipt.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_deliveries_at_once_are_one_claim(
    client: Client,
    sandbox: Sandbox,
    alpha: Portal,
    portal: models.Portal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both_proved = threading.Barrier(2, timeout=20)
    prove = receive._is_proved

    def prove_and_meet(event: receive.Event, portal: models.Portal) -> bool:
        proved = prove(event, portal)
        both_proved.wait()
        return proved

    monkeypatch.setattr(receive, "_is_proved", prove_and_meet)
    fields = uninstall_event(sandbox, alpha)
    answers = together(*[lambda: deliver(Client(), fields).status_code] * 2)
    assert answers == [200, 200]
    assert not claim_of(alpha).heard_again
    assert EventReceipt.objects.count() == 1


def test_an_old_uninstallation_does_not_undo_a_new_installation(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    fields = uninstall_event(sandbox, alpha)
    deliver(client, fields)
    queue.work()
    install(client, sandbox, alpha)
    assert deliver(client, fields).status_code == 200
    queue.work()
    assert not is_removed(alpha)
    assert UserToken.objects.exists()


def test_a_claim_that_could_not_be_kept_is_our_fault_and_tried_again(
    client: Client,
    sandbox: Sandbox,
    alpha: Portal,
    portal: models.Portal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client.raise_request_exception = False
    fields = uninstall_event(sandbox, alpha)
    with monkeypatch.context() as broken:
        broken.setattr(claims, "claim", lambda *args, **kwargs: 1 / 0)
        answer = deliver(client, fields)
    assert (answer.status_code, answer.json()["error"]) == (500, "server_error")
    assert EventReceipt.objects.get().handled_at is None
    assert deliver(client, fields).status_code == 200
    queue.work()
    assert is_removed(alpha)


FORGED_AUTH: list[dict[str, Any]] = [
    {"application_token": ""},
    {"application_token": "wrong"},
    {"member_id": "0" * 32},
]


@pytest.mark.parametrize("name", ["ONAPPUNINSTALL", "ONAPPUPDATE", "ONAPPINSTALL", "ONANYTHING"])
@pytest.mark.parametrize("auth", FORGED_AUTH, ids=str)
def test_a_forged_event_is_refused_and_noted(
    client: Client,
    sandbox: Sandbox,
    alpha: Portal,
    portal: models.Portal,
    caplog: pytest.LogCaptureFixture,
    name: str,
    auth: dict[str, Any],
) -> None:
    genuine: dict[str, Any] = {"application_token": portal.application_token}
    kept = stored()
    sandbox.log.clear()
    with caplog.at_level(logging.WARNING, "b24app.security"):
        answer = deliver(client, event(sandbox, alpha, name, **(genuine | auth)))
    assert answer.status_code == 403
    assert answer.json()["error"] == "invalid_application_token"
    assert stored() == kept
    assert sandbox.log == []
    assert name in caplog.text
    assert portal.application_token not in caplog.text


def test_another_portals_token_proves_nothing(
    client: Client, sandbox: Sandbox, alpha: Portal, beta: Portal, portal: models.Portal
) -> None:
    other = install(client, sandbox, beta)
    fields = event(sandbox, alpha, "ONAPPUNINSTALL", application_token=other.application_token)
    assert deliver(client, fields).status_code == 403
    assert UserToken.objects.filter(portal=portal).exists()


def test_a_portal_without_a_stored_token_is_not_uninstalled_by_an_empty_one(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    portal.application_token = ""
    portal.save()
    for token in ("", "anything"):
        fields = event(sandbox, alpha, "ONAPPUNINSTALL", application_token=token)
        assert deliver(client, fields).status_code == 403
    assert UserToken.objects.exists()


@pytest.mark.parametrize("name", ["ONAPPINSTALL", "ONAPPUPDATE"])
def test_a_new_token_is_taken_from_an_event_that_the_oauth_server_vouches_for(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal, name: str
) -> None:
    fields = event(sandbox, alpha, name, user_id=seed.ADMIN, application_token="new")
    assert deliver(client, fields).status_code == 200
    portal.refresh_from_db()
    assert portal.application_token == "new"


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


@pytest.mark.parametrize(
    "user_id, client_id",
    [
        (seed.MANAGER, seed.OUR_CLIENT_ID),  # has one of the app's tokens in the browser
        (seed.ADMIN, seed.OTHER_CLIENT_ID),
        (None, ""),
    ],
    ids=["a person without the right", "another application", "no access token"],
)
def test_only_an_administrator_brings_a_new_token(
    client: Client,
    sandbox: Sandbox,
    alpha: Portal,
    portal: models.Portal,
    user_id: int | None,
    client_id: str,
) -> None:
    fields = event(
        sandbox,
        alpha,
        "ONAPPUPDATE",
        user_id=user_id,
        client_id=client_id,
        application_token="mine",
    )
    kept = stored()
    assert deliver(client, fields).status_code == 403
    assert stored() == kept


def reinstall_unheard(sandbox: Sandbox, portal: Portal, client: Client) -> models.Portal:
    """The event of the removal is lost, the portal is too old to send the token with its frame, and
    the event of the new installation is lost as well."""
    uninstall_event(sandbox, portal)
    begin(sandbox, portal)
    fields = opening_fields(sandbox, portal, seed.ADMIN, APPLICATION_TOKEN="")
    page = post(client, "/install/", fields)
    session = page.context["frame_session"]
    assert client.post("/install/finish/", headers={"x-frame-session": session}).json()["ok"]
    installing.finish_installation(sandbox.world, portal, seed.OUR_CLIENT_ID, user_id=seed.ADMIN)
    sandbox.world.outbox.clear()
    return models.Portal.objects.get(member_id=portal.member_id)


def test_a_missed_removal_and_a_new_installation_lock_no_event_out(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    old_token = portal.application_token
    reinstalled = reinstall_unheard(sandbox, alpha, client)
    token = alpha.installations[seed.OUR_CLIENT_ID].application_token
    assert token not in (old_token, reinstalled.application_token)
    fields = event(
        sandbox, alpha, "ONPAYMENTENTITYSAVED", user_id=seed.ADMIN, application_token=token
    )
    assert deliver(client, fields | {"data": {"FIELDS": {"ID": "7"}}}).status_code == 200
    reinstalled.refresh_from_db()
    assert reinstalled.application_token == token
    assert deliver(client, uninstall_event(sandbox, alpha)).status_code == 200
    queue.work()
    assert is_removed(alpha)


def test_a_late_event_of_the_former_installation_does_not_end_the_new_one(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    late = event(sandbox, alpha, "ONAPPUNINSTALL", application_token=portal.application_token)
    reinstall_unheard(sandbox, alpha, client)
    assert deliver(client, late).status_code == 403
    assert UserToken.objects.exists()


def test_a_frame_brings_the_token_of_a_new_installation_at_once(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    uninstall_event(sandbox, alpha)
    install(client, sandbox, alpha)
    assert deliver(client, uninstall_event(sandbox, alpha)).status_code == 200
    queue.work()
    assert is_removed(alpha)


@pytest.mark.parametrize("name", ["ONPAYMENTENTITYSAVED", "ONAPPINSTALL", "ONAPPUPDATE"])
def test_forged_events_cause_one_question_in_ten_seconds(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal, name: str
) -> None:
    kept = stored()["Portal"]
    sandbox.log.clear()
    with later(timedelta()):
        statuses = [
            deliver(client, forged_by_a_manager(sandbox, alpha, name, number)).status_code
            for number in range(30)
        ]
        queue.work()
        assert len(sandbox.log) == 2
    assert statuses == [403] + [200] * 29
    for seconds in range(10, 300, 10):
        with later(timedelta(seconds=seconds)):
            queue.work()
        assert len(sandbox.log) <= 2 + 2 * seconds / 10
    assert stored()["Portal"] == kept
    assert not EventReceipt.objects.exists()


def forged_by_a_manager(sandbox: Sandbox, portal: Portal, name: str, number: int) -> dict[str, Any]:
    fields = event(sandbox, portal, name, user_id=seed.MANAGER, application_token=f"mine{number}")
    return fields | {"data": {"FIELDS": {"ID": str(number + 1)}}, "ts": str(number)}


@pytest.mark.parametrize("name", ["ONPAYMENTENTITYSAVED", "ONAPPINSTALL", "ONAPPUPDATE"])
def test_a_genuine_event_after_forged_ones_is_believed_when_its_turn_comes(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal, name: str
) -> None:
    told: list[int] = []

    def note(payment_id: int, **_: object) -> None:
        told.append(payment_id)

    for number in range(20):
        deliver(client, forged_by_a_manager(sandbox, alpha, name, number))
    genuine = event(sandbox, alpha, name, user_id=seed.ADMIN, application_token="genuine")
    genuine["data"] = {"FIELDS": {"ID": "271"}}
    assert deliver(client, genuine).status_code == 200
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
    portal.refresh_from_db()
    assert portal.application_token == "genuine"
    assert told == ([271] if name == "ONPAYMENTENTITYSAVED" else [])
    assert not EventReceipt.objects.filter(is_proved=False).exists()
    assert set(EventReceipt.objects.values_list("proof", flat=True)) <= {""}


def test_a_flood_of_forged_events_is_bounded(
    client: Client, sandbox: Sandbox, alpha: Portal, beta: Portal, portal: models.Portal
) -> None:
    install(client, sandbox, beta)
    with later(timedelta()):
        answers = [
            deliver(client, forged_by_a_manager(sandbox, alpha, "ONAPPINSTALL", number))
            for number in range(100)
        ]
        assert EventReceipt.objects.count() <= 61
        assert answers[-1].status_code == 429
        assert answers[-1].json()["error"] == "too_many_events"
        other = event(sandbox, beta, "ONAPPINSTALL", user_id=seed.ADMIN, application_token="b")
        assert deliver(client, other).status_code == 200
        assert models.Portal.objects.get(member_id=seed.BETA).application_token == "b"


@pytest.mark.django_db(transaction=True)
def test_events_at_the_same_time_share_the_turns(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    sandbox.log.clear()
    forged = [forged_by_a_manager(sandbox, alpha, "ONAPPINSTALL", number) for number in range(6)]
    posts = [partial(deliver, Client(), fields) for fields in forged]
    statuses = sorted(answer.status_code for answer in together(*posts))
    assert statuses == [200] * 5 + [403]
    assert len(sandbox.log) == 2


def test_a_vouched_event_ends_a_claim_of_a_removal(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    deliver(client, forged_event(alpha))
    fields = event(sandbox, alpha, "ONAPPUPDATE", user_id=seed.ADMIN, application_token="new")
    assert deliver(client, fields).status_code == 200
    assert claim_of(alpha).state == models.RemovalClaim.State.REFUSED


def test_unproved_events_are_pruned_where_no_worker_runs(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    for number in range(3):
        deliver(client, forged_by_a_manager(sandbox, alpha, "ONAPPINSTALL", number))
    assert EventReceipt.objects.count() == 2
    with later(timedelta(hours=25)):
        prune()
    assert not EventReceipt.objects.exists()


def test_tokens_of_a_waiting_event_are_revoked_with_the_others(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    for number in range(2):
        deliver(client, forged_by_a_manager(sandbox, alpha, "ONAPPINSTALL", number))
    revoke(portal)
    assert not EventReceipt.objects.exists()


def test_an_empty_token_is_not_a_new_one(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    """Whom the OAuth server vouches for cannot leave the portal without a proof either."""
    kept = stored()
    fields = event(sandbox, alpha, "ONAPPUPDATE", user_id=seed.ADMIN)
    assert deliver(client, fields).status_code == 403
    assert stored() == kept


def test_another_portals_administrator_brings_no_token_either(
    client: Client, sandbox: Sandbox, alpha: Portal, beta: Portal, portal: models.Portal
) -> None:
    install(client, sandbox, beta)
    fields = event(sandbox, beta, "ONAPPUPDATE", user_id=seed.ADMIN, application_token="mine")
    fields["auth"]["member_id"] = alpha.member_id
    kept = stored()
    assert deliver(client, fields).status_code == 403
    assert stored() == kept


def test_an_outage_is_no_proof_and_no_refusal(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    """Bitrix24 sends no event twice, so this one is stored until the server can say whose it is."""
    sandbox.faults.add(Fault("drop", method="app.info"))
    fields = event(sandbox, alpha, "ONAPPUPDATE", user_id=seed.ADMIN, application_token="new")
    kept = stored()["Portal"]
    assert deliver(client, fields).status_code == 200
    assert stored()["Portal"] == kept
    assert queue.work() == 0
    with later(timedelta(seconds=10)):
        queue.work()
    portal.refresh_from_db()
    assert portal.application_token == "new"


def test_an_event_that_nothing_here_waits_for_is_noted(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    fields = event(sandbox, alpha, "ONORDERENTITYSAVED", application_token=portal.application_token)
    assert deliver(client, fields).json() == {"ok": True}
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
def test_what_is_no_event_is_a_bad_request(
    client: Client, sandbox: Sandbox, portal: models.Portal, fields: dict[str, str]
) -> None:
    kept = stored()
    answer = client.post("/event/", urlencode(fields), content_type=FORM)
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
