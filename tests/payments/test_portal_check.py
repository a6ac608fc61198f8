"""`manage.py portal_check`: each belief holds in the sandbox, and is told where it does not."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from b24app import models
from b24app.identity.session import Person
from b24app.install import beliefs as app_beliefs
from b24app.install import bindings
from b24app.tokens.clients import portal_client
from payments.management import beliefs
from payments.models import Attempt, State
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.b24app.removals import deliver
from tests.payments import stage

pytestmark = pytest.mark.django_db

SENTENCES = [belief.sentence for belief in (*app_beliefs.BELIEFS, *beliefs.BELIEFS)]
WALK = [
    "A payment that was answered with true is paid.",
    "The portal names the person of the token as the payer.",
    "The portal's date of the payment is the moment of the call.",
    "The portal sends an event for the payment.",
]


@pytest.fixture
def manager(sandbox: Sandbox, portal: models.Portal) -> Person:
    """A manager of a portal in which the app's places and events are bound."""
    bindings.bind_all(portal_client(portal))
    return stage.person(sandbox, portal, seed.MANAGER)


def check(*arguments: str) -> tuple[int, dict[str, str]]:
    """Runs the command as the manager; returns its exit code and the verdict on each belief."""
    out, code = io.StringIO(), 0
    try:
        call_command(
            "portal_check", "alpha.example.com", "--user", str(seed.MANAGER), *arguments, stdout=out
        )
    except SystemExit as stop:
        code = int(str(stop.code))
    lines = out.getvalue().splitlines()[::2]
    return code, {line[9:]: line[:8].strip() for line in lines}


def test_every_belief_holds_in_the_sandbox_and_nothing_is_changed(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    paid = {payment.id for payment in alpha.payments.values() if payment.paid}

    assert check() == (0, dict.fromkeys(SENTENCES, "holds"))

    assert {payment.id for payment in alpha.payments.values() if payment.paid} == paid
    assert not Attempt.objects.exists()


def _result(value: Any) -> Callable[[Any], Any]:
    return lambda envelope: {**envelope, "result": value}


def _without_time(envelope: Any) -> Any:
    return {"result": envelope["result"]}


def _without_operating(envelope: Any) -> Any:
    time = {name: value for name, value in envelope["time"].items() if "operating" not in name}
    return {**envelope, "time": time}


def _other_endpoint(envelope: Any) -> Any:
    install = {**envelope["result"]["install"], "client_endpoint": "https://else.example.com/rest/"}
    return {**envelope, "result": {**envelope["result"], "install": install}}


@pytest.mark.parametrize(
    ("number", "method", "alter", "verdict"),
    [
        (0, "app.info", _other_endpoint, "DIFFERS"),
        (1, "app.info", _result({"ID": 1, "CODE": "vendor.other"}), "DIFFERS"),
        (2, "server.time", _without_time, "DIFFERS"),
        (3, "server.time", _without_operating, "DIFFERS"),
        (4, "event.get", _result([]), "DIFFERS"),
        (5, "sale.payment.get", lambda envelope: {"error": "NO_SUCH_CODE"}, "DIFFERS"),
        (6, "sale.paysystem.settings.payment.get", lambda envelope: {"result": {}}, "unknown"),
        (7, "sale.payment.list", lambda envelope: {"error": "ACCESS_DENIED"}, "DIFFERS"),
        (8, "sale.payment.list", lambda envelope: {"error": "100"}, "DIFFERS"),
        (9, "sale.paysystem.list", _result([]), "DIFFERS"),
    ],
)
def test_a_portal_that_is_otherwise_is_told(
    sandbox: Sandbox, manager: Person, number: int, method: str, alter: Any, verdict: str
) -> None:
    host = "oauth.bitrix.info" if number == 0 else "alpha.example.com"
    sandbox.faults.add(Fault("alter", method=method, alter=alter, times=None, host=host))

    code, verdicts = check()

    assert (code, verdicts[SENTENCES[number]]) == (1, verdict)


def test_a_portal_that_is_away_leaves_every_question_open(
    sandbox: Sandbox, manager: Person, no_pauses: None
) -> None:
    sandbox.faults.add(Fault("drop", times=None))
    assert check() == (1, dict.fromkeys(SENTENCES, "unknown"))


def test_an_unknown_portal_and_a_person_without_a_token_are_not_asked(
    sandbox: Sandbox, manager: Person
) -> None:
    for arguments in (["else.example.com"], ["alpha.example.com", "--user", "99"]):
        with stage.no_request(sandbox), pytest.raises(CommandError) as told:
            call_command("portal_check", *arguments)
        assert told.value.returncode == 2


def _send_events(client: Client, sandbox: Sandbox) -> Callable[[float], None]:
    """Delivers the portal's events while the command waits for them."""

    def send(seconds: float) -> None:
        while sandbox.world.outbox:
            assert deliver(client, sandbox.world.outbox.pop(0).fields).status_code == 200

    return send


@pytest.fixture
def _events_come(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    token = alpha.installations[seed.OUR_CLIENT_ID].application_token
    models.Portal.objects.filter(pk=portal.pk).update(application_token=token)
    monkeypatch.setattr(beliefs, "pause", _send_events(client, sandbox))


@pytest.mark.usefixtures("_events_come")
def test_the_walk_pays_one_payment_and_tells_what_came_of_it(
    alpha: Portal, manager: Person
) -> None:
    code, verdicts = check("--pay", str(seed.PAYMENT), "--yes")

    assert (code, verdicts) == (0, dict.fromkeys([*SENTENCES, *WALK], "holds"))
    assert alpha.payments[seed.PAYMENT].times_paid == 1
    assert Attempt.objects.get().state == State.PAID


def test_the_walk_tells_that_no_event_came(
    alpha: Portal, manager: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beliefs, "EVENT_SECONDS", 0)
    code, verdicts = check("--pay", str(seed.PAYMENT), "--yes")
    assert (code, verdicts[WALK[3]]) == (1, "DIFFERS")
    assert alpha.payments[seed.PAYMENT].times_paid == 1


def test_the_walk_tells_of_true_without_a_payment(alpha: Portal, manager: Person) -> None:
    alpha.payment_save_fails = True
    code, verdicts = check("--pay", str(seed.PAYMENT), "--yes")
    assert (code, verdicts[WALK[0]]) == (1, "DIFFERS")
    assert not alpha.payments[seed.PAYMENT].paid


@pytest.mark.parametrize(
    ("payment_id", "why"),
    [(seed.PAYMENT, "not agreed"), (seed.CASH_PAYMENT, "take"), (999, "no longer exists")],
)
def test_the_walk_pays_nothing_without_a_yes_or_a_payment_that_can_be_paid(
    sandbox: Sandbox, manager: Person, monkeypatch: pytest.MonkeyPatch, payment_id: int, why: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("no\n"))
    with pytest.raises(CommandError, match=why):
        check("--pay", str(payment_id))
    assert stage.sent_payments(sandbox) == 0
