"""Whatever a portal sends in a field, in a row or in the answer to the payment itself.

2,000 examples in all, the same ones each time: one spoiled row spoils no other, no answer makes an
error of our own, and nothing is called Paid that the portal does not show as paid.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b24app import models
from payments.models import Attempt, Entry
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.payments import stage
from tests.payments.frames import Frame, text_of
from tests.payments.oddities import (
    ODD_VALUES,
    SpoiledAnswer,
    Spoiler,
    altered,
    can_be_paid,
    examples,
    is_unclear,
    paid_by_pressing,
    rows_in,
    undisturbed,
)

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(300)]

# Few rows, of deals, of an invoice, of both and of neither: each example draws them all.
KEPT_PAYMENTS = (
    *(seed.PAYMENT, *seed.SEVERAL_PAYMENTS, seed.USD_PAYMENT),
    *(seed.SHARED_PAYMENT, seed.INVOICE_PAYMENT, seed.LOOSE_PAYMENT),
)

PLACES = st.integers(0, 60)
PAYMENT_FIELDS = (
    *("", "id", "accountNumber", "sum", "currency", "paid", "paySystemId", "paySystemName"),
    *("datePaid", "dateBill", "empPaidId", "orderId"),
)
SYSTEM_FIELDS = (
    *("", "ID", "NAME", "ACTIVE", "ENTITY_REGISTRY_TYPE", "PERSON_TYPE_ID", "ACTION_FILE"),
    *("IS_CASH", "SORT"),
)


@pytest.fixture(autouse=True)
def _nothing_is_logged() -> Iterator[None]:
    """Switches logging off: pytest keeps each line, and these examples make some ten thousand."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def portal(sandbox: Sandbox, alpha: Portal) -> models.Portal:
    for number in set(alpha.payments) - set(KEPT_PAYMENTS):
        del alpha.payments[number]
    for payment in alpha.payments.values():
        payment.pay_system_id = seed.ACME_PAY  # so that each of them can be paid
    alpha.bucket_size = 10**9  # a thousand examples are more than the real one takes
    return stage.install(sandbox, alpha)


def assert_pays_once(frame: Frame, html: str, payment_id: int) -> None:
    answer = paid_by_pressing(frame, html, payment_id)
    payment = frame.portal.payments[payment_id]
    assert 'data-state="paid"' in answer, answer
    assert (payment.paid, payment.times_paid) == (True, 1)


# ---- one field of one row


def payments_touched(portal: Portal, method: str, spoiler: Spoiler) -> set[int]:
    """Returns the payments that depend on the spoiled rows."""
    if method.endswith("payment.list"):
        return spoiler.were("id")
    if method == "sale.order.list":
        orders = spoiler.were("id")
    elif method == "crm.orderentity.list":
        orders = spoiler.were("orderId")
    else:
        ids = spoiler.were("id")
        orders = {
            order.id
            for order in portal.orders.values()
            if ids & {item_id for _type, item_id in order.bindings}
        }
    return {payment.id for payment in portal.payments.values() if payment.order_id in orders}


@pytest.mark.parametrize(
    ("page", "method", "number", "names"),
    [
        ("tab", "crm.item.payment.list", 300, PAYMENT_FIELDS),
        ("main", "sale.payment.list", 250, PAYMENT_FIELDS),
        ("main", "sale.order.list", 120, ("", "id", "accountNumber", "canceled", "personTypeId")),
        ("main", "crm.orderentity.list", 120, ("", "orderId", "ownerId", "ownerTypeId")),
        ("main", "crm.item.list", 120, ("", "id", "title")),
    ],
)
def test_a_spoiled_row_spoils_no_payment_that_it_is_not_about(
    frame: Frame, page: str, method: str, number: int, names: tuple[str, ...]
) -> None:
    def read() -> str:
        return frame.tab(seed.SEVERAL_DEAL) if page == "tab" else text_of(frame.get())

    before = rows_in(read())

    @examples(number)
    @given(PLACES, st.sampled_from(names), ODD_VALUES, st.integers(0, 9))
    def check(place: int, name: str, value: Any, press: int) -> None:
        spoiler = Spoiler(place, name, value)
        with undisturbed(frame), altered(frame, method, spoiler):
            html = read()
            others = before.keys() - payments_touched(frame.portal, method, spoiler)
            shown = rows_in(html)
            assert {one: shown.get(one) for one in others} == {one: before[one] for one in others}
            sound = sorted(one for one in others if can_be_paid(shown[one]))
            if press < 1 and sound:
                assert_pays_once(frame, html, sound[place % len(sound)])

    check()


