"""`sale.payment.*` and `sale.order.*`: api-reference/sale/ and the server's sale/lib/controller."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from sandbox.world import seed
from tests.sandbox.asking import ask, envelope, refused
from tests.sandbox.wire import Wire, in_process


def ids(wire: Wire, **params: Any) -> list[int]:
    answer = ask(wire, "sale.payment.list", {"select": ["id"], **params}, user=seed.MANAGER)
    return [row["id"] for row in answer["payments"]]


def everything(wire: Wire) -> list[int]:
    return sorted(wire.alpha.payments)


def update(wire: Wire, payment_id: int, **fields: Any) -> dict[str, Any]:
    params = {"id": payment_id, "fields": fields}
    row: dict[str, Any] = ask(wire, "sale.payment.update", params, user=seed.ADMIN)["payment"]
    return row


# Rights


@pytest.mark.parametrize("user", [seed.READER, seed.MANAGER, seed.OWN_MANAGER])
def test_people_with_a_crm_role_read_every_payment(user: int) -> None:
    """controllerbase.php: the shop's group right is above D; rights to deals are not checked."""
    wire = in_process()
    hidden = {"id": seed.HIDDEN_PAYMENT}
    assert ask(wire, "sale.payment.get", hidden, user=user)["payment"]["sum"] == 7700


def test_everybody_who_reads_orders_reads_their_payer_types() -> None:
    """sale/lib/controller/persontype.php; the documentation says administrator."""
    found = ask(in_process(), "sale.persontype.list", user=seed.READER)["personTypes"]
    assert [row["id"] for row in found] == [1, 2]


def test_get_fields_needs_no_right() -> None:
    """controllerbase.php: getFields checks no right; sale-payment-get-fields.md."""
    wire = in_process()
    fields = ask(wire, "sale.payment.getFields", user=seed.EXTRANET)["payment"]
    assert fields["id"] == {
        "isImmutable": False, "isReadOnly": True, "isRequired": False, "type": "integer",
    }  # fmt: skip
    assert fields["orderId"]["isImmutable"]
    assert fields["paySystemId"]["isRequired"]
    assert fields["priceCod"]["type"] == "double"
    assert list(fields) == sorted(fields)
    assert "payed" in ask(wire, "sale.order.getFields", user=seed.EXTRANET)["order"]


# One payment


def test_three_decimals_are_kept() -> None:
    """`sum` is a JSON number; parsed as a decimal it is exact."""
    wire = in_process()
    token = wire.token(seed.MANAGER)
    answer = wire.call("sale.payment.get", {"id": seed.KWD_PAYMENT}, token=token)
    assert answer.json(parse_float=Decimal)["result"]["payment"]["sum"] == Decimal("42.125")


# Lists


def test_list_has_pages_of_fifty_with_total_and_next() -> None:
    """rest/lib/engine/restmanager.php."""
    wire = in_process()
    seed.fill(wire.alpha, 60)
    count = len(wire.alpha.payments)
    first = envelope(wire, "sale.payment.list", user=seed.MANAGER)
    assert len(first["result"]["payments"]) == 50
    assert (first["total"], first["next"]) == (count, 50)
    last = envelope(wire, "sale.payment.list", {"start": 50}, user=seed.MANAGER)
    assert len(last["result"]["payments"]) == count - 50
    assert last["total"] == count
    assert "next" not in last


def test_start_is_rounded_down_to_a_page() -> None:
    """restmanager.php: page = start / 50 + 1."""
    wire = in_process()
    seed.fill(wire.alpha, 60)
    assert ids(wire, start=99) == ids(wire, start=50)
    assert ids(wire, start="49") == ids(wire)
    assert envelope(wire, "sale.payment.list", {"start": -2}, user=seed.MANAGER)["next"] == 50


def test_start_of_minus_one_does_not_count() -> None:
    """restmanager.php; api-reference/performance/huge-data.md uses it."""
    wire = in_process()
    seed.fill(wire.alpha, 60)
    answer = envelope(wire, "sale.payment.list", {"start": -1}, user=seed.MANAGER)
    assert answer.keys() == {"result", "time"}
    assert len(answer["result"]["payments"]) == 50


@pytest.mark.parametrize(
    "conditions",
    [{"ORDER_ID": 163}, {"=ORDER_ID": 163}, {"ID": 271}, {"orderid": 163}, {"nonsense": 1}],
)
def test_a_filter_with_unknown_names_returns_all_rows(
    conditions: dict[str, Any],
) -> None:
    """entity/base.php internalizeFilterFields ignores unknown names; ORDER_ID becomes
    `O_RD_ER__ID` in main/lib/text/stringhelper.php."""
    wire = in_process()
    assert ids(wire, filter=conditions) == everything(wire)


