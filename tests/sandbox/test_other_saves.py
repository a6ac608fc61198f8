"""Two people who save one order at the same time: the last save wins, and a lock stops no REST."""

from __future__ import annotations

import pytest

from sandbox.api import other_saves
from sandbox.world import seed
from sandbox.world.other_saves import OtherSave
from tests.sandbox.asking import ask
from tests.sandbox.wire import PAY, THE_PAYMENT, Wire, in_process, over_ports

ITEM = "crm.item.payment"
ORDER = {"portal": seed.ALPHA, "order": str(seed.ORDER)}


def begin(wire: Wire, **how: bool) -> OtherSave:
    return other_saves.begin(wire.alpha, seed.ORDER, user_id=seed.ADMIN, **how)


def is_paid(wire: Wire) -> bool:
    return wire.alpha.payments[seed.PAYMENT].paid


def test_a_form_posts_the_paid_flag_that_it_was_filled_with() -> None:
    """sale/lib/payment.php: setting back to unpaid keeps date and person."""
    wire = in_process()
    save = begin(wire)
    assert ask(wire, PAY, THE_PAYMENT, user=seed.MANAGER) is True
    payment = wire.alpha.payments[seed.PAYMENT]
    paid_at = payment.date_paid
    assert payment.paid
    other_saves.end(wire.sandbox.world, wire.alpha, save)
    assert (payment.paid, payment.date_paid, payment.emp_paid_id) == (False, paid_at, seed.MANAGER)


def test_a_form_pays_again_what_was_set_back() -> None:
    wire = in_process()
    payment = wire.alpha.payments[seed.PAYMENT]
    assert ask(wire, f"{ITEM}.pay", {"id": seed.PAYMENT}, user=seed.MANAGER) is True
    save = begin(wire)
    assert ask(wire, f"{ITEM}.unpay", {"id": seed.PAYMENT}, user=seed.MANAGER) is True
    other_saves.end(wire.sandbox.world, wire.alpha, save)
    assert (payment.paid, payment.emp_paid_id, payment.times_paid) == (True, seed.ADMIN, 2)


def test_whole_rows_leave_no_trace() -> None:
    wire = in_process()
    save = begin(wire, whole_rows=True)
    assert ask(wire, PAY, {**THE_PAYMENT, "PS_SUM": "1"}, user=seed.MANAGER) is True
    payment = wire.alpha.payments[seed.PAYMENT]
    other_saves.end(wire.sandbox.world, wire.alpha, save)
    assert (payment.paid, payment.date_paid, payment.emp_paid_id) == (False, None, None)
    assert payment.provider_data == {}
    assert payment.times_paid == 1


@pytest.mark.parametrize("method", [PAY, f"{ITEM}.pay"])
def test_a_save_ends_by_itself_right_after_the_next_save_of_its_order(method: str) -> None:
    wire = in_process()
    begin(wire, ends_after_next=True)
    params = {**THE_PAYMENT, "id": seed.PAYMENT}
    another = {"PAYMENT_ID": seed.USD_PAYMENT, "PAY_SYSTEM_ID": seed.ACME_PAY}
    assert ask(wire, PAY, another, user=seed.MANAGER) is True
    assert wire.alpha.payments[seed.USD_PAYMENT].paid
    for is_paid in (False, True):
        assert ask(wire, method, params, user=seed.MANAGER) is True
        assert wire.alpha.payments[seed.PAYMENT].paid is is_paid


def test_a_lock_is_shown_and_stops_no_call() -> None:
    """sale/lib/order.php: isLocked is asked by the pages of the shop's administration alone."""
    wire = in_process()
    wire.alpha.orders[seed.ORDER].locked_by = seed.ADMIN
    order = ask(wire, "sale.order.get", {"id": seed.ORDER}, user=seed.MANAGER)["order"]
    assert order["lockedBy"] == str(seed.ADMIN)
    assert order["dateLock"]
    assert ask(wire, PAY, THE_PAYMENT, user=seed.MANAGER) is True
    assert wire.alpha.payments[seed.PAYMENT].paid


def test_both_are_switched_over_ports() -> None:
    with over_ports() as wire:
        control = f"{wire.sandbox.world.oauth_url}/_sandbox"
        assert wire.session.post(f"{control}/lock", json={**ORDER, "user": seed.ADMIN}).ok
        assert wire.alpha.orders[seed.ORDER].locked_by == seed.ADMIN
        assert wire.session.post(f"{control}/lock", json=ORDER).ok
        assert wire.alpha.orders[seed.ORDER].locked_by is None
        save = {**ORDER, "user": seed.ADMIN}
        assert wire.session.post(f"{control}/save", json={**save, "do": "begin"}).ok
        assert wire.call(PAY, THE_PAYMENT).ok
        assert is_paid(wire)
        assert wire.session.post(f"{control}/save", json={**save, "do": "end"}).ok
        assert not is_paid(wire)
        assert wire.session.post(f"{control}/save", json={**save, "do": "next"}).ok
        assert wire.call(PAY, THE_PAYMENT).ok
        assert not is_paid(wire)
        for odd in ({"do": "begin"}, {**save, "do": "never"}, {**save, "do": "end"}):
            assert wire.session.post(f"{control}/save", json=odd).status_code == 400
