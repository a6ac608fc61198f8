"""What a person sees: the payments of what they may read, and no other."""

from __future__ import annotations

from datetime import timedelta
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
from payments.visibility import Listing
from payments.visibility.pages import PAGES_AHEAD
from sandbox.api.faults import Fault
from sandbox.api.registry import PAGE
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.payments import stage

pytestmark = pytest.mark.django_db


@pytest.fixture
def own_manager(sandbox: Sandbox, manager: Person) -> Person:
    return stage.person(sandbox, manager.portal, seed.OWN_MANAGER)


@pytest.fixture
def admin(sandbox: Sandbox, manager: Person) -> Person:
    return stage.person(sandbox, manager.portal, seed.ADMIN)


def ids(listing: Listing) -> list[int]:
    return [row.payment.id for row in listing.rows]


def all_pages(who: Person) -> list[int]:
    listing = stage.main(who)
    found = ids(listing)
    while listing.next_before is not None:
        listing = stage.main(who, before=listing.next_before)
        found += ids(listing)
    return found


# The tab


def test_a_tab_shows_all_payments_of_its_deal_newest_first(manager: Person) -> None:
    listing = stage.tab(manager, seed.SEVERAL_DEAL)

    assert ids(listing) == [275, 274, 273, 272]
    assert listing.may_pay
    assert listing.systems_known
    assert listing.next_before is None


def test_a_row_says_what_it_is_about(manager: Person) -> None:
    row = stage.row_of(stage.tab(manager, seed.DEAL), seed.PAYMENT)

    assert (row.payment.account_number, row.payment.currency) == ("163/1", "EUR")
    assert row.payment.sum == Decimal(12500)
    assert (row.payable, row.why_not, row.attempt) == (True, "", None)
    assert row.bound_fits
    assert [system.name for system in row.systems] == ["Acme Pay", "Demo Card Pay", "Other Wallet"]
    assert row.offer.sum == Decimal(12500)
    assert (row.offer.user_id, row.offer.portal_id) == (manager.user_id, manager.portal.pk)


def test_an_invoices_tab_shows_its_payments(manager: Person) -> None:
    listing = stage.tab(manager, seed.INVOICE, owner_type=SMART_INVOICE)
    assert ids(listing) == [seed.INVOICE_PAYMENT]


def test_a_deal_without_orders_has_an_empty_tab(manager: Person) -> None:
    assert stage.tab(manager, seed.EMPTY_DEAL).rows == []


def test_a_deal_that_cannot_be_read_shows_nothing(own_manager: Person) -> None:
    assert ids(stage.tab(own_manager, seed.OWN_DEAL)) == [seed.OWN_PAYMENT]
    with pytest.raises(AccessDenied):
        stage.tab(own_manager, seed.HIDDEN_DEAL)


def test_without_the_order_right_nothing_is_payable(sandbox: Sandbox, manager: Person) -> None:
    reader = stage.person(sandbox, manager.portal, seed.READER)

    listing = stage.tab(reader, seed.DEAL)

    assert not listing.may_pay
    assert [row.payable for row in listing.rows] == [False]


@pytest.mark.parametrize(
    ("deal_id", "payment_id", "reason"),
    [
        (seed.PAID_DEAL, seed.PAID_PAYMENT, reasons.ALREADY_PAID),
        (seed.ZERO_DEAL, seed.ZERO_PAYMENT, reasons.SUM_ZERO),
    ],
)
def test_a_row_says_why_it_cannot_be_paid(
    manager: Person, deal_id: int, payment_id: int, reason: str
) -> None:
    row = stage.row_of(stage.tab(manager, deal_id), payment_id)
    assert (row.payable, row.why_not) == (False, messages.why_not(reason))


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
    row = stage.row_of(stage.tab(manager, deal_id), payment_id)

    assert row.payable
    assert not row.bound_fits
    assert row.systems[0].id == row.payment.pay_system_id
    assert [system.id for system in row.systems[1:]] == [
        seed.ACME_PAY,
        seed.DEMO_CARD_PAY,
        seed.OTHER_PAY,
    ]


def test_a_companys_order_offers_what_companies_pay_with(manager: Person) -> None:
    row = stage.row_of(stage.tab(manager, seed.COMPANY_DEAL), seed.COMPANY_PAYMENT)
    assert [system.id for system in row.systems] == [seed.COMPANY_PAY]


def test_where_no_pay_system_fits_the_row_says_so(alpha: Portal, manager: Person) -> None:
    for system in alpha.pay_systems.values():
        system.active = False

    row = stage.row_of(stage.tab(manager, seed.DEAL), seed.PAYMENT)

    assert (row.payable, row.why_not) == (False, reasons.NO_FITTING_SYSTEM)


def test_without_the_portals_token_the_bound_pay_system_is_offered(manager: Person) -> None:
    stage.lose_portal_token(manager.portal)

    listing = stage.tab(manager, seed.DEAL)

    assert not listing.systems_known
    row = stage.row_of(listing, seed.PAYMENT)
    assert row.payable
    assert [(system.id, system.name) for system in row.systems] == [(seed.ACME_PAY, "Acme Pay")]


