"""What a person sees: the payments of what they may read, and no other."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.core.cache import cache
from django.utils import timezone

from b24app.errors import AccessDenied
from b24app.identity.session import Person
from payments import reasons
from payments.attempts import messages
from payments.gateway import SMART_INVOICE
from payments.models import STALE_CLAIM, Attempt, State
from payments.visibility import Listing, MainReading
from payments.visibility.pages import PAGES_AHEAD
from payments.visibility.rows import Row
from sandbox.api.faults import Fault
from sandbox.api.registry import PAGE
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.payments import attempts, stage

pytestmark = pytest.mark.django_db

ALL_SYSTEMS = [seed.ACME_PAY, seed.DEMO_CARD_PAY, seed.OTHER_PAY]


@pytest.fixture
def own_manager(sandbox: Sandbox, manager: Person) -> Person:
    return stage.person(sandbox, manager.portal, seed.OWN_MANAGER)


def ids(listing: Listing) -> list[int]:
    return [row.payment.id for row in listing.rows]


def deal_row(who: Person, deal_id: int = seed.DEAL, payment_id: int = seed.PAYMENT) -> Row:
    return stage.row_of(stage.tab(who, deal_id), payment_id)


def system_ids(row: Row) -> list[int]:
    return [system.id for system in row.systems]


def is_unpayable(row: Row, why: object) -> bool:
    return (row.payable, row.why_not) == (False, why)


# ---- the tab


def test_a_tab_shows_all_payments_of_its_deal_newest_first(manager: Person) -> None:
    listing = stage.tab(manager, seed.SEVERAL_DEAL)
    assert ids(listing) == [275, 274, 273, 272]
    assert (listing.may_pay, listing.systems_known, listing.next_before) == (True, True, None)
    invoice = stage.tab(manager, seed.INVOICE, owner_type=SMART_INVOICE)
    assert ids(invoice) == [seed.INVOICE_PAYMENT]
    assert ids(stage.tab(manager, seed.EMPTY_DEAL)) == []


def test_a_row_says_what_it_is_about(manager: Person) -> None:
    row = deal_row(manager)
    payment = row.payment
    assert (payment.account_number, payment.currency) == ("163/1", "EUR")
    assert payment.sum == Decimal(12500)
    assert (row.payable, row.why_not, row.attempt, row.bound_fits) == (True, "", None, True)
    assert [system.name for system in row.systems] == ["Acme Pay", "Demo Card Pay", "Other Wallet"]
    offer = row.offer
    assert (offer.sum, offer.user_id) == (Decimal(12500), manager.user_id)
    assert offer.portal_id == manager.portal.pk


def test_a_deal_that_cannot_be_read_shows_nothing(sandbox: Sandbox, own_manager: Person) -> None:
    assert ids(stage.tab(own_manager, seed.OWN_DEAL)) == [seed.OWN_PAYMENT]
    with pytest.raises(AccessDenied):
        stage.tab(own_manager, seed.HIDDEN_DEAL)
    guest = stage.person(sandbox, own_manager.portal, seed.EXTRANET)
    with pytest.raises(AccessDenied):
        stage.tab(guest, seed.DEAL)
    listing = stage.main(guest)
    assert (listing.rows, listing.may_pay) == ([], False)


def test_without_the_order_right_nothing_is_payable(sandbox: Sandbox, manager: Person) -> None:
    reader = stage.person(sandbox, manager.portal, seed.READER)
    listing = stage.tab(reader, seed.DEAL)
    assert not listing.may_pay
    assert [row.payable for row in listing.rows] == [False]


def test_a_row_says_why_it_cannot_be_paid(alpha: Portal, manager: Person) -> None:
    paid = deal_row(manager, seed.PAID_DEAL, seed.PAID_PAYMENT)
    assert is_unpayable(paid, messages.why_not(reasons.ALREADY_PAID))
    canceled = stage.row_of(stage.main(manager), seed.CANCELED_PAYMENT)
    assert is_unpayable(canceled, messages.why_not(reasons.ORDER_CANCELED))
    for amount in ("0", "-0.0", "-12.50"):
        alpha.payments[seed.PAYMENT].sum = Decimal(amount)
        row = deal_row(manager)
        assert is_unpayable(row, messages.why_not(reasons.SUM_ZERO))
        assert not str(row.payment.sum).startswith("-0.0")


def test_where_no_pay_system_fits_the_row_says_so(alpha: Portal, manager: Person) -> None:
    for system in alpha.pay_systems.values():
        system.active = False
    assert is_unpayable(deal_row(manager), reasons.NO_FITTING_SYSTEM)


@pytest.mark.parametrize(
    ("deal_id", "payment_id"),
    [
        (seed.CASH_DEAL, seed.CASH_PAYMENT),
        (seed.BILL_DEAL, seed.BILL_PAYMENT),
        (seed.ACQUIRER_DEAL, seed.ACQUIRER_PAYMENT),
        (seed.INACTIVE_DEAL, seed.INACTIVE_PAYMENT),
    ],
)
def test_where_the_bound_pay_system_takes_nothing_another_has_to_be_chosen(
    manager: Person, deal_id: int, payment_id: int
) -> None:
    row = deal_row(manager, deal_id, payment_id)
    assert (row.payable, row.bound_fits) == (True, False)
    assert system_ids(row) == [row.payment.pay_system_id, *ALL_SYSTEMS]


def test_without_the_portals_token_the_bound_pay_system_is_offered(manager: Person) -> None:
    stage.lose_portal_token(manager.portal)
    listing = stage.tab(manager, seed.DEAL)
    assert not listing.systems_known
    row = stage.row_of(listing, seed.PAYMENT)
    assert row.payable
    assert [(system.id, system.name) for system in row.systems] == [(seed.ACME_PAY, "Acme Pay")]


def test_a_payment_bound_to_nothing_has_to_be_bound_first(alpha: Portal, manager: Person) -> None:
    alpha.payments[seed.PAYMENT].pay_system_id = 0
    known = deal_row(manager)
    assert (known.payable, known.bound_fits) == (True, False)
    stage.lose_portal_token(manager.portal)
    cache.clear()
    assert is_unpayable(deal_row(manager), reasons.NO_FITTING_SYSTEM)


@pytest.mark.parametrize(
    ("state", "shown", "why"),
    [(State.UNKNOWN, True, reasons.OPEN_ATTEMPT), (State.PAYING, False, "")],
    ids=["open", "an abandoned claim"],
)
def test_only_an_open_attempt_is_shown_in_its_row_and_blocks_it(
    manager: Person, state: State, shown: bool, why: object
) -> None:
    attempt = attempts.keep(
        manager.portal,
        state=state,
        created_at=timezone.now() - STALE_CLAIM * 2,
        sent_at=None,
        settled_at=None,
    )
    row = deal_row(manager)
    assert row.attempt == (attempt if shown else None)
    assert (row.payable, row.why_not) == (not shown, why)


def test_an_attempt_on_the_same_id_in_another_portal_is_not_shown(
    sandbox: Sandbox, beta: Portal, manager: Person
) -> None:
    elsewhere = stage.person(sandbox, stage.install(sandbox, beta), seed.MANAGER)
    attempts.keep(elsewhere.portal, state=State.UNKNOWN, settled_at=None)
    assert deal_row(manager).payable
    assert deal_row(elsewhere).payment.sum == 25000
    assert Attempt.objects.get() == deal_row(elsewhere).attempt


def test_only_what_is_marked_by_hand_is_asked_to_be_marked(manager: Person) -> None:
    stage.set_rules(manager.portal, limits={"EUR": "100"})
    rows = [row for row in stage.main(manager).rows if row.can_ask_to_mark]
    asking = {row.payment.id for row in rows}
    assert seed.CASH_PAYMENT in asking
    # Paid through their pay systems.
    assert not asking & {seed.PAYMENT, *seed.PLAIN_PAYMENTS, seed.OTHER_PAYMENT}
    assert not any(row.markable for row in rows)
    stage.set_rules(manager.portal, limits={})
    assert not any(row.can_ask_to_mark for row in stage.main(manager).rows)


# ---- the main page


def test_the_main_page_shows_unpaid_payments_newest_first(alpha: Portal, manager: Person) -> None:
    unpaid = [payment for payment in alpha.payments.values() if not payment.paid]
    expected = [one.id for one in unpaid if alpha.orders[one.order_id].bindings]
    listing = stage.main(manager)
    assert ids(listing) == sorted(expected, reverse=True)
    assert listing.next_before is None


def test_a_line_names_the_deal_it_belongs_to(manager: Person) -> None:
    row = stage.row_of(stage.main(manager), seed.PAYMENT)
    assert row.owner is not None
    assert row.owner.key == (2, seed.DEAL)
    assert row.owner.title == "Office chairs for the new floor"
    assert row.payment.date_bill is not None
    assert row.offer.order_id == seed.ORDER


def test_of_several_objects_the_deal_is_named_if_it_can_be_read(
    alpha: Portal, manager: Person, own_manager: Person
) -> None:
    alpha.items[SMART_INVOICE, seed.SHARED_INVOICE].responsible_id = seed.OWN_MANAGER
    expected = {manager: (2, seed.SHARED_DEAL), own_manager: (SMART_INVOICE, seed.SHARED_INVOICE)}
    for who, key in expected.items():
        owner = stage.row_of(stage.main(who), seed.SHARED_PAYMENT).owner
        assert owner is not None
        assert owner.key == key


def test_payments_of_unreadable_items_are_not_shown(own_manager: Person) -> None:
    for _ in range(2):  # With the deals of the orders unknown, and known.
        assert ids(stage.main(own_manager)) == [seed.OWN_PAYMENT]
    assert ids(stage.main(own_manager, number="177")) == []
    assert ids(stage.main(own_manager, number="176")) == [seed.OWN_PAYMENT]


def untitled(portal: Portal, listing: Listing) -> list[tuple[int, str]]:
    """Returns rows whose deal or invoice has another title than in Bitrix24."""
    return [
        (row.payment.id, row.owner.title)
        for row in listing.rows
        if row.owner is not None and row.owner.title != portal.items[row.owner.key].title
    ]


def test_an_administrator_sees_everything_with_titles(
    alpha: Portal, manager: Person, admin: Person
) -> None:
    """With the deals of the orders unknown, known, and known too long ago."""
    unpaid = {payment.id for payment in alpha.payments.values() if not payment.paid}
    for is_too_old in (False, False, True):
        if is_too_old:
            cache.clear()
        listing = stage.main(admin)
        assert set(ids(listing)) == unpaid
        assert untitled(alpha, listing) == []
    loose = stage.row_of(stage.main(admin), seed.LOOSE_PAYMENT)
    assert (loose.owner, loose.payable) == (None, True)
    assert seed.LOOSE_PAYMENT not in ids(stage.main(manager))


@pytest.mark.parametrize("is_admin", [False, True])
def test_pages_follow_each_other_without_gaps_and_with_titles(
    alpha: Portal, manager: Person, admin: Person, is_admin: bool
) -> None:
    added = seed.fill(alpha, 120)
    found: list[int] = []
    before: int | None = None
    while before is not None or not found:
        listing = stage.main(admin if is_admin else manager, before=before)
        assert untitled(alpha, listing) == []
        found += ids(listing)
        before = listing.next_before
    assert found[: len(added)] == added[::-1]
    assert len(found) == len(set(found)) > len(added)


def test_an_administrator_sees_the_list_also_where_titles_cannot_be_read(
    sandbox: Sandbox, admin: Person
) -> None:
    sandbox.faults.add(Fault("html502", method="crm.item.list", times=None))
    owner = stage.row_of(stage.main(admin), seed.PAYMENT).owner
    assert owner is not None
    assert (owner.key, owner.title) == ((2, seed.DEAL), "")


def test_whether_this_is_an_administrator_is_never_guessed(manager: Person) -> None:
    reading = MainReading(manager.portal, manager.client)
    with pytest.raises(RuntimeError):
        _ = reading.is_admin


@pytest.mark.parametrize("kind", ["status500", "query_limit", "drop"])
@pytest.mark.usefixtures("no_pauses")
def test_without_an_answer_there_is_no_link_to_set_up(
    sandbox: Sandbox, admin: Person, kind: str
) -> None:
    reading = MainReading(admin.portal, admin.client)
    asked = reading.user_batch._pendings[-1].query.method
    sandbox.faults.add(Fault(kind, method=asked, times=None))
    reading.user_batch.run()
    assert not reading.may_set_up


def test_where_a_page_has_nothing_to_see_it_looks_on(alpha: Portal, own_manager: Person) -> None:
    seed.fill(alpha, PAGE + 5)
    listing = stage.main(own_manager)
    assert ids(listing) == [seed.OWN_PAYMENT]
    assert listing.next_before is None


def test_it_looks_on_no_further_than_its_bound(
    sandbox: Sandbox, alpha: Portal, own_manager: Person
) -> None:
    seed.fill(alpha, PAGE * (PAGES_AHEAD + 2))
    since = len(sandbox.log)
    listing = stage.main(own_manager)
    assert listing.rows == []
    assert listing.next_before is not None
    read = [name for call in sandbox.log[since:] for name in call.methods]
    assert read.count("sale.payment.list") == 1 + PAGES_AHEAD
    assert ids(stage.main(own_manager, before=listing.next_before)) == [seed.OWN_PAYMENT]


def test_a_filter_that_the_portal_drops_shows_nothing_it_should_not(
    alpha: Portal, manager: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = max(ids(stage.main(manager)))
    monkeypatch.setattr("payments.gateway.payments._unpaid", lambda before: {"PAID": "N"})
    listing = stage.main(manager, before=newest)
    paid = {payment.id for payment in alpha.payments.values() if payment.paid}
    assert not set(ids(listing)) & {newest, *paid}


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        *[(typed, [seed.PAYMENT]) for typed in ("163", "163/1", "163/", "№163", "# 163/1")],
        *[(typed, []) for typed in ("16", "16%", "%", "3/1", "163/2", "170", "1_3", "/", "№")],
        # All unpaid payments of an order.
        ("164", [272]),
        ("165", [275, 274]),
    ],
)
def test_search_is_for_the_exact_number_of_order_or_payment(
    manager: Person, typed: str, found: list[int]
) -> None:
    assert ids(stage.main(manager, number=typed)) == found


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("inv-7", "INV-7"),
        ("СЧ-7", "сч-7/1"),
        ("a(1),2:3;4+5&6'", "a(1),2:3;4+5&6'/1"),
        ("50%", "50%/1"),
        ("a_b", "a_b/1"),
        ("a\\b", "a\\b/1"),
    ],
)
def test_search_finds_every_number_that_can_exist(
    alpha: Portal, manager: Person, typed: str, number: str
) -> None:
    alpha.payments[seed.PAYMENT].account_number = number
    assert ids(stage.main(manager, number=typed)) == [seed.PAYMENT]


def test_without_the_portals_token_the_persons_own_lists_payments(manager: Person) -> None:
    expected = ids(stage.main(manager))
    stage.lose_portal_token(manager.portal)
    cache.clear()
    listing = stage.main(manager)
    assert ids(listing) == expected
    assert not listing.systems_known


@pytest.mark.django_db(transaction=True)  # Another thread finds out, and asks for a new pair.
def test_where_the_portals_token_breaks_meanwhile_the_persons_own_lists_payments(
    sandbox: Sandbox, manager: Person
) -> None:
    stage.break_portal_token(sandbox, manager.portal)
    assert seed.PAYMENT in ids(stage.main(manager))


def test_orders_that_cannot_be_read_do_not_empty_the_page(
    sandbox: Sandbox, manager: Person
) -> None:
    sandbox.faults.add(Fault("true_without_payment", method="sale.order.list"))
    assert stage.row_of(stage.main(manager), seed.PAYMENT).payable


def test_a_kind_of_object_that_no_longer_exists_hides_its_orders(
    alpha: Portal, manager: Person
) -> None:
    alpha.orders[seed.ORDER].bindings = [(1064, 7)]
    shown = ids(stage.main(manager))
    assert seed.PAYMENT not in shown
    assert seed.OWN_PAYMENT in shown


def test_an_order_that_belongs_to_very_many_objects_is_read_to_the_end(
    alpha: Portal, own_manager: Person
) -> None:
    # The server sorts by the owner's id, and the one that counts comes last.
    others = [(2, number) for number in range(1, PAGE + 20)]
    alpha.orders[176].bindings = [*others, (2, seed.OWN_DEAL)]
    assert seed.OWN_PAYMENT in ids(stage.main(own_manager))
