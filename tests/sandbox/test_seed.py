"""The sandbox's start: its people, its payments and its two portals."""

from __future__ import annotations

import time

from sandbox.world import seed, worst
from sandbox.world.world import Portal, World


def a_world() -> World:
    return seed.demo_world(
        oauth_url="https://oauth.bitrix.info",
        portal_urls=("https://alpha.example.com", "https://beta.example.com"),
        app_url="https://pay.example.com",
    )


def alpha_of(world: World) -> Portal:
    return world.portals[seed.ALPHA]


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
