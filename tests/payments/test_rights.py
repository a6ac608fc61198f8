"""Who may pay what: read from Bitrix24 with the person's own token, each time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from b24app.errors import Missing
from b24app.identity.session import Person
from payments import reasons
from payments.attempts.messages import why_not
from payments.attempts.rights import seen_under
from payments.gateway import DEAL, SMART_INVOICE, Owner
from payments.models import Attempt, State
from payments.offer import open_offer, seal
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal, Role
from tests.payments import stage
from tests.payments.pressing import press, refusal

pytestmark = pytest.mark.django_db

DEAL_1, DEAL_2, INVOICE_3, SPACE_4 = (
    Owner(DEAL, 1, "One"),
    Owner(DEAL, 2, "Two"),
    Owner(SMART_INVOICE, 3, "Three"),
    Owner(1064, 4, "Four"),
)


@pytest.fixture
def own(sandbox: Sandbox, manager: Person) -> Person:
    """A person who may read no deal but their own."""
    return stage.person(sandbox, manager.portal, seed.OWN_MANAGER)


def test_without_the_order_right_nothing_is_sent(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    """Whether it was never given or is taken away meanwhile."""
    reader = stage.person(sandbox, manager.portal, seed.READER)
    assert refusal(sandbox, reader) == reasons.NO_ORDER_RIGHT
    assert "permission" in str(why_not(reasons.NO_ORDER_RIGHT))
    offer = stage.offer_of(manager)
    alpha.users[seed.MANAGER].role = Role.READER
    assert refusal(sandbox, manager, offer) == reasons.NO_ORDER_RIGHT


def test_a_deal_that_is_out_of_sight_by_now_is_not_paid(
    sandbox: Sandbox, alpha: Portal, own: Person
) -> None:
    offer = stage.offer_of(own, deal_id=seed.OWN_DEAL, payment_id=seed.OWN_PAYMENT)
    alpha.items[DEAL, seed.OWN_DEAL].responsible_id = seed.ADMIN
    assert refusal(sandbox, own, offer) == reasons.NOT_READABLE


@pytest.mark.parametrize(
    ("deal_id", "reason"),
    [(seed.HIDDEN_DEAL, reasons.NOT_READABLE), (seed.OWN_DEAL, reasons.PAYMENT_GONE)],
    ids=["hidden", "another deal, which they may read"],
)
def test_a_deal_the_person_never_saw_is_not_paid_even_with_an_offer(
    sandbox: Sandbox, manager: Person, own: Person, deal_id: int, reason: str
) -> None:
    hidden = stage.offer_of(manager, deal_id=seed.HIDDEN_DEAL, payment_id=seed.HIDDEN_PAYMENT)
    offer = replace(hidden, user_id=seed.OWN_MANAGER, owner=Owner(DEAL, deal_id))
    assert refusal(sandbox, own, offer) == reason


@pytest.mark.parametrize("payment_id", [seed.HIDDEN_PAYMENT, seed.LOOSE_PAYMENT])
def test_an_administrator_pays_what_others_may_not_see_as_themselves(
    sandbox: Sandbox, alpha: Portal, own: Person, admin: Person, payment_id: int
) -> None:
    offer = stage.row_of(stage.main(admin), payment_id).offer
    assert refusal(sandbox, own, replace(offer, user_id=own.user_id)) == reasons.NOT_READABLE
    assert press(admin, offer).state == State.PAID
    assert alpha.payments[payment_id].emp_paid_id == seed.ADMIN


def test_an_offer_to_another_person_or_portal_does_not_exist(
    sandbox: Sandbox, alpha: Portal, beta: Portal, manager: Person
) -> None:
    elsewhere = stage.person(sandbox, stage.install(sandbox, beta), seed.MANAGER)
    offer = stage.offer_of(elsewhere)
    with pytest.raises(Missing):
        open_offer(seal(offer), manager)
    for other in (offer, replace(stage.offer_of(manager), user_id=seed.ADMIN)):
        with pytest.raises(Missing):
            press(manager, other)
    assert not Attempt.objects.exists()
    assert stage.sent_payments(sandbox) == 0

    attempt = press(elsewhere, offer)
    assert (attempt.state, attempt.portal) == (State.PAID, elsewhere.portal)
    assert beta.payments[seed.PAYMENT].times_paid == 1
    assert alpha.payments[seed.PAYMENT].times_paid == 0


def test_a_payment_is_seen_under_the_first_object_that_is_readable() -> None:
    owners = [SPACE_4, INVOICE_3, DEAL_2, DEAL_1]
    bare = [Owner(owner.type_id, owner.id) for owner in owners]
    assert seen_under(bare, readable=owners, is_admin=False) == (True, DEAL_1)
    assert seen_under(bare, readable=[SPACE_4, INVOICE_3], is_admin=False) == (True, INVOICE_3)
    assert seen_under(bare, readable=[], is_admin=False) == (False, None)
    assert seen_under(bare, readable=[], is_admin=True) == (True, Owner(DEAL, 1))


def test_what_belongs_to_nothing_is_seen_by_administrators_only() -> None:
    assert seen_under([], readable=[DEAL_1], is_admin=False) == (False, None)
    assert seen_under([], readable=[], is_admin=True) == (True, None)
