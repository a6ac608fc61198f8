"""`crm.item.*`, `crm.item.payment.*` and `crm.orderentity.*`, with the caller's rights.

api-reference/crm/universal/ of the documentation; crm/lib/controller/ of the server.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from sandbox.world import seed
from sandbox.world.world import DEAL, SMART_INVOICE
from tests.sandbox.asking import Refusal, ask, envelope, refused
from tests.sandbox.wire import Wire, in_process

DENIED = Refusal(400, "ACCESS_DENIED", "Access denied")
DENIED_BEFORE = Refusal(400, 0, "Insufficient permissions")
PAYMENT = "crm.item.payment"


def of_deal(deal_id: int, **params: Any) -> dict[str, Any]:
    return {"entityTypeId": DEAL, "entityId": deal_id, **params}


def item_ids(wire: Wire, user: int, **params: Any) -> list[int]:
    answer = ask(wire, "crm.item.list", {"entityTypeId": DEAL, **params}, user=user)
    return [item["id"] for item in answer["items"]]


# Items


def test_item_list_has_only_readable_items() -> None:
    """crm-item-list.md: items without the right to read are not in the selection or its total."""
    wire = in_process()
    assert item_ids(wire, seed.OWN_MANAGER) == [seed.OWN_DEAL]
    answer = envelope(wire, "crm.item.list", {"entityTypeId": DEAL}, user=seed.OWN_MANAGER)
    assert answer["total"] == 1
    assert {seed.OWN_DEAL, seed.HIDDEN_DEAL, seed.EMPTY_DEAL} <= set(item_ids(wire, seed.MANAGER))


def test_item_list_of_smart_invoices() -> None:
    """Type 31 in crm/data-types.md."""
    params = {"entityTypeId": str(SMART_INVOICE), "select": ["id", "title"]}
    items = ask(in_process(), "crm.item.list", params, user=seed.READER)["items"]
    assert items == [
        {"id": seed.SHARED_INVOICE, "title": "Invoice 501"},
        {"id": seed.INVOICE, "title": "Invoice 502"},
    ]


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({"@id": [seed.DEAL, str(seed.HIDDEN_DEAL), 999]}, [seed.DEAL, seed.HIDDEN_DEAL]),
        ({"id": [seed.DEAL, seed.OWN_DEAL]}, [seed.DEAL, seed.OWN_DEAL]),
        ({"assignedById": seed.OWN_MANAGER}, [seed.OWN_DEAL]),
        ({"companyId": seed.COMPANY}, [seed.DEAL]),
        ({"=companyId": str(seed.COMPANY)}, [seed.DEAL]),
        ({"contactId": seed.CONTACT}, [seed.DEAL, seed.SEVERAL_DEAL]),
        ({"=contactId": str(seed.CONTACT)}, [seed.DEAL, seed.SEVERAL_DEAL]),
        ({"@contactId": [seed.CONTACT], ">id": seed.DEAL}, [seed.SEVERAL_DEAL]),
        ({"=companyId": seed.CONTACT}, []),
        ({"%title": "office CHAIRS"}, [seed.DEAL]),
        ({">opportunity": 100000}, [seed.JPY_DEAL]),
        (
            {"0": {"logic": "OR", "0": {"id": seed.DEAL}, "1": {"id": seed.OWN_DEAL}}},
            [seed.DEAL, seed.OWN_DEAL],
        ),
        (
            {"0": {"logic": "OR", "0": {"id": seed.DEAL}, "1": {"id": 1}}, "!id": seed.DEAL},
            [],
        ),
    ],
)
def test_item_filters(conditions: dict[str, Any], expected: list[int]) -> None:
    """crm-item-list.md: prefixes, arrays, groups joined by OR."""
    assert item_ids(in_process(), seed.MANAGER, filter=conditions) == expected


# Payments of an item


def test_payments_of_a_deal_are_a_plain_array() -> None:
    """crm-item-payment-list.md: an array, no total, nine columns."""
    wire = in_process()
    answer = envelope(wire, f"{PAYMENT}.list", of_deal(seed.DEAL), user=seed.READER)
    assert answer.keys() == {"result", "time"}
    assert answer["result"] == [
        {
            "id": seed.PAYMENT,
            "accountNumber": "163/1",
            "paid": "N",
            "datePaid": None,
            "empPaidId": None,
            "paySystemId": seed.ACME_PAY,
            "sum": 12500,
            "currency": "EUR",
            "paySystemName": "Acme Pay",
        }
    ]


def test_payments_of_several_orders_and_of_an_invoice() -> None:
    """controller/item/payment.php listAction: all orders bound to the item, any entity type."""
    wire = in_process()
    several = ask(wire, f"{PAYMENT}.list", of_deal(seed.SEVERAL_DEAL), user=seed.MANAGER)
    assert [row["id"] for row in several] == list(seed.SEVERAL_PAYMENTS)
    for invoice, payment in (
        (seed.INVOICE, seed.INVOICE_PAYMENT),
        (seed.SHARED_INVOICE, seed.SHARED_PAYMENT),
    ):
        params = {"entityTypeId": SMART_INVOICE, "entityId": invoice}
        rows = ask(wire, f"{PAYMENT}.list", params, user=seed.MANAGER)
        assert [row["id"] for row in rows] == [payment]


def test_payments_filter_and_order() -> None:
    """crm-item-payment-list.md: as in sale.payment.list, but an unknown name is an error."""
    wire = in_process()
    params = of_deal(seed.SEVERAL_DEAL, filter={"paid": "N"}, order={"sum": "desc"})
    rows = ask(wire, f"{PAYMENT}.list", params, user=seed.MANAGER)
    assert [row["sum"] for row in rows] == [400, 99.9, 50]
    params = of_deal(seed.SEVERAL_DEAL, filter={"wrong": "N"})
    refusal = refused(wire, f"{PAYMENT}.list", params, user=seed.MANAGER)
    assert (refusal.status, refusal.code) == (400, "0")


def test_payments_of_an_unreadable_item_are_refused() -> None:
    """controller/item/payment.php: canRead of the item; older builds send the code 0."""
    wire = in_process()
    params = of_deal(seed.HIDDEN_DEAL)
    assert refused(wire, f"{PAYMENT}.list", params, user=seed.OWN_MANAGER) == DENIED
    wire.alpha.older_build = True
    assert refused(wire, f"{PAYMENT}.list", params, user=seed.OWN_MANAGER) == DENIED_BEFORE


# Rights on one payment


@pytest.mark.parametrize("older_build", [False, True])
@pytest.mark.parametrize("verb", ["get", "pay", "unpay", "update", "delete"])
def test_rights_to_the_deal_of_a_payment_are_not_checked(verb: str, older_build: bool) -> None:
    """controller/item/payment.php: canRead and canUpdate of the Order, in every build."""
    wire = in_process()
    wire.alpha.older_build = older_build
    params = {"id": seed.HIDDEN_PAYMENT, "fields": {"paySystemId": seed.ACME_PAY}}
    ask(wire, f"{PAYMENT}.{verb}", params, user=seed.OWN_MANAGER)


def test_reader_reads_and_changes_nothing() -> None:
    """crm-item-payment-pay.md: the right to modify."""
    wire = in_process()
    params = {"id": seed.PAYMENT}
    assert ask(wire, f"{PAYMENT}.get", params, user=seed.READER)["accountNumber"] == "163/1"
    assert refused(wire, f"{PAYMENT}.pay", params, user=seed.READER) == DENIED
    loose = {"id": seed.LOOSE_PAYMENT}
    assert refused(wire, f"{PAYMENT}.pay", loose, user=seed.READER) == DENIED
    assert ask(wire, f"{PAYMENT}.pay", loose, user=seed.OWN_MANAGER) is True


# Paying by hand


@pytest.mark.parametrize(
    "payment_id",
    [
        seed.PAYMENT,
        seed.CASH_PAYMENT,
        seed.BILL_PAYMENT,
        seed.ACQUIRER_PAYMENT,
        seed.OTHER_PAYMENT,
        seed.ON_DELIVERY_PAYMENT,
    ],
)
def test_a_payment_by_any_pay_system_can_be_marked_as_paid(payment_id: int) -> None:
    """crm-item-payment-pay.md; payAction calls no handler and writes no PS_* field."""
    wire = in_process()
    assert ask(wire, f"{PAYMENT}.pay", {"id": str(payment_id)}, user=seed.MANAGER) is True
    payment = wire.alpha.payments[payment_id]
    assert (payment.paid, payment.emp_paid_id, payment.times_paid) == (True, seed.MANAGER, 1)
    assert payment.provider_data == {"isReturn": "N"}


def test_marking_as_paid_again_changes_nothing() -> None:
    """main/lib entity: an equal value is no change."""
    wire = in_process()
    wire.sandbox.world.advance(60)
    before = wire.alpha.payments[seed.PAID_PAYMENT].date_paid
    assert ask(wire, f"{PAYMENT}.pay", {"id": seed.PAID_PAYMENT}, user=seed.MANAGER) is True
    after = wire.alpha.payments[seed.PAID_PAYMENT]
    assert (after.date_paid, after.emp_paid_id, after.times_paid) == (before, seed.ADMIN, 1)


def test_internal_account_and_cancelled_order_are_refused() -> None:
    """innerhandler.php: not enough money; order.php: a cancelled order is not paid."""
    wire = in_process()
    inner = refused(wire, f"{PAYMENT}.pay", {"id": seed.INNER_PAYMENT}, user=seed.MANAGER)
    assert (inner.status, inner.code) == (400, "0")
    params = {"id": seed.CANCELED_PAYMENT}
    canceled = refused(wire, f"{PAYMENT}.pay", params, user=seed.MANAGER)
    assert (canceled.status, canceled.code) == (400, "SALE_ORDER_PAID_ORDER_CANCELED")
    assert not wire.alpha.payments[seed.INNER_PAYMENT].paid


# Changing, adding, deleting


def test_update_changes_the_pay_system_and_its_name() -> None:
    """crm-item-payment-update.md: only paid and paySystemId can be changed."""
    wire = in_process()
    params = {"id": seed.PAYMENT, "fields": {"paySystemId": "12", "sum": 1}}
    assert ask(wire, f"{PAYMENT}.update", params, user=seed.MANAGER) is True
    row = ask(wire, f"{PAYMENT}.get", {"id": seed.PAYMENT}, user=seed.MANAGER)
    assert (row["paySystemId"], row["paySystemName"]) == (seed.DEMO_CARD_PAY, "Demo Card Pay")
    assert (row["sum"], row["paid"]) == (12500, "N")


def test_add_makes_a_payment_with_a_sum_of_zero() -> None:
    """crm-item-payment-add.md; getFieldsOnAddForBuilder: SUM 0, on the first order bound."""
    wire = in_process()
    params = of_deal(seed.DEAL, fields={"paySystemId": seed.CASH})
    added = wire.alpha.payments[ask(wire, f"{PAYMENT}.add", params, user=seed.MANAGER)]
    assert (added.account_number, added.sum) == ("163/2", Decimal(0))
    assert added.pay_system_id == seed.CASH


def test_add_makes_an_order_for_an_item_without_one() -> None:
    """getFieldsOnAddForBuilder: OWNER_ID instead of an order's ID."""
    wire = in_process()
    params = of_deal(seed.EMPTY_DEAL)
    payment_id = ask(wire, f"{PAYMENT}.add", params, user=seed.MANAGER)
    rows = ask(wire, f"{PAYMENT}.list", params, user=seed.MANAGER)
    assert [row["id"] for row in rows] == [payment_id]


