"""The app as Marketplace portals have it: its code, trials that end, updates with new scopes."""

from __future__ import annotations

import pytest
from django.test import Client

from b24app import models
from b24app.errors import ChainBroken
from b24app.install import doctor
from b24app.tokens.clients import portal_client
from b24app.tokens.proof import PROFILE
from payments.attempts.reconcile import reconcile
from payments.models import Attempt, State
from sandbox.server.app import Sandbox
from sandbox.world import installing, seed
from sandbox.world.events import form_body
from sandbox.world.world import DAY_SECONDS, Portal
from tests.b24app.portal_posts import FORM, begin, install, opening_fields, post
from tests.conftest import APP_URL
from tests.payments import stage
from tests.payments.frames import Frame, offer_in, text_of, words
from tests.payments.unconfirmed import overdue, silence

pytestmark = pytest.mark.django_db

CODE = "vendor.pay"
DAYS = 3
ENDED = "subscription in this portal has ended"


def publish(sandbox: Sandbox, alpha: Portal, status: str) -> None:
    """Makes it an application of the Marketplace, and begins its installation in Alpha."""
    application = sandbox.world.applications[seed.OUR_CLIENT_ID]
    application.code, application.status = CODE, status
    begin(sandbox, alpha)
    if status != "F":
        until = sandbox.world.now() + (DAYS + 0.5) * DAY_SECONDS
        alpha.installations[seed.OUR_CLIENT_ID].paid_until = until


@pytest.fixture
def portal(client: Client, sandbox: Sandbox, alpha: Portal) -> models.Portal:
    """A trial, installed by the installer itself."""
    publish(sandbox, alpha, "T")
    return install(client, sandbox, alpha)


def pay(frame: Frame, offer: str) -> str:
    return words(frame.send("/payments/pay/", offer=offer, pay_system_id=seed.ACME_PAY))


def end_trial(alpha: Portal) -> None:
    installing.end_trial(alpha, seed.OUR_CLIENT_ID)


def pay_for_it(sandbox: Sandbox, alpha: Portal) -> None:
    until = sandbox.world.now() + 30 * DAY_SECONDS
    installing.pay(sandbox.world, alpha, seed.OUR_CLIENT_ID, until=until)


def silence_after_paying(sandbox: Sandbox) -> None:
    stage.during(sandbox, stage.PAY, lambda: silence(sandbox), when="after")


@pytest.mark.parametrize("status", list("FPTDS"))
def test_an_installation_from_the_marketplace_is_proved_by_the_portal_alone_and_pays(
    client: Client, sandbox: Sandbox, alpha: Portal, status: str
) -> None:
    publish(sandbox, alpha, status)
    row = install(client, sandbox, alpha)
    assert row.app_code == CODE
    frame = Frame(client, sandbox, alpha, seed.MANAGER)
    since = len(sandbox.log)

    offer = offer_in(frame.tab())

    assert {call.host for call in sandbox.log[since:]} == {"alpha.example.com"}
    assert "Paid" in pay(frame, offer)
    assert alpha.payments[seed.PAYMENT].times_paid == 1