def test_a_payment_bound_to_nothing_has_to_be_bound_first(alpha: Portal, manager: Person) -> None:
    alpha.payments[seed.PAYMENT].pay_system_id = 0
    known = stage.row_of(stage.tab(manager, seed.DEAL), seed.PAYMENT)
    stage.lose_portal_token(manager.portal)
    cache.clear()
    unknown = stage.row_of(stage.tab(manager, seed.DEAL), seed.PAYMENT)

    assert (known.payable, known.bound_fits) == (True, False)
    assert (unknown.payable, unknown.why_not) == (False, reasons.NO_FITTING_SYSTEM)


def attempt_on(who: Person, payment_id: int, state: State, *, ago: timedelta) -> Attempt:
    return Attempt.objects.create(
        portal=who.portal,
        payment_id=payment_id,
        account_number="163/1",
        pay_system_id=seed.ACME_PAY,
        bound_pay_system_id=seed.ACME_PAY,
        sum=1,
        currency="EUR",
        user_id=who.user_id,
        state=state,
        created_at=timezone.now() - ago,
    )


def test_an_open_attempt_is_shown_in_its_row(manager: Person) -> None:
    attempt = attempt_on(manager, seed.PAYMENT, State.UNKNOWN, ago=STALE_CLAIM * 2)

    row = stage.row_of(stage.tab(manager, seed.DEAL), seed.PAYMENT)

    assert row.attempt == attempt
    assert (row.payable, row.why_not) == (False, reasons.OPEN_ATTEMPT)


def test_an_abandoned_claim_does_not_block_the_payment(manager: Person) -> None:
    attempt_on(manager, seed.PAYMENT, State.PAYING, ago=STALE_CLAIM * 2)
    row = stage.row_of(stage.tab(manager, seed.DEAL), seed.PAYMENT)
    assert (row.payable, row.attempt) == (True, None)


def test_an_attempt_on_the_same_id_in_another_portal_is_not_shown(
    sandbox: Sandbox, beta: Portal, manager: Person
) -> None:
    elsewhere = stage.person(sandbox, stage.install(sandbox, beta), seed.MANAGER)
    attempt_on(elsewhere, seed.PAYMENT, State.UNKNOWN, ago=timedelta())

    row = stage.row_of(stage.tab(manager, seed.DEAL), seed.PAYMENT)

    assert row.payable
    assert stage.row_of(stage.tab(elsewhere, seed.DEAL), seed.PAYMENT).payment.sum == 25000


# The main page


def test_the_main_page_shows_unpaid_payments_newest_first(alpha: Portal, manager: Person) -> None:
    listing = stage.main(manager)

    expected = sorted(
        (
            payment.id
            for payment in alpha.payments.values()
            if not payment.paid and alpha.orders[payment.order_id].bindings
        ),
        reverse=True,
    )
    assert ids(listing) == expected
    assert listing.next_before is None


def test_a_line_names_the_deal_it_belongs_to(manager: Person) -> None:
    row = stage.row_of(stage.main(manager), seed.PAYMENT)

    assert row.owner is not None
    assert (row.owner.type_id, row.owner.id) == (2, seed.DEAL)
    assert row.owner.title == "Office chairs for the new floor"
    assert row.payment.date_bill is not None
    assert row.offer.order_id == seed.ORDER


def test_of_several_objects_the_deal_is_named_if_it_can_be_read(
    alpha: Portal, manager: Person, own_manager: Person
) -> None:
    alpha.items[SMART_INVOICE, seed.SHARED_INVOICE].responsible_id = seed.OWN_MANAGER

    owners = [
        stage.row_of(stage.main(who), seed.SHARED_PAYMENT).owner for who in (manager, own_manager)
    ]

    assert [owner.key for owner in owners if owner] == [
        (2, seed.SHARED_DEAL),
        (SMART_INVOICE, seed.SHARED_INVOICE),
    ]


def test_payments_of_unreadable_items_are_not_shown(own_manager: Person) -> None:
    for _ in range(2):  # With the deals of the orders unknown, and known.
        assert ids(stage.main(own_manager)) == [seed.OWN_PAYMENT]


def test_a_guest_of_the_company_sees_nothing(sandbox: Sandbox, manager: Person) -> None:
    guest = stage.person(sandbox, manager.portal, seed.EXTRANET)

    listing = stage.main(guest)

    assert (listing.rows, listing.may_pay) == ([], False)
    with pytest.raises(AccessDenied):
        stage.tab(guest, seed.DEAL)


def test_an_order_without_a_deal_is_for_administrators(manager: Person, admin: Person) -> None:
    assert seed.LOOSE_PAYMENT not in ids(stage.main(manager))

    row = stage.row_of(stage.main(admin), seed.LOOSE_PAYMENT)

    assert row.owner is None
    assert row.payable


def test_an_administrator_sees_everything_with_titles(alpha: Portal, admin: Person) -> None:
    unpaid = {payment.id for payment in alpha.payments.values() if not payment.paid}
    for _ in range(2):  # With the deals of the orders unknown, and known.
        listing = stage.main(admin)
        assert set(ids(listing)) == unpaid
        assert untitled(alpha, listing) == []


