"""The totals of the history: of paid attempts, by currency, pay system and day."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from b24app import models
from payments.history.filters import Filter
from payments.history.query import visible_to
from payments.history.totals import LONGEST_DAYS, Totals, totals
from payments.models import Kind, State
from sandbox.world import seed
from tests import clocks
from tests.payments import attempts
from tests.payments.frames import Frame, words
from tests.payments.test_history import FOUND, SCREEN

pytestmark = pytest.mark.django_db


def totals_of(portal: models.Portal, wanted: Filter | None = None) -> Totals:
    visible = visible_to(portal, seed.ADMIN, is_admin=True)
    with timezone.override(portal.zone):
        return totals(visible, wanted or Filter(), systems={seed.ACME_PAY: "Acme Pay"})


def test_totals_are_of_attempts_that_are_paid_and_stayed_so(portal: models.Portal) -> None:
    attempts.keep(portal, sum=Decimal("0.10"))
    attempts.keep(portal, sum=Decimal("0.20"))
    attempts.keep(portal, kind=Kind.MARK, sum=Decimal("5"))
    undone = attempts.keep(portal, sum=Decimal("1000"))
    attempts.keep(portal, kind=Kind.UNDO, state=State.UNDONE, undoes=undone, sum=Decimal("1000"))
    kept = attempts.keep(portal, sum=Decimal("7"))
    attempts.keep(portal, kind=Kind.UNDO, state=State.REFUSED, undoes=kept, sum=Decimal("7"))
    for place, state in enumerate((State.REFUSED, State.UNKNOWN, State.CLOSED), 50):
        attempts.keep(portal, payment_id=place, state=state, sum=Decimal("99"))
    (euros,) = totals_of(portal).currencies
    assert (euros.all.paid, euros.all.marked) == (Decimal("7.3"), Decimal("5"))
    assert (euros.all.sum, euros.all.count) == (Decimal("12.3"), 4)
    assert euros.systems == [("Acme Pay", euros.all)]


def test_currencies_are_never_added_up_and_totals_follow_the_filter_and_the_person(
    portal: models.Portal, frame: Frame, admin_frame: Frame
) -> None:
    attempts.keep(portal, sum=Decimal("100"))
    attempts.keep(portal, sum=Decimal("100"), user_id=seed.READER)
    attempts.keep(portal, sum=Decimal("40"), currency="JPY", pay_system_id=seed.DEMO_CARD_PAY)
    attempts.keep(portal, sum=Decimal("40"), state=State.REFUSED)
    assert {one.currency: one.all.sum for one in totals_of(portal).currencies} == {
        "EUR": Decimal(200),
        "JPY": Decimal(40),
    }
    said = words(admin_frame.look(SCREEN))
    assert "200.00 EUR 2 payments" in said
    assert "40 JPY 1 payment" in said
    assert "100.00 EUR 1 payment" in words(frame.look(SCREEN))
    assert "EUR 2 payments" not in words(admin_frame.look(FOUND, system=seed.DEMO_CARD_PAY))
    refused = admin_frame.look(FOUND, outcome="refused")
    assert "payments-title" not in refused
    assert 'class="days"' not in refused


def test_the_portals_last_92_days_are_shown(portal: models.Portal, admin_frame: Frame) -> None:
    last = datetime(2026, 11, 20, 0, 0, tzinfo=clocks.EAST)
    attempts.keep(portal, created_at=last)
    attempts.keep(portal, created_at=last - timedelta(seconds=1))
    attempts.keep(portal, created_at=last - timedelta(days=LONGEST_DAYS - 1))
    (euros,) = totals_of(portal).currencies
    assert list(euros.days) == [date(2026, 8, 21), date(2026, 11, 19), date(2026, 11, 20)]
    assert not totals_of(portal).is_cut
    attempts.keep(portal, created_at=last - timedelta(days=LONGEST_DAYS, seconds=-3600))
    assert totals_of(portal).currencies[0].all.count == 3
    assert totals_of(portal).is_cut
    assert "Only the last 92 days are summed up" in admin_frame.look(SCREEN)
    older = totals_of(portal, Filter(last=date(2026, 8, 20)))
    assert (older.currencies[0].all.count, older.is_cut) == (1, False)


def test_a_chart_says_it_in_words_and_patterns_and_has_no_style(
    portal: models.Portal, admin_frame: Frame
) -> None:
    attempts.keep(portal, sum=Decimal("100"))
    attempts.keep(portal, sum=Decimal("50"), kind=Kind.MARK)
    attempts.keep(portal, sum=Decimal("75"), created_at=attempts.NOON - timedelta(days=2))
    html = admin_frame.look(SCREEN)
    chart = html.split('<svg class="days"')[1].split("</svg>")[0]
    for one in (
        "<title>Nov. 20, 2026: 150.00\xa0EUR</title>",
        'fill="url(#marked-eur)"',
        ">150.00</text>",
        ">Nov 20</text>",
    ):
        assert one in chart
    assert "style=" not in html
    table = words(html.split('<table class="numbers">')[1].split("</table>")[0])
    assert "Nov. 18, 2026 1 75.00 0.00" in table
    assert "Nov. 20, 2026 2 100.00 50.00" in table


def test_many_pay_systems_and_currencies_are_bounded_and_said(portal: models.Portal) -> None:
    for number in range(1, 15):
        attempts.keep(portal, pay_system_id=number, sum=Decimal(number))
    for currency in ("USD", "JPY", "KWD", "GBP", "CHF", "SEK", "NOK"):
        attempts.keep(portal, currency=currency)
    found = totals_of(portal)
    systems = found.currencies[0].systems
    assert systems[-1][0] is None
    assert systems[-1][1].sum == Decimal(3)
    assert sum(amount.sum for _, amount in systems) == Decimal(105)
    assert found.left_out == ("SEK", "USD")
