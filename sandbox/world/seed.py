"""Builds the sandbox's start: two portals with the same people and ids, and different sums."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sandbox.world import world as kinds
from sandbox.world.ids import ACME_HANDLER as ACME_HANDLER
from sandbox.world.ids import ACME_PAY as ACME_PAY
from sandbox.world.ids import ACQUIRER as ACQUIRER
from sandbox.world.ids import ACQUIRER_DEAL as ACQUIRER_DEAL
from sandbox.world.ids import ACQUIRER_PAYMENT as ACQUIRER_PAYMENT
from sandbox.world.ids import ADD_ONLY as ADD_ONLY
from sandbox.world.ids import ADMIN as ADMIN
from sandbox.world.ids import ALPHA as ALPHA
from sandbox.world.ids import BETA as BETA
from sandbox.world.ids import BILL as BILL
from sandbox.world.ids import BILL_DEAL as BILL_DEAL
from sandbox.world.ids import BILL_PAYMENT as BILL_PAYMENT
from sandbox.world.ids import BUILT_IN_DEAL as BUILT_IN_DEAL
from sandbox.world.ids import CANCELED_DEAL as CANCELED_DEAL
from sandbox.world.ids import CANCELED_ORDER as CANCELED_ORDER
from sandbox.world.ids import CANCELED_PAYMENT as CANCELED_PAYMENT
from sandbox.world.ids import CASH as CASH
from sandbox.world.ids import CASH_DEAL as CASH_DEAL
from sandbox.world.ids import CASH_PAYMENT as CASH_PAYMENT
from sandbox.world.ids import COMPANY as COMPANY
from sandbox.world.ids import COMPANY_DEAL as COMPANY_DEAL
from sandbox.world.ids import COMPANY_ORDER as COMPANY_ORDER
from sandbox.world.ids import COMPANY_PAY as COMPANY_PAY
from sandbox.world.ids import COMPANY_PAYMENT as COMPANY_PAYMENT
from sandbox.world.ids import CONTACT as CONTACT
from sandbox.world.ids import DEAL as DEAL
from sandbox.world.ids import DEMO_CARD_HANDLER as DEMO_CARD_HANDLER
from sandbox.world.ids import DEMO_CARD_PAY as DEMO_CARD_PAY
from sandbox.world.ids import DEPARTMENT_ORDERS as DEPARTMENT_ORDERS
from sandbox.world.ids import DISMISSED as DISMISSED
from sandbox.world.ids import DOCUMENT as DOCUMENT
from sandbox.world.ids import DOCUMENT_PAYMENT as DOCUMENT_PAYMENT
from sandbox.world.ids import EMPTY_DEAL as EMPTY_DEAL
from sandbox.world.ids import EXTRANET as EXTRANET
from sandbox.world.ids import HIDDEN_DEAL as HIDDEN_DEAL
from sandbox.world.ids import HIDDEN_PAYMENT as HIDDEN_PAYMENT
from sandbox.world.ids import INACTIVE_DEAL as INACTIVE_DEAL
from sandbox.world.ids import INACTIVE_PAY as INACTIVE_PAY
from sandbox.world.ids import INACTIVE_PAYMENT as INACTIVE_PAYMENT
from sandbox.world.ids import INNER as INNER
from sandbox.world.ids import INNER_PAYMENT as INNER_PAYMENT
from sandbox.world.ids import INVOICE as INVOICE
from sandbox.world.ids import INVOICE_ORDER as INVOICE_ORDER
from sandbox.world.ids import INVOICE_PAY as INVOICE_PAY
from sandbox.world.ids import INVOICE_PAYMENT as INVOICE_PAYMENT
from sandbox.world.ids import JPY_DEAL as JPY_DEAL
from sandbox.world.ids import JPY_PAYMENT as JPY_PAYMENT
from sandbox.world.ids import KWD_DEAL as KWD_DEAL
from sandbox.world.ids import KWD_PAYMENT as KWD_PAYMENT
from sandbox.world.ids import LOOSE_ORDER as LOOSE_ORDER
from sandbox.world.ids import LOOSE_PAYMENT as LOOSE_PAYMENT
from sandbox.world.ids import MANAGER as MANAGER
from sandbox.world.ids import ON_DELIVERY as ON_DELIVERY
from sandbox.world.ids import ON_DELIVERY_PAYMENT as ON_DELIVERY_PAYMENT
from sandbox.world.ids import ORDER as ORDER
from sandbox.world.ids import OTHER_CLIENT_ID as OTHER_CLIENT_ID
from sandbox.world.ids import OTHER_DEAL as OTHER_DEAL
from sandbox.world.ids import OTHER_HANDLER as OTHER_HANDLER
from sandbox.world.ids import OTHER_PAY as OTHER_PAY
from sandbox.world.ids import OTHER_PAYMENT as OTHER_PAYMENT
from sandbox.world.ids import OTHER_SECRET as OTHER_SECRET
from sandbox.world.ids import OUR_CLIENT_ID as OUR_CLIENT_ID
from sandbox.world.ids import OUR_SCOPES as OUR_SCOPES
from sandbox.world.ids import OUR_SECRET as OUR_SECRET
from sandbox.world.ids import OWN_DEAL as OWN_DEAL
from sandbox.world.ids import OWN_MANAGER as OWN_MANAGER
from sandbox.world.ids import OWN_ORDERS as OWN_ORDERS
from sandbox.world.ids import OWN_PAYMENT as OWN_PAYMENT
from sandbox.world.ids import PAID_DEAL as PAID_DEAL
from sandbox.world.ids import PAID_PAYMENT as PAID_PAYMENT
from sandbox.world.ids import PAYMENT as PAYMENT
from sandbox.world.ids import PLAIN_DEALS as PLAIN_DEALS
from sandbox.world.ids import PLAIN_ORDERS as PLAIN_ORDERS
from sandbox.world.ids import PLAIN_PAYMENTS as PLAIN_PAYMENTS
from sandbox.world.ids import READER as READER
from sandbox.world.ids import SETTINGS_ADMIN as SETTINGS_ADMIN
from sandbox.world.ids import SEVERAL_DEAL as SEVERAL_DEAL
from sandbox.world.ids import SEVERAL_ORDERS as SEVERAL_ORDERS
from sandbox.world.ids import SEVERAL_PAYMENTS as SEVERAL_PAYMENTS
from sandbox.world.ids import SHARED_DEAL as SHARED_DEAL
from sandbox.world.ids import SHARED_INVOICE as SHARED_INVOICE
from sandbox.world.ids import SHARED_ORDER as SHARED_ORDER
from sandbox.world.ids import SHARED_PAYMENT as SHARED_PAYMENT
from sandbox.world.ids import UPDATE_ONLY as UPDATE_ONLY
from sandbox.world.ids import USD_DEAL as USD_DEAL
from sandbox.world.ids import USD_PAYMENT as USD_PAYMENT
from sandbox.world.ids import WEBHOOK_CODE as WEBHOOK_CODE
from sandbox.world.ids import WEBHOOK_SCOPES as WEBHOOK_SCOPES
from sandbox.world.ids import ZERO_DEAL as ZERO_DEAL
from sandbox.world.ids import ZERO_PAYMENT as ZERO_PAYMENT
from sandbox.world.installing import begin_installation as begin_installation
from sandbox.world.people import PEOPLE
from sandbox.world.world import (
    Application,
    Handler,
    Item,
    Order,
    Payment,
    PaySystem,
    Portal,
    Webhook,
    World,
)

_TITLES = {
    DEAL: "Office chairs for the new floor",
    SEVERAL_DEAL: "Coffee machines, two deliveries",
    CASH_DEAL: "Workshop tools, paid at the counter",
    BILL_DEAL: "Printed catalogue",
    ACQUIRER_DEAL: "Online course",
    OTHER_DEAL: "Gift vouchers",
    PAID_DEAL: "Reception desk",
    CANCELED_DEAL: "Trade fair stand, called off",
    ZERO_DEAL: "Free sample box",
    USD_DEAL: "Sensors for the test bench",
    JPY_DEAL: "Ceramics from the demo kiln",
    KWD_DEAL: "Date crates",
    OWN_DEAL: "Bicycle stands",
    HIDDEN_DEAL: "Confidential order",
    SHARED_DEAL: "Meeting room screens",
    COMPANY_DEAL: "Yearly maintenance",
    INACTIVE_DEAL: "Old price list",
    BUILT_IN_DEAL: "Every other way to pay",
    EMPTY_DEAL: "First talk, nothing ordered",
    PLAIN_DEALS[0]: "Inbox lamps",
    PLAIN_DEALS[1]: "Plants for the lobby",
    PLAIN_DEALS[2]: "Whiteboards",
}
_RESPONSIBLE = {OWN_DEAL: OWN_MANAGER, HIDDEN_DEAL: ADMIN}
_INVOICE_TITLES = {SHARED_INVOICE: "Invoice 501", INVOICE: "Invoice 502"}

_CUSTOMERS = {
    (kinds.COMPANY, COMPANY): "Sample Customer Ltd",
    (kinds.CONTACT, CONTACT): "Cora Contact",
}

_PAY_SYSTEMS = (
    PaySystem(CASH, "Cash", "cash", is_cash="Y"),
    PaySystem(BILL, "Bill", "bill"),
    PaySystem(ACQUIRER, "Built-in acquirer", "paypal", is_cash="A"),
    PaySystem(ON_DELIVERY, "Cash on delivery", "cashondelivery", is_cash="Y"),
    PaySystem(INNER, "Internal account", "inner"),
    PaySystem(DOCUMENT, "Invoice document", "orderdocument"),
    PaySystem(ACME_PAY, "Acme Pay", ACME_HANDLER, is_cash="A", sort=10),
    PaySystem(DEMO_CARD_PAY, "Demo Card Pay", DEMO_CARD_HANDLER, is_cash="A", sort=20),
    PaySystem(OTHER_PAY, "Other Wallet", OTHER_HANDLER, is_cash="A", sort=30),
    PaySystem(INACTIVE_PAY, "Acme Pay, retired", ACME_HANDLER, active=False),
    PaySystem(INVOICE_PAY, "Acme Pay for old invoices", ACME_HANDLER, 3, registry="CRM_INVOICE"),
    PaySystem(COMPANY_PAY, "Acme Pay for companies", ACME_HANDLER, 2, is_cash="A"),
)


_FORM = {
    "CODES": {"MERCHANT_KEY": {"NAME": "Merchant key"}, "INVOICE": {"NAME": "Payment number"}},
    "FORM_DATA": {"ACTION_URI": "https://pay.example.com/form/", "METHOD": "POST"},
}
_SETTINGS = {
    "MERCHANT_KEY": {"TYPE": "VALUE", "VALUE": "made-up-merchant-secret"},
    "INVOICE": {"TYPE": "PAYMENT", "VALUE": "ACCOUNT_NUMBER"},
}
_HANDLERS = (
    Handler(1, ACME_HANDLER, "Acme Pay", OUR_CLIENT_ID, settings=_FORM),
    Handler(2, DEMO_CARD_HANDLER, "Demo Card Pay", OUR_CLIENT_ID, settings=_FORM),
    Handler(3, OTHER_HANDLER, "Other Wallet", OTHER_CLIENT_ID, settings=_FORM),
)


def _on(deal_id: int | None, invoice_id: int | None = None) -> list[tuple[int, int]]:
    ids = ((kinds.DEAL, deal_id), (kinds.SMART_INVOICE, invoice_id))
    return [(kind, number) for kind, number in ids if number is not None]


def _several(numbers: tuple[int, ...], amount: str) -> list[tuple[int, str, int]]:
    return [(number, amount, ACME_PAY) for number in numbers]


# An order's id, the items it is bound to, its currency, its payments: id, sum, pay system.
_Row = tuple[int, list[tuple[int, int]], str, list[tuple[int, str, int]]]
_ORDERS: tuple[_Row, ...] = (
    (ORDER, _on(DEAL), "EUR", [(PAYMENT, "12500.00", ACME_PAY)]),
    (164, _on(SEVERAL_DEAL), "EUR", [(272, "400.00", ACME_PAY), (273, "600.00", ACME_PAY)]),
    (165, _on(SEVERAL_DEAL), "EUR", [(274, "99.90", DEMO_CARD_PAY), (275, "50.00", CASH)]),
    (166, _on(CASH_DEAL), "EUR", [(CASH_PAYMENT, "310.00", CASH)]),
    (167, _on(BILL_DEAL), "EUR", [(BILL_PAYMENT, "845.50", BILL)]),
    (168, _on(ACQUIRER_DEAL), "EUR", [(ACQUIRER_PAYMENT, "199.00", ACQUIRER)]),
    (169, _on(OTHER_DEAL), "EUR", [(OTHER_PAYMENT, "75.00", OTHER_PAY)]),
    (170, _on(PAID_DEAL), "EUR", [(PAID_PAYMENT, "2150.00", ACME_PAY)]),
    (CANCELED_ORDER, _on(CANCELED_DEAL), "EUR", [(CANCELED_PAYMENT, "990.00", ACME_PAY)]),
    (172, _on(ZERO_DEAL), "EUR", [(ZERO_PAYMENT, "0.00", ACME_PAY)]),
    (173, _on(USD_DEAL), "USD", [(USD_PAYMENT, "1999.99", ACME_PAY)]),
    (174, _on(JPY_DEAL), "JPY", [(JPY_PAYMENT, "150000", ACME_PAY)]),
    (175, _on(KWD_DEAL), "KWD", [(KWD_PAYMENT, "42.125", ACME_PAY)]),
    (176, _on(OWN_DEAL), "EUR", [(OWN_PAYMENT, "640.00", ACME_PAY)]),
    (177, _on(HIDDEN_DEAL), "EUR", [(HIDDEN_PAYMENT, "7700.00", ACME_PAY)]),
    (SHARED_ORDER, _on(SHARED_DEAL, SHARED_INVOICE), "EUR", _several((SHARED_PAYMENT,), "3300.00")),
    (INVOICE_ORDER, _on(None, INVOICE), "EUR", [(INVOICE_PAYMENT, "1234.56", ACME_PAY)]),
    (LOOSE_ORDER, [], "EUR", [(LOOSE_PAYMENT, "20.00", ACME_PAY)]),
    (COMPANY_ORDER, _on(COMPANY_DEAL), "EUR", [(COMPANY_PAYMENT, "4800.00", COMPANY_PAY)]),
    (182, _on(INACTIVE_DEAL), "EUR", [(INACTIVE_PAYMENT, "15.00", INACTIVE_PAY)]),
    (183, _on(BUILT_IN_DEAL), "EUR", [(ON_DELIVERY_PAYMENT, "11.00", ON_DELIVERY)]),
    (187, _on(BUILT_IN_DEAL), "EUR", [(INNER_PAYMENT, "12.00", INNER)]),
    (188, _on(BUILT_IN_DEAL), "EUR", [(DOCUMENT_PAYMENT, "13.00", DOCUMENT)]),
    (PLAIN_ORDERS[0], _on(PLAIN_DEALS[0]), "EUR", _several(PLAIN_PAYMENTS[0:3], "59.00")),
    (PLAIN_ORDERS[1], _on(PLAIN_DEALS[1]), "EUR", _several(PLAIN_PAYMENTS[3:6], "84.20")),
    (PLAIN_ORDERS[2], _on(PLAIN_DEALS[2]), "USD", _several(PLAIN_PAYMENTS[6:9], "230.00")),
)
_DAYS = 40  # how far back the oldest payment lies
_ALREADY_PAID = (SEVERAL_PAYMENTS[1], PAID_PAYMENT)


def demo_world(*, oauth_url: str, portal_urls: tuple[str, str], app_url: str) -> World:
    """Builds two portals: our app is registered but not installed, another is on both."""
    world = World(oauth_url)
    world.applications[OUR_CLIENT_ID] = _application(
        OUR_CLIENT_ID, OUR_SECRET, "Pay for Bitrix24", OUR_SCOPES, app_url
    )
    world.applications[OTHER_CLIENT_ID] = _application(
        OTHER_CLIENT_ID, OTHER_SECRET, "Other Demo App", WEBHOOK_SCOPES, "https://other.example.com"
    )
    add_portal(world, ALPHA, portal_urls[0], "Alpha Demo Portal")
    add_portal(world, BETA, portal_urls[1], "Beta Demo Portal", factor=2)
    return world


def add_portal(world: World, member_id: str, url: str, title: str, *, factor: int = 1) -> None:
    """Adds a portal with the same people and ids; `factor` multiplies its sums."""
    world.portals[member_id] = _portal(member_id, url, title, factor)
    install_other_app(world, world.portals[member_id])


def install_other_app(world: World, portal: Portal) -> None:
    """Installs the second application, as on both portals at the start."""
    begin_installation(world, portal, OTHER_CLIENT_ID).finished = True


def fill(portal: Portal, count: int, *, responsible_id: int = MANAGER) -> list[int]:
    """Adds `count` unpaid payments, each on its own deal: the most expensive shape for a list.

    They are newer than all others. Returns their ids, oldest first.
    """
    deal_id = max(id_ for type_id, id_ in portal.items if type_id == kinds.DEAL)
    order_id, payment_id = max(portal.orders), max(portal.payments)
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=count)
    added = []
    for number in range(1, count + 1):
        price = Decimal(number % 900 + 100)
        title = f"Standing order {number}"
        deal = Item(kinds.DEAL, deal_id + number, title, responsible_id, price, "EUR")
        portal.items[deal.type_id, deal.id] = deal
        order = Order(order_id + number, str(order_id + number), price, "EUR")
        order.bindings.append((deal.type_id, deal.id))
        portal.orders[order.id] = order
        payment = Payment(
            payment_id + number, order.id, f"{order.id}/1", price, "EUR", ACME_PAY,
            date_bill=start + timedelta(seconds=number),
        )  # fmt: skip
        portal.payments[payment.id] = payment
        added.append(payment.id)
    return added


def _application(
    client_id: str, client_secret: str, title: str, scopes: tuple[str, ...], url: str
) -> Application:
    return Application(
        client_id=client_id,
        client_secret=client_secret,
        code=client_id,
        title=title,
        url=f"{url}/",
        install_url=f"{url}/install/",
        event_url=f"{url}/event/",
        scopes=scopes,
    )


def _portal(member_id: str, url: str, title: str, factor: int) -> Portal:
    portal = Portal(member_id, url, title)
    portal.users = {person.id: replace(person) for person in PEOPLE}
    portal.handlers = {handler.id: deepcopy(handler) for handler in _HANDLERS}
    portal.pay_systems = {system.id: deepcopy(system) for system in _PAY_SYSTEMS}
    portal.webhooks = [Webhook(ADMIN, WEBHOOK_CODE, WEBHOOK_SCOPES)]
    portal.pay_systems[ACME_PAY].settings = deepcopy(_SETTINGS)
    for deal_id, deal_title in _TITLES.items():
        responsible_id = _RESPONSIBLE.get(deal_id, MANAGER)
        portal.items[kinds.DEAL, deal_id] = Item(
            kinds.DEAL, deal_id, deal_title, responsible_id, Decimal(0), "EUR"
        )
    for invoice_id, invoice_title in _INVOICE_TITLES.items():
        portal.items[kinds.SMART_INVOICE, invoice_id] = Item(
            kinds.SMART_INVOICE, invoice_id, invoice_title, MANAGER, Decimal(0), "EUR"
        )
    for key, name in _CUSTOMERS.items():
        portal.items[key] = Item(*key, name, MANAGER, Decimal(0), "EUR")
    portal.items[kinds.DEAL, DEAL].company_id = COMPANY
    portal.items[kinds.DEAL, DEAL].contact_id = CONTACT
    portal.items[kinds.DEAL, SEVERAL_DEAL].contact_id = CONTACT
    portal.items[kinds.SMART_INVOICE, INVOICE].company_id = COMPANY
    for row in _ORDERS:
        _add_order(portal, row, factor)
    portal.orders[CANCELED_ORDER].canceled = True
    portal.orders[COMPANY_ORDER].person_type_id = 2
    for order_id, user_id in zip(PLAIN_ORDERS, (OWN_ORDERS, MANAGER, OWN_MANAGER), strict=True):
        portal.orders[order_id].responsible_id = user_id
    for payment_id in _ALREADY_PAID:
        payment = portal.payments[payment_id]
        payment.paid, payment.emp_paid_id, payment.times_paid = True, ADMIN, 1
        payment.date_paid = payment.date_bill + timedelta(hours=2)
    return portal


def _add_order(portal: Portal, row: _Row, factor: int) -> None:
    order_id, bindings, currency, payments = row
    today = datetime.now(UTC).replace(microsecond=0)
    order = Order(order_id, str(order_id), Decimal(0), currency, bindings=list(bindings))
    portal.orders[order_id] = order
    for place, (payment_id, amount, pay_system_id) in enumerate(payments, start=1):
        payment = Payment(
            payment_id,
            order_id,
            f"{order_id}/{place}",
            Decimal(amount) * factor,
            currency,
            pay_system_id,
            date_bill=today - timedelta(days=_DAYS - (payment_id - PAYMENT)),
        )
        portal.payments[payment_id] = payment
        order.price += payment.sum
    order.date_insert = min(portal.payments[payment_id].date_bill for payment_id, _, _ in payments)
    for binding in bindings:
        item = portal.items[binding]
        item.opportunity, item.currency = item.opportunity + order.price, currency
