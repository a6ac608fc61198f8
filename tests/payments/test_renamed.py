"""A portal that was renamed while people work: not followed, found again by the next opening."""

from __future__ import annotations

from dataclasses import replace

import pytest

from b24app import models
from payments import reasons
from payments.models import Attempt, State
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.payments import stage
from tests.payments.frames import Frame, FrameOf, offer_in, text_of

pytestmark = pytest.mark.django_db

OLD, NEW = "alpha.example.com", "renamed.example.com"
MOVED = "This portal has moved to another address."


def hosts(sandbox: Sandbox) -> set[str]:
    return {call.host for call in sandbox.log}


def rename(sandbox: Sandbox, portal: Portal) -> None:
    """The former address redirects to somewhere, which may be anybody's."""
    portal.url = f"https://{NEW}"
    sandbox.world.portals["former"] = replace(portal, member_id="former", url=f"https://{OLD}")
    fault = Fault("redirect", host=OLD, times=None, url=sandbox.world.portals[seed.BETA].url)
    sandbox.faults.add(fault)
    sandbox.log.clear()


def test_pay_is_refused_with_a_message_and_the_next_opening_works(
    sandbox: Sandbox, alpha: Portal, frame: Frame, portal: models.Portal
) -> None:
    offer = offer_in(frame.tab())
    rename(sandbox, alpha)
    told = frame.send("/payments/pay/", offer=offer, pay_system_id=seed.ACME_PAY)
    assert MOVED in told
    assert "Nothing was paid" in told
    attempt = Attempt.objects.get()
    assert (attempt.state, attempt.reason) == (State.REFUSED, reasons.PORTAL_MOVED)
    assert hosts(sandbox) == {OLD}
    sandbox.log.clear()
    offer = offer_in(frame.tab())
    portal.refresh_from_db()
    assert portal.client_endpoint == f"https://{NEW}/rest/"
    first, second, *others = [call.host for call in sandbox.log]
    assert (first, second, set(others)) == (OLD, "oauth.bitrix.info", {NEW})
    frame.send("/payments/pay/", offer=offer, pay_system_id=seed.ACME_PAY)
    assert Attempt.objects.latest("pk").state == State.PAID
    assert alpha.payments[seed.PAYMENT].times_paid == 1


def test_the_list_says_so_too(sandbox: Sandbox, alpha: Portal, frame: Frame) -> None:
    rename(sandbox, alpha)
    assert MOVED in text_of(frame.get(), 504)
    assert hosts(sandbox) == {OLD}


def test_a_payment_on_its_way_is_not_confirmed_and_settled_after_the_next_opening(
    sandbox: Sandbox, alpha: Portal, frame: Frame
) -> None:
    offer = offer_in(frame.tab())
    stage.during(sandbox, stage.PAY, lambda: rename(sandbox, alpha))
    sandbox.faults.add(Fault("redirect", method=stage.PAY, url="https://beta.example.com"))
    frame.send("/payments/pay/", offer=offer, pay_system_id=seed.ACME_PAY)
    assert Attempt.objects.get().state == State.UNKNOWN
    assert MOVED in frame.send("/payments/check/", 504, offer=offer)
    assert Attempt.objects.get().state == State.UNKNOWN
    text_of(frame.opened())
    alpha.payments[seed.PAYMENT].paid = True
    frame.send("/payments/check/", offer=offer)
    assert Attempt.objects.get().state == State.PAID
    assert "beta.example.com" not in hosts(sandbox)


def test_a_former_address_that_is_gone_is_told_from_an_outage(
    sandbox: Sandbox, alpha: Portal, frame: Frame, portal: models.Portal
) -> None:
    """Nothing redirects there any more: without asking, the portal would stay locked out."""
    alpha.url = f"https://{NEW}"
    text_of(frame.opened())
    portal.refresh_from_db()
    assert portal.client_endpoint == f"https://{NEW}/rest/"


@pytest.mark.parametrize("user_id", [seed.ADMIN, seed.MANAGER])
def test_the_first_opening_after_a_move_shows_the_payments(
    frame_of: FrameOf, sandbox: Sandbox, alpha: Portal, user_id: int
) -> None:
    """Both tokens go to the new address: the person's, and the portal's for what it reads."""
    frame = frame_of(user_id)
    rename(sandbox, alpha)
    page = frame.opened()
    assert f'data-payment="{seed.PAYMENT}"' in text_of(page)
    assert f"frame-ancestors https://{NEW}" in page["Content-Security-Policy"]
    assert hosts(sandbox) == {OLD, "oauth.bitrix.info", NEW}
    asked = [call for call in sandbox.log if call.host == "oauth.bitrix.info"]
    assert len(asked) == 1


def test_a_portal_whose_new_address_redirects_as_well_gets_a_message(
    sandbox: Sandbox, alpha: Portal, frame: Frame
) -> None:
    rename(sandbox, alpha)
    sandbox.faults.add(Fault("redirect", host=NEW, times=None, url="https://third.example.com"))
    assert MOVED in text_of(frame.opened(), 504)
    assert hosts(sandbox) == {OLD, "oauth.bitrix.info", NEW}
