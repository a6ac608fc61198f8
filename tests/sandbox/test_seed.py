"""The sandbox's start: its people, its payments and its two portals."""

from __future__ import annotations

import time
from decimal import Decimal

import pytest

from sandbox.world import seed, worst
from sandbox.world.world import DEAL, SMART_INVOICE, Portal, World


def a_world() -> World:
    return seed.demo_world(
        oauth_url="https://oauth.bitrix.info",
        portal_urls=("https://alpha.example.com", "https://beta.example.com"),
        app_url="https://pay.example.com",
    )


def alpha_of(world: World) -> Portal:
    return world.portals[seed.ALPHA]


def test_the_documented_example_exists() -> None:
    """Deal 8061 and account number 163/1 are in the documentation of widgets and payments."""
    portal = alpha_of(a_world())
    payment = portal.payments[seed.PAYMENT]
    assert (payment.account_number, payment.sum, payment.currency) == (
        "163/1", Decimal("12500.00"), "EUR",
    )  # fmt: skip
    assert portal.orders[payment.order_id].bindings == [(DEAL, 8061)]
    assert portal.pay_systems[payment.pay_system_id].name == "Acme Pay"


def test_our_application_is_registered_but_not_installed() -> None:
    world = a_world()
    application = world.applications[seed.OUR_CLIENT_ID]
    assert application.url == "https://pay.example.com/"
    assert application.install_url == "https://pay.example.com/install/"
    assert application.event_url == "https://pay.example.com/event/"
    for portal in world.portals.values():
        assert seed.OUR_CLIENT_ID not in portal.installations
        assert portal.installations[seed.OTHER_CLIENT_ID].finished


def test_the_same_ids_have_other_sums_on_the_other_portal() -> None:
    world = a_world()
    alpha, beta = world.portals[seed.ALPHA], world.portals[seed.BETA]
    assert alpha.payments.keys() == beta.payments.keys()
    assert all(beta.payments[key].sum == 2 * payment.sum for key, payment in alpha.payments.items())


def test_portals_share_no_object() -> None:
    world = a_world()
    alpha, beta = world.portals[seed.ALPHA], world.portals[seed.BETA]
    alpha.pay_systems[seed.ACME_PAY].settings["MERCHANT_KEY"]["VALUE"] = "changed"
    alpha.users[seed.MANAGER].name = "Changed"
    alpha.orders[seed.ORDER].bindings.clear()
    assert beta.pay_systems[seed.ACME_PAY].settings["MERCHANT_KEY"]["VALUE"] != "changed"
    assert beta.users[seed.MANAGER].name == "Max"
    assert beta.orders[seed.ORDER].bindings


@pytest.mark.parametrize(
    ("payment_id", "action_file"),
    [
        (seed.PAYMENT, seed.ACME_HANDLER),
        (seed.CASH_PAYMENT, "cash"),
        (seed.BILL_PAYMENT, "bill"),
        (seed.ACQUIRER_PAYMENT, "paypal"),
        (seed.OTHER_PAYMENT, seed.OTHER_HANDLER),
        (seed.ON_DELIVERY_PAYMENT, "cashondelivery"),
        (seed.INNER_PAYMENT, "inner"),
        (seed.DOCUMENT_PAYMENT, "orderdocument"),
    ],
)
def test_every_kind_of_pay_system_has_an_unpaid_payment(payment_id: int, action_file: str) -> None:
    portal = alpha_of(a_world())
    payment = portal.payments[payment_id]
    assert not payment.paid
    assert portal.pay_systems[payment.pay_system_id].action_file == action_file


def test_the_ids_have_the_states_in_their_names() -> None:
    portal = alpha_of(a_world())
    assert portal.payments[seed.PAID_PAYMENT].paid
    assert portal.payments[seed.PAID_PAYMENT].times_paid == 1
    canceled = portal.payments[seed.CANCELED_PAYMENT]
    assert portal.orders[canceled.order_id].canceled
    assert portal.payments[seed.ZERO_PAYMENT].sum == 0
    assert portal.payments[seed.JPY_PAYMENT].sum == Decimal(150000)
    assert portal.payments[seed.KWD_PAYMENT].sum == Decimal("42.125")
    assert portal.orders[seed.LOOSE_ORDER].bindings == []
    assert portal.orders[seed.COMPANY_ORDER].person_type_id == 2
    assert not portal.pay_systems[seed.INACTIVE_PAY].active
    assert portal.pay_systems[seed.INVOICE_PAY].registry == "CRM_INVOICE"
    assert portal.payments_of(DEAL, seed.EMPTY_DEAL) == []
    several = portal.payments_of(DEAL, seed.SEVERAL_DEAL)
    assert [payment.id for payment in several] == list(seed.SEVERAL_PAYMENTS)
    assert {payment.order_id for payment in several} == set(seed.SEVERAL_ORDERS)


def test_one_order_is_bound_to_a_deal_and_an_invoice() -> None:
    portal = alpha_of(a_world())
    by_deal = portal.payments_of(DEAL, seed.SHARED_DEAL)
    by_invoice = portal.payments_of(SMART_INVOICE, seed.SHARED_INVOICE)
    assert by_deal == by_invoice
    assert [payment.id for payment in by_deal] == [seed.SHARED_PAYMENT]
    of_invoice = portal.payments_of(SMART_INVOICE, seed.INVOICE)
    assert [payment.id for payment in of_invoice] == [seed.INVOICE_PAYMENT]


def test_the_manager_of_own_deals_sees_one_deal() -> None:
    portal = alpha_of(a_world())
    person = portal.users[seed.OWN_MANAGER]
    assert person.may_edit_orders
    seen = [item.id for item in portal.items.values() if portal.may_read(person, item)]
    assert seen == [seed.OWN_DEAL]


def test_an_installation_begins_once_and_again_after_a_removal() -> None:
    world = a_world()
    portal = alpha_of(world)
    first = seed.begin_installation(world, portal, seed.OUR_CLIENT_ID)
    assert not first.finished
    assert seed.begin_installation(world, portal, seed.OUR_CLIENT_ID) is first
    first.removed = True
    second = seed.begin_installation(world, portal, seed.OUR_CLIENT_ID)
    assert second.application_token != first.application_token
    assert second.id != first.id


def test_five_thousand_payments_are_added_within_a_second() -> None:
    portal = alpha_of(a_world())
    before = set(portal.payments)
    started = time.process_time()
    added = seed.fill(portal, 5000)
    assert time.process_time() - started < 1
    assert set(added) == portal.payments.keys() - before
    dates = [portal.payments[payment_id].date_bill for payment_id in added]
    assert dates == sorted(dates)
    assert dates[0] > max(portal.payments[payment_id].date_bill for payment_id in before)
    deals = {portal.orders[portal.payments[key].order_id].bindings[0] for key in added}
    assert len(deals) == 5000


def test_the_longest_texts_are_within_bitrix24s_limits() -> None:
    alpha = alpha_of(a_world())
    unpaid = {payment.id for payment in alpha.payments.values() if not payment.paid}
    worst.worsen(alpha)
    numbers = [payment.account_number for payment in alpha.payments.values()]
    assert len(set(numbers)) == len(numbers)
    assert 60 <= max(map(len, numbers)) <= 100
    titles = [item.title for item in alpha.items.values()]
    assert max(len(word) for title in titles for word in title.split()) >= 120
    assert max(map(len, titles)) <= 255
    assert 90 <= max(len(system.name) for system in alpha.pay_systems.values()) <= 255
    assert {payment.id for payment in alpha.payments.values() if not payment.paid} == unpaid
