"""Who may pay what: read from Bitrix24 with the person's own token, each time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from b24app.errors import Missing
from b24app.identity.session import Person
from payments import reasons
from payments.attempts.messages import messages_of, why_not
from payments.attempts.pay import pay
from payments.attempts.rights import seen_under
from payments.gateway import DEAL, SMART_INVOICE, Owner
from payments.models import Attempt, State
from payments.offer import Offer, open_offer, seal
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal, Role
from tests.payments import stage

pytestmark = pytest.mark.django_db

DEAL_1, DEAL_2, INVOICE_3, SPACE_4 = (
    Owner(DEAL, 1, "One"),
    Owner(DEAL, 2, "Two"),
    Owner(SMART_INVOICE, 3, "Three"),
    Owner(1064, 4, "Four"),
)


def refused(sandbox: Sandbox, alpha: Portal, who: Person, offer: Offer) -> str:
    """Presses Pay, asserts that nothing was sent, and returns the reason."""
    attempt = pay(who, offer, pay_system_id=offer.pay_system_id)
    assert attempt.state == State.REFUSED
    assert messages_of(attempt)
    assert stage.sent_payments(sandbox) == 0
    assert alpha.payments[offer.payment_id].times_paid == 0
    return attempt.reason


def test_without_the_order_right_nothing_is_sent(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    reader = stage.person(sandbox, manager.portal, seed.READER)
    reason = refused(sandbox, alpha, reader, stage.offer_of(reader))
    assert reason == reasons.NO_ORDER_RIGHT
    assert "permission" in str(why_not(reason))


def test_the_order_right_taken_away_meanwhile_counts(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    offer = stage.offer_of(manager)
    alpha.users[seed.MANAGER].role = Role.READER
    assert refused(sandbox, alpha, manager, offer) == reasons.NO_ORDER_RIGHT


def test_a_deal_that_is_out_of_sight_by_now_is_not_paid(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    own = stage.person(sandbox, manager.portal, seed.OWN_MANAGER)
    offer = stage.offer_of(own, deal_id=seed.OWN_DEAL, payment_id=seed.OWN_PAYMENT)
    alpha.items[DEAL, seed.OWN_DEAL].responsible_id = seed.ADMIN
    assert refused(sandbox, alpha, own, offer) == reasons.NOT_READABLE


def test_a_deal_the_person_never_saw_is_not_paid_even_with_an_offer(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    own = stage.person(sandbox, manager.portal, seed.OWN_MANAGER)
    hidden = stage.offer_of(manager, deal_id=seed.HIDDEN_DEAL, payment_id=seed.HIDDEN_PAYMENT)
    offer = replace(hidden, user_id=seed.OWN_MANAGER)
    assert refused(sandbox, alpha, own, offer) == reasons.NOT_READABLE


def test_a_readable_deal_does_not_vouch_for_another_deals_payment(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    own = stage.person(sandbox, manager.portal, seed.OWN_MANAGER)
    hidden = stage.offer_of(manager, deal_id=seed.HIDDEN_DEAL, payment_id=seed.HIDDEN_PAYMENT)
    offer = replace(hidden, user_id=seed.OWN_MANAGER, owner=Owner(DEAL, seed.OWN_DEAL))
    assert refused(sandbox, alpha, own, offer) == reasons.PAYMENT_GONE


def test_an_order_without_a_deal_is_paid_by_an_administrator(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    admin = stage.person(sandbox, manager.portal, seed.ADMIN)
    offer = stage.row_of(stage.main(admin), seed.LOOSE_PAYMENT).offer

    reason = refused(sandbox, alpha, manager, replace(offer, user_id=seed.MANAGER))
    assert reason == reasons.NOT_READABLE

    assert pay(admin, offer, pay_system_id=seed.ACME_PAY).state == State.PAID
    assert alpha.payments[seed.LOOSE_PAYMENT].emp_paid_id == seed.ADMIN


def test_an_administrator_pays_as_themselves(
    sandbox: Sandbox, alpha: Portal, manager: Person
) -> None:
    admin = stage.person(sandbox, manager.portal, seed.ADMIN)
    offer = stage.row_of(stage.main(admin), seed.HIDDEN_PAYMENT).offer
    assert pay(admin, offer, pay_system_id=seed.ACME_PAY).state == State.PAID
    assert alpha.payments[seed.HIDDEN_PAYMENT].emp_paid_id == seed.ADMIN


def test_an_offer_of_another_portal_does_not_exist(
    sandbox: Sandbox, alpha: Portal, beta: Portal, manager: Person
) -> None:
    elsewhere = stage.person(sandbox, stage.install(sandbox, beta), seed.MANAGER)
    offer = stage.offer_of(elsewhere)

    with pytest.raises(Missing):
        open_offer(seal(offer), manager)
    with pytest.raises(Missing):
        pay(manager, offer, pay_system_id=seed.ACME_PAY)

    assert not Attempt.objects.exists()
    assert stage.sent_payments(sandbox) == 0


def test_paying_in_one_portal_touches_no_other(
    sandbox: Sandbox, alpha: Portal, beta: Portal, manager: Person
) -> None:
    elsewhere = stage.person(sandbox, stage.install(sandbox, beta), seed.MANAGER)

    attempt = pay(elsewhere, stage.offer_of(elsewhere), pay_system_id=seed.ACME_PAY)

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
