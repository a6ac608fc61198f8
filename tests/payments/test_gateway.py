"""Bitrix24's loose JSON becomes strict values, or is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from b24app.errors import AccessDenied, OutcomeUnknown, QueryLimit, Refused, ScopeMissing
from b24app.identity.session import Person
from b24app.rest.client import Answer
from payments import gateway
from payments.attempts.pay import pay
from payments.gateway import Order, OrderLink, Owner, Rows, UnreadableRow, parsing, setup_reads
from payments.models import Approval, Attempt, RunRow, State
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.payments import stage

pytestmark = pytest.mark.django_db

PAYMENT_ROW: dict[str, Any] = {
    "accountNumber": "163/1",
    "currency": "EUR",
    "dateBill": "2024-04-03T11:08:55+02:00",
    "datePaid": None,
    "empPaidId": None,
    "id": 271,
    "orderId": 163,
    "paid": "N",
    "paySystemId": 11,
    "paySystemName": "Acme Pay",
    "sum": Decimal("12500.0"),
}


def parsed(**changes: object) -> gateway.Payment:
    row = {**PAYMENT_ROW, **changes}
    return gateway.payment(271).parse(Answer({"payment": row}))


def test_a_payment_has_sums_ids_and_times_of_one_kind() -> None:
    payment = parsed()
    assert payment.sum == Decimal(12500)
    assert payment.date_bill == datetime(2024, 4, 3, 9, 8, 55, tzinfo=UTC)
    assert (payment.paid, payment.date_paid, payment.emp_paid_id) == (False, None, None)
    assert parsed(id="271", orderId="163", sum="12500.0000", empPaidId="0", datePaid="") == payment
    answered = parsed(psResponseDate="2024-04-03T11:08:55+02:00")
    assert answered.response_at == payment.date_bill


def test_dates_of_a_payment_outlive_its_being_set_back(alpha: Portal, manager: Person) -> None:
    pay(manager, stage.offer_of(manager), pay_system_id=seed.ACME_PAY)
    manager.client.write("crm.item.payment.unpay", {"id": seed.PAYMENT})

    payment = manager.client.read(gateway.payment(seed.PAYMENT))

    assert not payment.paid
    assert payment.date_paid == alpha.payments[seed.PAYMENT].date_paid
    assert payment.response_at == alpha.payments[seed.PAYMENT].provider_data["psResponseDate"]


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        (150000, "150000"),
        ("42.125", "42.125"),
        (Decimal("0.1"), "0.1"),
        (Decimal("99.90000000001"), "99.9"),
        (Decimal("1E+2"), "100"),
        (0, "0"),
        *[(nothing, "0") for nothing in ("-0.0", "-0", "-0.00004", Decimal("-0E+2"))],
    ],
)
def test_a_sum_is_the_same_however_it_is_written(sent: object, meant: str) -> None:
    found = parsing.money(sent)
    assert (found, found.is_signed()) == (Decimal(meant), False)
    assert found.as_tuple().exponent == -4


def test_a_setting_that_was_never_set_is_left_out_whether_the_portal_names_it_or_not() -> None:
    setting = {"TYPE": "VALUE", "VALUE": "7"}
    query = setup_reads.settings(seed.ACME_PAY, person_type_id=0)
    assert query.parse(Answer({"A": setting, "B": None})) == query.parse(Answer({"A": setting}))


@pytest.mark.parametrize("sent", [None, True, "", "12,50", "abc", "NaN", "Infinity", "1E+40", []])
def test_an_unreadable_sum_is_not_guessed(sent: object) -> None:
    with pytest.raises(OutcomeUnknown):
        parsing.money(sent)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("paid", [None, True, "y"]),
        ("id", [None, "27x", -1.5, True, 0, 10**30, "9" * 4400]),
        ("paySystemId", ["eleven"]),
        ("sum", ["1e5", Decimal("1E+400"), True]),
        ("orderId", [False]),
        ("empPaidId", [-7]),
        ("currency", [5.5, None, "E" * 11]),
        ("accountNumber", [Decimal("163.5")]),
    ],
)
def test_a_payment_of_another_shape_is_not_believed(name: str, values: list[object]) -> None:
    for value in values:
        with pytest.raises(OutcomeUnknown):
            parsed(**{name: value})


@pytest.mark.parametrize(
    "sent",
    [
        "yesterday",
        "2024-04-03",
        "2024-04-03T11:08:55",
        "-0001-11-30T00:00:00+02:30",
        {},
        [],
        20240403,
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-12:00",
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["dateBill", "datePaid", "psResponseDate"])
def test_a_date_that_cannot_be_read_is_unknown_and_spoils_nothing(name: str, sent: object) -> None:
    ours = {"dateBill": "date_bill", "datePaid": "date_paid", "psResponseDate": "response_at"}[name]
    payment = parsed(**{name: sent})
    assert (getattr(payment, ours), payment.unread) == (None, frozenset({ours}))


def test_a_row_that_cannot_be_read_spoils_no_other_and_tells_what_it_can() -> None:
    rows = [
        PAYMENT_ROW,
        {**PAYMENT_ROW, "id": "272", "sum": None},
        {**PAYMENT_ROW, "id": 10**30, "orderId": [], "accountNumber": 164, "paid": "Y", "sum": {}},
        None,
        [PAYMENT_ROW],
        {**PAYMENT_ROW, "id": 273},
    ]
    found = gateway.unpaid_payments(before=None).parse(Answer({"payments": rows}))
    assert [payment.id for payment in found.read] == [271, 273]
    assert found.unreadable == (
        UnreadableRow(272, "163/1", 163),
        UnreadableRow(None, "164", None, is_paid=True),
        UnreadableRow(),
        UnreadableRow(),
    )
    assert len(found) == len(rows)
    assert all(found.may_hide(number) for number in (272, 274))


def test_texts_are_cut_to_their_columns() -> None:
    payment = parsed(accountNumber="1" * 500, paySystemName="п" * 500)
    columns = {"account_number": payment.account_number, "pay_system_name": payment.pay_system_name}
    for model in (Attempt, Approval, RunRow):
        for name, text in columns.items():
            column: Any = model._meta.get_field(name)
            assert len(text) == column.max_length


@pytest.mark.parametrize("result", [None, True, [], "", {"payments": []}, {"payment": []}])
def test_an_answer_that_is_no_payment_is_not_believed(result: object) -> None:
    with pytest.raises(OutcomeUnknown):
        gateway.payment(271).parse(Answer(result))


def test_an_empty_object_may_come_as_a_list() -> None:
    assert gateway.unpaid_payments(before=None).parse(Answer([])) == Rows()
    assert gateway.order_links([1]).parse(Answer([])).links == ()


def test_an_order_and_what_it_belongs_to() -> None:
    row = {"id": "163", "accountNumber": 163, "canceled": "Y", "personTypeId": None}
    assert gateway.order(163).parse(Answer({"order": row})) == Order(163, "163", True, None)
    page = gateway.order_links([163]).parse(
        Answer({"orderEntity": [{"orderId": 163, "ownerTypeId": "2", "ownerId": "8061"}]}, next=50)
    )
    assert page.links == (OrderLink(163, Owner(2, 8061)),)
    assert page.next == 50


def _order_right(refusal: Refused) -> bool:
    query = gateway.order_right()
    assert query.parse_refusal is not None
    return query.parse_refusal(refusal)


def test_the_order_right_shows_in_how_an_empty_question_is_refused() -> None:
    assert _order_right(Refused("ERROR_CHECK_FAILURE", "Empty field PAY_SYSTEM_ID!", 400))
    assert not _order_right(AccessDenied("ACCESS_DENIED", "Access denied!", 403))
    with pytest.raises(OutcomeUnknown):
        gateway.order_right().parse(Answer(True))
    for other in (
        AccessDenied("ACCESS_DENIED", "REST is available only on commercial plans.", 401),
        AccessDenied("ACCESS_DENIED", "REST is available only by subscription.", 401),
        ScopeMissing("insufficient_scope", "", 200),
        QueryLimit("QUERY_LIMIT_EXCEEDED", "Too many requests", 503),
        Refused("0", "", 400),
    ):
        with pytest.raises(type(other)):
            _order_right(other)


@pytest.mark.parametrize(
    ("user_id", "may"),
    [
        (seed.ADMIN, True),
        (seed.SETTINGS_ADMIN, True),
        (seed.MANAGER, True),
        (seed.READER, False),
        (seed.EXTRANET, False),
    ],
)
def test_the_portal_itself_tells_who_may_pay(
    sandbox: Sandbox, manager: Person, user_id: int, may: bool
) -> None:
    who = stage.person(sandbox, manager.portal, user_id)
    assert who.client.read(gateway.order_right()) is may


@pytest.mark.parametrize(
    "write", [gateway.pay_payment, gateway.change_pay_system], ids=lambda write: write.__name__
)
@pytest.mark.parametrize("kind", ["query_limit", "expired_token", "drop", "status500"])
def test_a_write_is_sent_once_whatever_comes_back(
    sandbox: Sandbox, manager: Person, write: Callable[..., None], kind: str
) -> None:
    sandbox.faults.add(Fault(kind, times=None))

    with pytest.raises((Refused, OutcomeUnknown)):
        write(manager.client, payment_id=seed.PAYMENT, pay_system_id=seed.ACME_PAY)

    assert len(sandbox.log) == 1


@pytest.mark.parametrize("is_older", [True, False], ids=["older", "forbids them in a batch"])
def test_a_portal_that_answers_otherwise_is_understood_as_well(
    alpha: Portal, manager: Person, is_older: bool
) -> None:
    """Methods that do not run in a batch are asked alone."""
    if is_older:
        alpha.older_build = True
    else:
        alpha.batch_forbidden = frozenset(
            {"crm.item.payment.list", "sale.paysystem.handler.list", "sale.order.list"}
        )
    row = stage.row_of(stage.tab(manager, seed.DEAL), seed.PAYMENT)
    assert [system.name for system in row.systems] == ["Acme Pay", "Demo Card Pay", "Other Wallet"]
    assert pay(manager, row.offer, pay_system_id=seed.DEMO_CARD_PAY).state == State.PAID
    assert alpha.payments[seed.PAYMENT].times_paid == 1
