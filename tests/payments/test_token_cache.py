"""The portal keeps its verdicts on tokens for an hour: an old yes, and an old no."""

from __future__ import annotations

import pytest
from django.test import Client

from b24app import models
from b24app.models import UserToken
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal, Role, TokenVerdict
from tests.b24app.portal_posts import begin, install, opening_fields, post, stored
from tests.payments import stage
from tests.payments.frames import Frame, offer_in, words
from tests.payments.unconfirmed import calls

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def portal(client: Client, sandbox: Sandbox, alpha: Portal) -> models.Portal:
    found = install(client, sandbox, alpha)
    alpha.token_cache = {}
    return found


@pytest.fixture
def frame(client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal) -> Frame:
    return Frame(client, sandbox, alpha, seed.MANAGER)


def keep(sandbox: Sandbox, alpha: Portal, access: str, *, is_valid: bool) -> None:
    assert alpha.token_cache is not None
    alpha.token_cache[access] = TokenVerdict(is_valid, sandbox.world.now() + 3600)


def own_access() -> str:
    return UserToken.objects.get(user_id=seed.MANAGER).access


def pay(frame: Frame, offer: str) -> str:
    return words(frame.send("/payments/pay/", offer=offer, pay_system_id=seed.ACME_PAY))


def test_an_old_no_about_a_stored_token_is_renewed_away(
    sandbox: Sandbox, alpha: Portal, frame: Frame
) -> None:
    offer = offer_in(frame.tab())
    keep(sandbox, alpha, own_access(), is_valid=False)
    renewed = calls(sandbox, "oauth.token")

    assert "Paid" in pay(frame, offer)

    assert calls(sandbox, "oauth.token") == renewed + 1
    assert alpha.payments[seed.PAYMENT].times_paid == 1


def test_an_old_no_at_the_last_moment_pays_nothing_and_the_next_press_pays(
    sandbox: Sandbox, alpha: Portal, frame: Frame
) -> None:
    offer = offer_in(frame.tab())
    # Before the call that pays; the reads of its checks have had their answer.
    stage.during(sandbox, stage.PAY, lambda: keep(sandbox, alpha, own_access(), is_valid=False))

    assert "Refused" in pay(frame, offer)
    assert not alpha.payments[seed.PAYMENT].paid

    assert "Paid" in pay(frame, offer_in(frame.tab()))
    assert alpha.payments[seed.PAYMENT].times_paid == 1


def test_an_old_no_about_a_posted_token_stores_nothing_and_the_next_opening_works(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    fields = opening_fields(sandbox, alpha, seed.MANAGER)
    keep(sandbox, alpha, fields["AUTH_ID"], is_valid=False)
    before = stored()

    assert post(client, "/", fields).status_code == 403

    assert stored() == before
    assert post(client, "/", opening_fields(sandbox, alpha, seed.MANAGER)).status_code == 200


def test_an_old_yes_is_the_portals_own_word_and_installs_nothing(
    client: Client, sandbox: Sandbox, alpha: Portal, beta: Portal, portal: models.Portal
) -> None:
    """What the portal lets this person do goes on for the hour; the OAuth server's no counts for
    everything that only it can prove."""
    begin(sandbox, beta)
    beta.token_cache = {}
    for where, person in ((alpha, seed.MANAGER), (beta, seed.ADMIN)):
        fields = opening_fields(sandbox, where, person)
        keep(sandbox, where, fields["AUTH_ID"], is_valid=True)
        sandbox.world.tokens[fields["AUTH_ID"]].revoked = True
        if where is alpha:
            assert post(client, "/", fields).status_code == 200
        else:
            before = stored()
            answer = post(client, "/install/", fields, domain="beta.example.com")
            assert answer.status_code == 403
            assert stored() == before


def test_an_old_yes_does_not_admit_a_dismissed_person(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    fields = opening_fields(sandbox, alpha, seed.MANAGER)
    keep(sandbox, alpha, fields["AUTH_ID"], is_valid=True)
    alpha.users[seed.MANAGER].role = Role.DISMISSED
    assert post(client, "/", fields).status_code in (401, 403)


def test_after_a_failed_proof_an_old_yes_is_not_enough(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    forged = opening_fields(sandbox, alpha, seed.MANAGER, AUTH_ID="f" * 70)
    assert post(client, "/", forged).status_code == 403
    fields = opening_fields(sandbox, alpha, seed.MANAGER)
    keep(sandbox, alpha, fields["AUTH_ID"], is_valid=True)
    sandbox.world.tokens[fields["AUTH_ID"]].revoked = True
    assert post(client, "/", fields).status_code == 403