@pytest.mark.parametrize(
    ("method", "names"),
    [("sale.paysystem.list", SYSTEM_FIELDS), ("sale.paysystem.handler.list", ("", "ID", "CODE"))],
)
def test_a_spoiled_pay_system_spoils_no_payment_by_another_one(
    frame: Frame, method: str, names: tuple[str, ...]
) -> None:
    payments, systems = frame.portal.payments, frame.portal.pay_systems
    before = rows_in(frame.tab(seed.SEVERAL_DEAL))
    payable = [number for number, row in before.items() if can_be_paid(row)]

    @examples(120)
    @given(PLACES, st.sampled_from(names), ODD_VALUES, st.integers(0, 9))
    def check(place: int, name: str, value: Any, press: int) -> None:
        spoiler = Spoiler(place, name, value)
        with undisturbed(frame), altered(frame, method, spoiler):
            html = frame.tab(seed.SEVERAL_DEAL)
            shown = rows_in(html)
            assert shown.keys() == set(seed.SEVERAL_PAYMENTS)
            sound = [
                number
                for number in payable
                if payments[number].pay_system_id not in spoiler.were("ID")
                and systems[payments[number].pay_system_id].action_file not in spoiler.were("CODE")
            ]
            assert all(can_be_paid(shown[number]) for number in sound)
            if press < 2 and sound:
                assert_pays_once(frame, html, sound[press % len(sound)])

    check()


@pytest.mark.parametrize(
    ("path", "method", "names"),
    [
        ("rules/", "user.get", ("", "ID", "NAME", "LAST_NAME")),
        ("rules/", "sale.paysystem.list", SYSTEM_FIELDS),
        ("systems/", "sale.paysystem.list", (*SYSTEM_FIELDS, "DESCRIPTION", "XML_ID")),
        ("systems/", "sale.paysystem.handler.list", ("", "ID", "NAME", "CODE", "SETTINGS", "SORT")),
        ("systems/", "sale.persontype.list", ("", "id", "name")),
        ("systems/11/settings/", "sale.paysystem.handler.list", ("SETTINGS", "CODE")),
    ],
)
def test_an_administrators_screens_survive_each_spoiled_row(
    admin_frame: Frame, path: str, method: str, names: tuple[str, ...]
) -> None:
    @examples(50)
    @given(PLACES, st.sampled_from(names), ODD_VALUES)
    def check(place: int, name: str, value: Any) -> None:
        with undisturbed(admin_frame), altered(admin_frame, method, Spoiler(place, name, value)):
            answer = admin_frame.client.get(f"/payments/{path}", headers=admin_frame.headers())
            # What a person asked for by its id may be the one that cannot be read, or not be there.
            assert answer.status_code == 200 or "/11/" in path
            assert answer.status_code in (200, 404) or is_unclear(answer)

    check()


# ---- the whole answer

ANSWERS = (
    *("app.info", "profile", "sale.payment.list", "sale.order.list", "crm.orderentity.list"),
    *("crm.item.list", "sale.paysystem.list", "sale.paysystem.handler.list"),
    "sale.paysystem.settings.payment.get",
)


def test_an_unreadable_answer_is_shown_as_unclear_and_never_breaks_the_app(frame: Frame) -> None:
    @examples(200)
    @given(
        st.sampled_from(ANSWERS),
        st.sampled_from(["", "result", "total", "next", "time", "error", "error_description"]),
        ODD_VALUES,
        st.booleans(),
    )
    def check(method: str, name: str, value: Any, has_error: bool) -> None:
        spoil = SpoiledAnswer(name, value, has_error)
        with undisturbed(frame), altered(frame, method, spoil):
            answer = frame.opened()
            assert answer.status_code < 500 or is_unclear(answer), answer.content.decode()

    check()


# ---- the answer to the payment


@pytest.mark.parametrize("is_carried_out", [True, False])
def test_only_what_is_read_back_as_paid_is_called_paid_whatever_pay_answers(
    frame: Frame, is_carried_out: bool
) -> None:
    html = frame.tab()
    names = ["", "result", "error", "error_description", "time"]

    @examples(180)
    @given(st.sampled_from(names), ODD_VALUES, st.booleans())
    def check(name: str, value: Any, has_error: bool) -> None:
        with undisturbed(frame):
            if not is_carried_out:
                frame.sandbox.faults.add(Fault("true_without_payment", method=stage.PAY))
            with altered(frame, stage.PAY, SpoiledAnswer(name, value, has_error)):
                answer = paid_by_pressing(frame, html, seed.PAYMENT)
            payment = frame.portal.payments[seed.PAYMENT]
            assert payment.times_paid == int(is_carried_out)
            assert stage.sent_payments(frame.sandbox) == 1
            assert ('data-state="paid"' in answer) is is_carried_out
            attempt = Attempt.objects.get(payment_id=seed.PAYMENT)
            assert Entry.objects.filter(attempt_id=attempt.pk).count() == 1

    check()


def test_a_spoiled_read_back_never_makes_it_paid(frame: Frame) -> None:
    """Of a payment that was not carried out, whatever the rows that are read afterwards say."""
    html = frame.tab()

    @examples(130)
    @given(st.sampled_from(PAYMENT_FIELDS), ODD_VALUES)
    def check(name: str, value: Any) -> None:
        with undisturbed(frame):
            faults = frame.sandbox.faults
            spoiler = Spoiler(0, name, value)

            def spoil_from_now_on() -> None:
                faults.add(Fault("alter", stage.READ_BACK, times=None, alter=spoiler))

            lost = Fault("true_without_payment", method=stage.PAY, on_hit=spoil_from_now_on)
            faults.add(lost)
            answer = paid_by_pressing(frame, html, seed.PAYMENT)
            assert lost.hits == 1
            assert 'data-state="paid"' not in answer
            assert not Attempt.objects.filter(state="paid").exists()

    check()