def test_a_trial_that_ends_under_an_open_page_pays_nothing(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    frame = Frame(client, sandbox, alpha, seed.MANAGER)
    offer = offer_in(frame.tab())
    end_trial(alpha)

    assert ENDED in pay(frame, offer)

    assert not alpha.payments[seed.PAYMENT].paid
    assert not Attempt.objects.filter(state=State.PAID).exists()


def test_a_trial_that_ends_with_the_payment_is_settled_after_the_app_is_paid_for(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    frame = Frame(client, sandbox, alpha, seed.MANAGER)
    offer = offer_in(frame.tab())
    stage.during(sandbox, stage.PAY, lambda: end_trial(alpha), when="after")

    assert "Not confirmed" in pay(frame, offer)

    attempt = Attempt.objects.get()
    assert attempt.state == State.UNKNOWN
    reconcile(now=overdue())
    attempt.refresh_from_db()
    assert attempt.state == State.UNKNOWN
    pay_for_it(sandbox, alpha)
    frame.opened()
    Attempt.objects.update(due_at=overdue())
    reconcile(now=overdue())
    attempt.refresh_from_db()
    assert attempt.state == State.PAID
    assert alpha.payments[seed.PAYMENT].times_paid == 1


def test_a_managers_opening_shows_that_the_app_was_paid_for(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    """The administrator, whose sign-in serves the portal, need not open the app for it."""
    frame = Frame(client, sandbox, alpha, seed.MANAGER)
    end_trial(alpha)
    models.UserToken.objects.update(expires_at=portal.installed_at)
    with pytest.raises(ChainBroken, match="PAYMENT_REQUIRED"):
        portal_client(portal).read(PROFILE)
    pay_for_it(sandbox, alpha)

    frame.opened()

    assert portal_client(portal).read(PROFILE).user_id == seed.ADMIN


def test_in_the_days_of_grace_it_works_and_the_doctor_says_so(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    installing.pay(
        sandbox.world, alpha, seed.OUR_CLIENT_ID, until=sandbox.world.now() - 3 * DAY_SECONDS
    )
    frame = Frame(client, sandbox, alpha, seed.MANAGER)

    assert "Paid" in pay(frame, offer_in(frame.tab()))

    lines = {str(line.name): line for line in doctor.examine(portal)}
    assert not lines["Installation"].is_ok
    assert "subscription in this portal has ended" in str(lines["Installation"].found)


def test_the_event_of_a_payment_for_the_app_changes_nothing(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    """The app does not bind it; if another one with its address did, it is harmless."""
    installation = alpha.installations[seed.OUR_CLIENT_ID]
    installation.events.append(
        {"id": 1, "event": "ONAPPPAYMENT", "handler": f"{APP_URL}/event/", "auth_type": 0}
    )
    sandbox.world.outbox.clear()
    pay_for_it(sandbox, alpha)
    [delivery] = sandbox.world.outbox
    before = models.UserToken.objects.values().get()

    answer = client.post("/event/", form_body(delivery.fields), content_type=FORM)

    assert answer.status_code == 200
    assert models.UserToken.objects.values().get() == before


def test_an_update_with_another_permission_asks_for_the_installer_again(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    """Tokens keep the permissions of their version, also in pages that are open."""
    installation = alpha.installations[seed.OUR_CLIENT_ID]
    former, fewer = installation.scopes, ("crm", "sale", "placement", "user_brief")
    frame = Frame(client, sandbox, alpha, seed.MANAGER)
    offer = offer_in(frame.tab())
    installing.begin_update(alpha, seed.OUR_CLIENT_ID, scopes=fewer)

    # A page that was open before still pays with its token.
    assert "Paid" in pay(frame, offer)

    refused = post(client, "/install/", opening_fields(sandbox, alpha, seed.ADMIN))
    assert "lacks these permissions in this Bitrix24: pay_system" in words(text_of(refused, 403))
    installing.begin_update(alpha, seed.OUR_CLIENT_ID, scopes=former)
    assert install(client, sandbox, alpha).scopes >= frozenset(former)
    assert installation.finished


def test_a_token_of_a_version_without_the_permission_pays_nothing(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    former = alpha.installations[seed.OUR_CLIENT_ID].scopes
    offer = offer_in(Frame(client, sandbox, alpha, seed.MANAGER).tab())
    fewer = tuple(scope for scope in former if scope != "pay_system")
    installing.begin_update(alpha, seed.OUR_CLIENT_ID, scopes=fewer)
    frame = Frame(client, sandbox, alpha, seed.MANAGER)
    installing.begin_update(alpha, seed.OUR_CLIENT_ID, scopes=former)

    assert "permission" in pay(frame, offer)

    assert alpha.payments[seed.PAYMENT].times_paid == 0


def test_between_an_update_and_its_installer_no_event_comes_and_reconcile_settles(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    frame = Frame(client, sandbox, alpha, seed.MANAGER)
    offer = offer_in(frame.tab())
    silence_after_paying(sandbox)
    installing.begin_update(
        alpha, seed.OUR_CLIENT_ID, scopes=alpha.installations[seed.OUR_CLIENT_ID].scopes
    )
    sandbox.world.outbox.clear()
    assert "Not confirmed" in pay(frame, offer)
    assert sandbox.world.outbox == []
    sandbox.faults.clear()

    reconcile(now=overdue())

    assert Attempt.objects.get().state == State.PAID
    assert alpha.payments[seed.PAYMENT].times_paid == 1