def test_an_administrator_sees_titles_on_each_further_page(alpha: Portal, admin: Person) -> None:
    seed.fill(alpha, 120)
    before: int | None = None
    for _ in range(3):
        listing = stage.main(admin, before=before)
        assert untitled(alpha, listing) == []
        before = listing.next_before
        assert before is not None


def test_an_administrator_sees_titles_once_the_cache_is_too_old(
    alpha: Portal, admin: Person
) -> None:
    stage.main(admin)
    cache.clear()
    assert untitled(alpha, stage.main(admin)) == []


def test_an_administrator_sees_the_list_also_where_titles_cannot_be_read(
    sandbox: Sandbox, admin: Person
) -> None:
    sandbox.faults.add(Fault("html502", method="crm.item.list", times=None))
    owner = stage.row_of(stage.main(admin), seed.PAYMENT).owner
    assert owner is not None
    assert (owner.key, owner.title) == ((2, seed.DEAL), "")


def untitled(portal: Portal, listing: Listing) -> list[tuple[int, str]]:
    """Returns rows whose deal or invoice has another title than in Bitrix24."""
    return [
        (row.payment.id, row.owner.title)
        for row in listing.rows
        if row.owner is not None and row.owner.title != portal.items[row.owner.key].title
    ]


def test_a_cancelled_order_is_told_on_the_main_page(manager: Person) -> None:
    row = stage.row_of(stage.main(manager), seed.CANCELED_PAYMENT)
    assert (row.payable, row.why_not) == (False, messages.why_not(reasons.ORDER_CANCELED))


def test_pages_follow_each_other_without_gaps(alpha: Portal, manager: Person) -> None:
    added = seed.fill(alpha, 120)

    assert all_pages(manager)[: len(added)] == added[::-1]


def test_where_a_page_has_nothing_to_see_it_looks_on(alpha: Portal, own_manager: Person) -> None:
    seed.fill(alpha, PAGE + 5)

    listing = stage.main(own_manager)

    assert ids(listing) == [seed.OWN_PAYMENT]
    assert listing.next_before is None


def test_it_looks_on_no_further_than_its_bound(
    sandbox: Sandbox, alpha: Portal, own_manager: Person
) -> None:
    seed.fill(alpha, PAGE * (PAGES_AHEAD + 2))
    calls = len(sandbox.log)

    listing = stage.main(own_manager)

    assert listing.rows == []
    assert listing.next_before is not None
    read = [name for call in sandbox.log[calls:] for name in call.methods]
    assert read.count("sale.payment.list") == 1 + PAGES_AHEAD
    assert ids(stage.main(own_manager, before=listing.next_before)) == [seed.OWN_PAYMENT]


def test_a_filter_that_the_portal_drops_shows_nothing_it_should_not(
    alpha: Portal, manager: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = max(ids(stage.main(manager)))
    monkeypatch.setattr("payments.gateway.payments._unpaid", lambda before: {"PAID": "N"})

    listing = stage.main(manager, before=newest)

    assert newest not in ids(listing)
    assert not set(ids(listing)) & {p.id for p in alpha.payments.values() if p.paid}


@pytest.mark.parametrize("number", ["163", "163/1", "163/", "№163", "# 163/1"])
def test_search_finds_by_the_number_of_order_or_payment(manager: Person, number: str) -> None:
    assert ids(stage.main(manager, number=number)) == [seed.PAYMENT]


@pytest.mark.parametrize("number", ["16", "16%", "%", "3/1", "163/2", "170", "1_3", "/", "№"])
def test_search_is_for_the_exact_number(manager: Person, number: str) -> None:
    assert ids(stage.main(manager, number=number)) == []


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


def test_search_finds_all_unpaid_payments_of_the_order(manager: Person) -> None:
    assert ids(stage.main(manager, number="164")) == [272]
    assert ids(stage.main(manager, number="165")) == [275, 274]


def test_search_shows_only_what_the_person_may_read(own_manager: Person) -> None:
    assert ids(stage.main(own_manager, number="177")) == []
    assert ids(stage.main(own_manager, number="176")) == [seed.OWN_PAYMENT]


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

    row = stage.row_of(stage.main(manager), seed.PAYMENT)

    assert row.payable


def test_a_kind_of_object_that_no_longer_exists_hides_its_orders(
    alpha: Portal, manager: Person
) -> None:
    alpha.orders[seed.ORDER].bindings = [(1064, 7)]

    listing = stage.main(manager)

    assert seed.PAYMENT not in ids(listing)
    assert seed.OWN_PAYMENT in ids(listing)


def test_an_order_that_belongs_to_very_many_objects_is_read_to_the_end(
    alpha: Portal, own_manager: Person
) -> None:
    # The server sorts by the owner's id, and the one that counts comes last.
    others = [(2, number) for number in range(1, PAGE + 20)]
    alpha.orders[176].bindings = [*others, (2, seed.OWN_DEAL)]

    assert seed.OWN_PAYMENT in ids(stage.main(own_manager))