def test_delete() -> None:
    """crm-item-payment-delete.md; a paid payment is refused."""
    wire = in_process()
    refusal = refused(wire, f"{PAYMENT}.delete", {"id": seed.PAID_PAYMENT}, user=seed.MANAGER)
    assert refusal.code == "SALE_PAYMENT_DELETE_EXIST_PAID"
    assert ask(wire, f"{PAYMENT}.delete", {"id": seed.PAYMENT}, user=seed.MANAGER) is True
    assert seed.PAYMENT not in wire.alpha.payments


# Bindings of orders


def test_bindings_have_the_items_of_an_order() -> None:
    """crm-order-entity-list.md, its example: three deals' orders."""
    wire = in_process()
    params = {
        "filter": {"=ownerTypeId": DEAL, "@ownerId": [seed.SEVERAL_DEAL, seed.DEAL]},
        "order": {"orderId": "asc"},
        "select": ["orderId", "ownerId"],
    }
    answer = envelope(wire, "crm.orderentity.list", params, user=seed.READER)
    assert answer["result"] == {
        "orderEntity": [
            {"orderId": seed.ORDER, "ownerId": seed.DEAL},
            {"orderId": seed.SEVERAL_ORDERS[0], "ownerId": seed.SEVERAL_DEAL},
            {"orderId": seed.SEVERAL_ORDERS[1], "ownerId": seed.SEVERAL_DEAL},
        ]
    }
    assert answer["total"] == 3