@pytest.mark.parametrize("unreadable", ["yesterday-ish", "", None])
def test_a_filter_with_an_invalid_date_returns_all_rows(unreadable: object) -> None:
    """entity/base.php internalizeFieldValue; null is an invalid date too."""
    wire = in_process()
    assert ids(wire, filter={"!datePaid": unreadable}) == everything(wire)


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({"orderId": 163}, [seed.PAYMENT]),
        ({"=orderId": "163"}, [seed.PAYMENT]),
        ({"@orderId": [163, 166]}, [seed.PAYMENT, seed.CASH_PAYMENT]),
        ({"=orderId": [163, 166]}, [seed.PAYMENT, seed.CASH_PAYMENT]),
        ({"@orderId": []}, []),
        ({"=accountNumber": "163/1"}, [seed.PAYMENT]),
        ({"%accountNumber": "63/1"}, [seed.PAYMENT]),
        ({"=paid": "Y"}, [seed.SEVERAL_PAYMENTS[1], seed.PAID_PAYMENT]),
        ({"=paid": "Y", "orderId": 170}, [seed.PAID_PAYMENT]),
        ({"=currency": "KWD"}, [seed.KWD_PAYMENT]),
        ({">sum": 12499.99, "<=sum": "12500"}, [seed.PAYMENT]),
        ({"=sum": "42.125"}, [seed.KWD_PAYMENT]),
        ({"=paySystemIsCash": "Y"}, [275, seed.CASH_PAYMENT, seed.ON_DELIVERY_PAYMENT]),
        ({"=paySystemId": seed.OTHER_PAY, "!paid": "Y"}, [seed.OTHER_PAYMENT]),
    ],
)
def test_filters(conditions: dict[str, Any], expected: list[int]) -> None:
    """sale-payment-list.md and CSqlUtil::GetFilterOperation, whose prefixes go to the ORM."""
    assert ids(in_process(), filter=conditions) == expected


def test_filter_by_date() -> None:
    """sale-payment-list.md: dates as ISO 8601."""
    wire = in_process()
    since = wire.alpha.payments[seed.PLAIN_PAYMENTS[6]].date_bill.isoformat()
    assert ids(wire, filter={">=dateBill": since}) == list(seed.PLAIN_PAYMENTS[6:])


def test_order_and_select() -> None:
    """sale-payment-list.md; unknown names are ignored here too."""
    wire = in_process()
    params = {"select": ["sum", "id", "WRONG"], "order": {"sum": "DESC", "id": "asc"}}
    rows = ask(wire, "sale.payment.list", params, user=seed.MANAGER)["payments"]
    assert [row["id"] for row in rows[:2]] == [seed.JPY_PAYMENT, seed.PAYMENT]
    assert list(rows[0]) == ["id", "sum"]
    wrong = {"select": ["ID"], "order": {"ID": "DESC"}}
    rows = ask(wire, "sale.payment.list", wrong, user=seed.MANAGER)["payments"]
    assert rows[0]["id"] == min(wire.alpha.payments)
    assert len(rows[0]) == 44, "nothing known was selected: everything is"
    star = ask(wire, "sale.payment.list", {"select": ["id", "*"]}, user=seed.MANAGER)
    assert star["payments"][0].keys() == rows[0].keys()


# Changes


def test_update_without_the_company_resets_it() -> None:
    """orderbuilder.php: COMPANY_ID falls back to 0."""
    wire = in_process()
    one = {"id": seed.PAYMENT}
    assert ask(wire, "sale.payment.get", one, user=seed.ADMIN)["payment"]["companyId"] is None
    row = update(wire, seed.PAYMENT, paySystemId=11, companyId=5)
    assert row["companyId"] == 5
    assert update(wire, seed.PAYMENT, paySystemId=11)["companyId"] == 0


def test_update_pays_by_any_pay_system_and_unpays() -> None:
    """sale-payment-update.md `paid`; sale/lib/payment.php keeps date and person when unpaying."""
    wire = in_process()
    row = update(wire, seed.CASH_PAYMENT, paySystemId=seed.CASH, paid="Y")
    assert (row["paid"], row["empPaidId"], row["psStatus"]) == ("Y", seed.ADMIN, "")
    again = update(wire, seed.CASH_PAYMENT, paySystemId=seed.CASH)
    assert again["paid"] == "Y"
    back = update(wire, seed.CASH_PAYMENT, paySystemId=seed.CASH, paid="N")
    assert (back["paid"], back["datePaid"]) == ("N", row["datePaid"])
    assert wire.alpha.payments[seed.CASH_PAYMENT].times_paid == 1


