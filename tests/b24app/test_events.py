"""Events: proved before anything happens, handled once, and a forged one changes nothing."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connections
from django.test import Client
from django.utils import timezone

from b24app import events, models
from b24app.brackets import nested
from b24app.errors import BadInput
from b24app.models import EventReceipt, UserToken
from b24app.signals import portal_uninstalled, pruning
from sandbox import installing, seed
from sandbox.app import Sandbox
from sandbox.events import form_body
from sandbox.faults import Fault
from sandbox.world import Portal
from tests.b24app.portal_posts import (
    FORM,
    begin,
    install,
    opening_fields,
    post,
    session_of,
    stored,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def portal(client: Client, sandbox: Sandbox, alpha: Portal) -> models.Portal:
    known = install(client, sandbox, alpha)
    sandbox.world.outbox.clear()
    return known


@pytest.fixture
def forgotten() -> Iterator[list[tuple[str, bool]]]:
    """What receivers of the signal were told."""
    told: list[tuple[str, bool]] = []

    def note(portal: models.Portal, clean: bool, **_: object) -> None:
        told.append((portal.member_id, clean))

    portal_uninstalled.connect(note)
    yield told
    portal_uninstalled.disconnect(note)


def deliver(client: Client, fields: dict[str, Any]) -> Any:
    return client.post("/event/", form_body(fields), content_type=FORM)


def uninstall_event(sandbox: Sandbox, portal: Portal, *, clean: bool = False) -> dict[str, Any]:
    installing.uninstall(sandbox.world, portal, seed.OUR_CLIENT_ID, user_id=seed.ADMIN, clean=clean)
    return sandbox.world.outbox.pop().fields


def event(
    sandbox: Sandbox,
    portal: Portal,
    name: str,
    *,
    user_id: int | None = None,
    client_id: str = seed.OUR_CLIENT_ID,
    **auth: Any,
) -> dict[str, Any]:
    """An event made by hand, as an attacker would."""
    fields = {"member_id": portal.member_id, "application_token": "", **auth}
    if user_id is not None:
        fields["access_token"] = sandbox.world.issue(client_id, portal.member_id, user_id).access
    return {"event": name, "data": {"CLEAN": "1"}, "ts": "1696527000", "auth": fields}


@pytest.mark.parametrize("clean", [True, False])
def test_uninstalling_forgets_the_portals_tokens_and_sessions(
    client: Client,
    sandbox: Sandbox,
    alpha: Portal,
    portal: models.Portal,
    forgotten: list[tuple[str, bool]],
    clean: bool,
) -> None:
    session = session_of(client, sandbox, alpha, seed.ADMIN)
    answer = deliver(client, uninstall_event(sandbox, alpha, clean=clean))
    assert answer.status_code == 200
    portal.refresh_from_db()
    assert portal.uninstalled_at is not None
    assert portal.application_token == ""
    assert portal.session_generation == 1
    assert not UserToken.objects.exists()
    assert forgotten == [(seed.ALPHA, clean)]
    later = client.post("/install/finish/", headers={"x-frame-session": session})
    assert later.status_code == 401
    opening = post(client, "/session/", opening_fields(sandbox, alpha, seed.ADMIN))
    assert opening.status_code == 403


def test_a_pair_that_came_while_the_portal_was_forgotten_goes_with_the_next_pruning(
    client: Client, sandbox: Sandbox, alpha: Portal, beta: Portal, portal: models.Portal
) -> None:
    other = install(client, sandbox, beta)
    models.Portal.objects.filter(pk=portal.pk).update(uninstalled_at=timezone.now())
    pruning.send(sender=None)
    assert [row.portal_id for row in UserToken.objects.all()] == [other.pk]


def test_only_this_portal_is_forgotten(
    client: Client, sandbox: Sandbox, alpha: Portal, beta: Portal, portal: models.Portal
) -> None:
    other = install(client, sandbox, beta)
    sandbox.world.outbox.clear()
    deliver(client, uninstall_event(sandbox, alpha))
    other.refresh_from_db()
    assert other.uninstalled_at is None
    assert [row.portal_id for row in UserToken.objects.all()] == [other.pk]


def test_a_second_delivery_is_harmless(
    client: Client,
    sandbox: Sandbox,
    alpha: Portal,
    portal: models.Portal,
    forgotten: list[tuple[str, bool]],
) -> None:
    fields = uninstall_event(sandbox, alpha)
    assert deliver(client, fields).status_code == 200
    assert deliver(client, fields).status_code == 200
    assert len(forgotten) == 1
    portal.refresh_from_db()
    assert portal.session_generation == 1
    assert EventReceipt.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_deliveries_at_once_are_handled_once(
    client: Client,
    sandbox: Sandbox,
    alpha: Portal,
    portal: models.Portal,
    forgotten: list[tuple[str, bool]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both_proved = threading.Barrier(2, timeout=20)
    prove = events._is_proved

    def prove_and_meet(event: events.Event, portal: models.Portal) -> bool:
        proved = prove(event, portal)
        both_proved.wait()
        return proved

    def delivered() -> int:
        try:
            status: int = deliver(Client(), fields).status_code
        finally:
            connections.close_all()
        return status

    monkeypatch.setattr(events, "_is_proved", prove_and_meet)
    fields = uninstall_event(sandbox, alpha)
    with ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(delivered) for _ in range(2)]
    assert [answer.result() for answer in answers] == [200, 200]
    assert len(forgotten) == 1
    portal.refresh_from_db()
    assert portal.session_generation == 1


def test_an_old_uninstallation_does_not_undo_a_new_installation(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    fields = uninstall_event(sandbox, alpha)
    deliver(client, fields)
    install(client, sandbox, alpha)
    assert deliver(client, fields).status_code == 200
    portal.refresh_from_db()
    assert portal.uninstalled_at is None
    assert UserToken.objects.exists()


def test_what_a_receiver_could_not_do_is_our_fault_and_undone(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    def fail(**_: object) -> None:
        raise RuntimeError("the disk is full")

    client.raise_request_exception = False
    fields = uninstall_event(sandbox, alpha)
    portal_uninstalled.connect(fail)
    try:
        answer = deliver(client, fields)
    finally:
        portal_uninstalled.disconnect(fail)
    assert answer.status_code == 500
    assert answer.json()["error"] == "server_error"
    assert UserToken.objects.exists()
    assert EventReceipt.objects.get().handled_at is None
    assert deliver(client, fields).status_code == 200
    assert not UserToken.objects.exists()


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
        (seed.MANAGER, seed.OUR_CLIENT_ID),  # has a token of ours in the browser
        (seed.ADMIN, seed.OTHER_CLIENT_ID),
        (None, ""),
    ],
    ids=["a person without the right", "another application", "no access token"],
)
def test_nobody_else_brings_a_new_token(
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
    anew = reinstall_unheard(sandbox, alpha, client)
    token = alpha.installations[seed.OUR_CLIENT_ID].application_token
    assert token not in (old_token, anew.application_token)
    fields = event(
        sandbox, alpha, "ONPAYMENTENTITYSAVED", user_id=seed.ADMIN, application_token=token
    )
    assert deliver(client, fields | {"data": {"FIELDS": {"ID": "7"}}}).status_code == 200
    anew.refresh_from_db()
    assert anew.application_token == token
    assert deliver(client, uninstall_event(sandbox, alpha)).status_code == 200
    assert not UserToken.objects.exists()


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
    assert not UserToken.objects.exists()


def test_a_person_without_the_right_brings_no_lost_token_and_causes_few_questions(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    kept = stored()
    sandbox.log.clear()
    for number in range(5):
        fields = event(
            sandbox, alpha, "ONPAYMENTENTITYSAVED", user_id=seed.MANAGER, application_token="mine"
        )
        fields["data"] = {"FIELDS": {"ID": str(number)}}
        assert deliver(client, fields).status_code == 403
    assert stored() == kept
    assert len(sandbox.log) == 2


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
    sandbox.faults.add(Fault("drop", method="app.info"))
    fields = event(sandbox, alpha, "ONAPPUPDATE", user_id=seed.ADMIN, application_token="new")
    kept = stored()
    assert deliver(client, fields).status_code == 504
    assert stored() == kept


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