def test_bindings_of_an_order_with_two_items_and_of_one_without() -> None:
    """id and type of the owner; the default order is OWNER_ID."""
    wire = in_process()
    params = {"filter": {"@orderId": [seed.SHARED_ORDER, seed.LOOSE_ORDER]}}
    rows = ask(wire, "crm.orderentity.list", params, user=seed.MANAGER)["orderEntity"]
    assert rows == [
        {"orderId": 178, "ownerId": seed.SHARED_INVOICE, "ownerTypeId": SMART_INVOICE},
        {"orderId": 178, "ownerId": seed.SHARED_DEAL, "ownerTypeId": DEAL},
    ]


def test_bindings_need_the_shops_right_and_have_pages() -> None:
    """crm/lib/controller/orderentity.php: rights and numbers of the sale controllers."""
    wire = in_process()
    seed.fill(wire.alpha, 60)
    assert refused(wire, "crm.orderentity.list", user=seed.EXTRANET) == Refusal(
        400, "200040300010", "Access Denied"
    )
    answer = envelope(wire, "crm.orderentity.list", user=seed.OWN_MANAGER)
    assert (len(answer["result"]["orderEntity"]), answer["next"]) == (50, 50)
    answer = envelope(wire, "crm.orderentity.list", {"start": -1}, user=seed.MANAGER)
    assert answer.keys() == {"result", "time"}


def test_the_fields_of_a_binding() -> None:
    """crm-order-entity-get-fields.md."""
    fields = ask(in_process(), "crm.orderentity.getFields", user=seed.READER)["orderEntity"]
    integer = {"isImmutable": True, "isReadOnly": False, "isRequired": True, "type": "integer"}
    assert fields == dict.fromkeys(("orderId", "ownerId", "ownerTypeId"), integer)