def test_update_writes_dates_and_ignores_invalid_ones() -> None:
    """entity/base.php internalizeFieldValue; unknown and read-only fields are ignored."""
    wire = in_process()
    row = update(
        wire,
        seed.PAYMENT,
        paySystemId=11,
        payVoucherDate="2025-01-02T03:04:05+00:00",
        datePayBefore="soon",
        psInvoiceId="INV-1",
        accountNumber="1/1",
        nonsense=1,
    )
    assert row["payVoucherDate"] == "2025-01-02T06:04:05+03:00"
    assert (row["datePayBefore"], row["psInvoiceId"]) == (None, "INV-1")
    assert row["accountNumber"] == "163/1"


def test_the_sum_of_a_paid_payment_is_fixed_but_its_pay_system_may_change() -> None:
    """orderbuilder.php and payment.php: SUM is guarded, PAY_SYSTEM_ID is not."""
    wire = in_process()
    fields = {"paySystemId": seed.ACME_PAY, "sum": 1}
    params = {"id": seed.PAID_PAYMENT, "fields": fields}
    refusal = refused(wire, "sale.payment.update", params, user=seed.ADMIN)
    assert (refusal.status, refusal.code) == (400, "0")
    row = update(wire, seed.PAID_PAYMENT, paySystemId=seed.CASH, sum="2150.0005")
    assert (row["paySystemName"], row["sum"]) == ("Cash", 2150)


def test_unknown_pay_system_and_cancelled_order_have_their_own_codes() -> None:
    """sale/lib/payment.php and order.php: the error codes are names, not numbers."""
    wire = in_process()
    params = {"id": seed.PAYMENT, "fields": {"paySystemId": 999}}
    refusal = refused(wire, "sale.payment.update", params, user=seed.ADMIN)
    assert refusal.code == "SALE_PAYMENT_WRONG_PAYMENT_SERVICE"
    params = {"id": seed.CANCELED_PAYMENT, "fields": {"paySystemId": 11, "paid": "Y"}}
    refusal = refused(wire, "sale.payment.update", params, user=seed.ADMIN)
    assert refusal.code == "SALE_ORDER_PAID_ORDER_CANCELED"
    assert not wire.alpha.payments[seed.CANCELED_PAYMENT].paid


def test_add() -> None:
    """sale-payment-add.md."""
    wire = in_process()
    params = {"fields": {"orderId": seed.ORDER, "paySystemId": seed.CASH, "sum": "9.99"}}
    row = ask(wire, "sale.payment.add", params, user=seed.ADMIN)["payment"]
    assert (row["accountNumber"], row["sum"], row["paid"]) == ("163/2", 9.99, "N")


def test_paid_payment_is_not_deleted() -> None:
    """payment.php delete(): SALE_PAYMENT_DELETE_EXIST_PAID."""
    wire = in_process()
    paid = {"id": seed.PAID_PAYMENT}
    refusal = refused(wire, "sale.payment.delete", paid, user=seed.ADMIN)
    assert refusal.code == "SALE_PAYMENT_DELETE_EXIST_PAID"
    assert ask(wire, "sale.payment.delete", {"id": seed.PAYMENT}, user=seed.ADMIN) is True
    assert seed.PAYMENT not in wire.alpha.payments


# Orders


def test_order_nests_its_payments_and_a_list_does_not() -> None:
    """entity/order.php; the sample of sale-order-get.md."""
    wire = in_process()
    order = ask(wire, "sale.order.get", {"id": seed.SEVERAL_ORDERS[0]}, user=seed.READER)["order"]
    assert [payment["id"] for payment in order["payments"]] == list(seed.SEVERAL_PAYMENTS[:2])
    assert (order["price"], order["canceled"], order["payed"]) == (1000, "N", "N")
    assert list(order) == sorted(order)
    rows = ask(wire, "sale.order.list", {"filter": {"=id": 164}}, user=seed.READER)["orders"]
    assert len(rows) == 1
    assert rows[0].keys() == order.keys() - {"payments"}
    assert "sumPaid" not in order


def test_order_flags() -> None:
    """`payed` in orders, `paid` in payments."""
    wire = in_process()
    names = ["id", "canceled", "payed", "personTypeId"]
    conditions = {"@id": [seed.CANCELED_ORDER, seed.COMPANY_ORDER, 170]}
    params = {"select": names, "filter": conditions}
    rows = ask(wire, "sale.order.list", params, user=seed.MANAGER)["orders"]
    assert rows == [
        {"canceled": "N", "id": 170, "payed": "Y", "personTypeId": 1},
        {"canceled": "Y", "id": seed.CANCELED_ORDER, "payed": "N", "personTypeId": 1},
        {"canceled": "N", "id": seed.COMPANY_ORDER, "payed": "N", "personTypeId": 2},
    ]
