"""Payments that cannot be read, as a person sees them; and text that no database stores."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from b24app import models
from b24app.identity.session import Person
from b24app.monitoring import rest_log
from payments import timeline
from payments.bulk.dry_run import draft_all, draft_ticked
from payments.models import Attempt, Entry, State
from payments.number_search import ANY_NUMBER
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.payments import stage
from tests.payments.frames import DEAL_TAB, Frame, FrameOf, offer_in, row_in, text_of
from tests.payments.oddities import altered, paid_by_pressing, rows_in

pytestmark = pytest.mark.django_db

SAID = "This payment cannot be read"
ZERO_DATE = "-0001-11-30T00:00:00+02:30"
# What PostgreSQL, UTF-8 and a screen cannot take.
DIRT = "\0\ud800\x1b\u202e"


def changed(payment_id: int, **values: object) -> Any:
    """Alters the row of this payment in each list."""

    def alter(envelope: Any) -> Any:
        rows = envelope["result"]
        for row in rows if isinstance(rows, list) else rows["payments"]:
            if row["id"] == payment_id:
                row.update(values)
        return envelope

    return alter


@pytest.mark.parametrize("broken", [{"sum": None}, {"accountNumber": 163.5}, {"currency": []}])
def test_a_tab_shows_a_payment_that_cannot_be_read_without_a_button(
    frame: Frame, broken: dict[str, object]
) -> None:
    number = seed.SEVERAL_PAYMENTS[0]
    with altered(frame, "crm.item.payment.list", changed(number, **broken)):
        html = frame.tab(seed.SEVERAL_DEAL)
        assert html.count(SAID) == 1
        row = row_in(html, "unreadable", number)
        assert "<button" not in row
        assert "offer" not in row
        known = f"Payment with the id {number}" if "accountNumber" in broken else "164/1"
        assert known in row
        assert rows_in(html).keys() == set(seed.SEVERAL_PAYMENTS) - {number}
        assert 'data-state="paid"' in paid_by_pressing(frame, html, seed.SEVERAL_PAYMENTS[2])


def test_the_main_page_shows_it_under_its_deal(frame: Frame) -> None:
    with altered(frame, "sale.payment.list", changed(seed.PAYMENT, sum="12,50")):
        html = text_of(frame.get())
    row = row_in(html, "unreadable", seed.PAYMENT)
    assert f'data-open-path="/crm/deal/details/{seed.DEAL}/"' in row
    assert seed.PAYMENT not in rows_in(html)


def test_an_unreadable_payment_of_a_hidden_deal_is_not_shown(frame_of: FrameOf) -> None:
    frame = frame_of(seed.OWN_MANAGER)
    with altered(frame, "sale.payment.list", changed(seed.HIDDEN_PAYMENT, sum=None)):
        assert SAID not in text_of(frame.get())
    with altered(frame, "sale.payment.list", changed(seed.OWN_PAYMENT, sum=None, orderId={})):
        assert SAID not in text_of(frame.get())


@pytest.mark.parametrize("name", ["dateBill", "datePaid"])
@pytest.mark.parametrize("date", [ZERO_DATE, {}, "9999-12-31T23:59:59-14:00"])
def test_an_unreadable_date_is_unknown_and_the_payment_is_paid(
    frame: Frame, alpha: Portal, name: str, date: object
) -> None:
    """In every list, before and after it is paid."""
    for method in ("sale.payment.list", "sale.payment.get", "crm.item.payment.list"):
        alter = changed(seed.PAYMENT, **{name: date})
        if method == "sale.payment.get":

            def alter(envelope: Any) -> Any:
                envelope["result"]["payment"][name] = date
                return envelope

        frame.sandbox.faults.add(Fault("alter", method=method, times=None, alter=alter))
    html = text_of(frame.get())
    if name == "dateBill":
        row = row_in(html, "payment", seed.PAYMENT)
        assert "unknown" in row
    assert 'data-state="paid"' in paid_by_pressing(frame, html, seed.PAYMENT)
    assert alpha.payments[seed.PAYMENT].times_paid == 1
    if name == "datePaid":
        assert "date of this payment cannot be read" in frame.tab()


def test_an_undoing_stops_where_the_date_of_payment_cannot_be_read(
    frame: Frame, alpha: Portal
) -> None:
    html = frame.tab()
    offer = offer_in(html)
    paid_by_pressing(frame, html, seed.PAYMENT)
    alter = changed(seed.PAYMENT, datePaid=ZERO_DATE)
    with altered(frame, "crm.item.payment.list", alter):
        assert "/payments/undo/question/" not in frame.tab()
        answer = text_of(frame.post("/payments/undo/", offer=offer, note="by mistake"))
    assert "could not be read" in answer
    assert alpha.payments[seed.PAYMENT].paid


def test_a_date_that_was_unknown_before_is_no_sign_that_it_was_paid_in_between(
    frame: Frame, alpha: Portal
) -> None:
    """It is read before as a zero date, and after the refused payment as one of long ago."""
    alpha.payments[seed.PAYMENT].date_paid = alpha.payments[seed.PAYMENT].date_bill
    html = frame.tab()
    unread = Fault(
        "alter", "crm.item.payment.list", alter=changed(seed.PAYMENT, datePaid=ZERO_DATE)
    )
    frame.sandbox.faults.add(unread)
    frame.sandbox.faults.add(Fault("true_without_payment", method=stage.PAY))
    answer = paid_by_pressing(frame, html, seed.PAYMENT)
    assert unread.hits == 1
    assert "still unpaid" in answer
    assert "undone in Bitrix24 later" not in answer


def test_a_payment_that_may_be_the_unreadable_row_is_not_called_gone(frame: Frame) -> None:
    html = frame.tab()
    with altered(frame, "crm.item.payment.list", changed(seed.PAYMENT, id="?")):
        answer = paid_by_pressing(frame, html, seed.PAYMENT)
    assert "could not be read in Bitrix24 just now" in answer
    assert stage.sent_payments(frame.sandbox) == 0


def test_a_run_tells_of_a_payment_that_it_leaves_out_because_it_cannot_be_read(
    sandbox: Sandbox, frame: Frame, manager: Person
) -> None:
    payments = [seed.PAYMENT, seed.USD_PAYMENT]
    with altered(frame, "sale.payment.list", changed(seed.PAYMENT, sum={})):
        html = frame.send("/payments/runs/new/", payment=payments)
        ticked = draft_ticked(manager, payments)
        listed = [row.payment_id for row in ticked.rows.all()]
        everything = draft_all(manager, ANY_NUMBER)
    assert "1 payment is left out, because what Bitrix24 sent about it cannot be read" in html
    assert "163/1" in html
    assert ticked.unreadable == [{"id": seed.PAYMENT, "number": "163/1"}]
    assert ticked.missing == 0
    assert listed == [seed.USD_PAYMENT]
    assert everything.unreadable == ticked.unreadable


def test_a_payment_is_paid_by_the_system_it_has_though_that_ones_row_cannot_be_read(
    frame: Frame, alpha: Portal
) -> None:
    def alter(envelope: Any) -> Any:
        for row in envelope["result"]:
            if row["ID"] == seed.ACME_PAY:
                row["ACTIVE"] = None
        return envelope

    with altered(frame, "sale.paysystem.list", alter):
        html = frame.tab()
        assert "deleted" not in html
        assert 'data-state="paid"' in paid_by_pressing(frame, html, seed.PAYMENT)


def test_an_order_whose_deal_could_not_be_read_is_asked_about_again(frame: Frame) -> None:
    def alter(envelope: Any) -> Any:
        for row in envelope["result"]["orderEntity"]:
            if row["orderId"] == seed.ORDER:
                row["ownerId"] = None
        return envelope

    with altered(frame, "crm.orderentity.list", alter):
        assert seed.PAYMENT not in rows_in(text_of(frame.get()))
    assert seed.PAYMENT in rows_in(text_of(frame.get()))


def test_an_unreadable_comment_may_be_the_apps_so_none_is_posted_twice(
    sandbox: Sandbox, alpha: Portal, frame: Frame
) -> None:
    paid_by_pressing(frame, frame.tab(), seed.PAYMENT)
    sandbox.faults.add(Fault("cut", method=stage.COMMENT))  # written, and the answer lost
    timeline.post_due()
    assert len(alpha.comments) == 1

    def alter(envelope: Any) -> Any:
        envelope["result"][0]["COMMENT"] = {}
        return envelope

    sandbox.faults.add(Fault("alter", stage.COMMENTS, times=None, alter=alter))
    attempt = Attempt.objects.get()
    comment = attempt.comment
    comment.due_at = attempt.created_at
    comment.save()
    assert timeline.post_due() == 0
    assert len(alpha.comments) == 1


# ---- texts


def dirty(value: Any, name: str = "") -> Any:
    """Makes every text but codes, flags and dates very long, with characters that no database
    stores."""
    if isinstance(value, dict):
        return {key: dirty(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [dirty(inner, name) for inner in value]
    texts = {"NAME", "LAST_NAME", "paySystemName", "title", "DESCRIPTION", "error_description"}
    if name in (*texts, "accountNumber", "COMMENT", "PSA_NAME") and isinstance(value, str):
        return f"{value}{DIRT}" + "x" * 400
    return value


@pytest.mark.parametrize("refuses", [False, True])
def test_no_text_of_a_portal_stops_a_payment_from_being_kept(
    frame: Frame,
    alpha: Portal,
    portal: models.Portal,
    settings: Any,
    caplog: pytest.LogCaptureFixture,
    refuses: bool,
) -> None:
    settings.B24_REST_LOG_DAYS = 3
    faults = frame.sandbox.faults
    for method in (
        *("crm.item.payment.list", "sale.payment.list", "sale.payment.get", "sale.order.list"),
        *("sale.order.get", "crm.item.list", "sale.paysystem.list", "user.get", "profile"),
        *("sale.paysystem.handler.list", "app.info", stage.COMMENTS),
    ):
        faults.add(Fault("alter", method=method, times=None, alter=dirty))
    if refuses:
        refusal = {"error": f"ERROR_ODD{DIRT}{'x' * 200}", "error_description": f"No{DIRT}" * 900}
        faults.add(Fault("true_without_payment", method=stage.PAY))
        faults.add(Fault("alter", method=stage.PAY, alter=lambda answer: refusal))
    answers = [frame.opened(), frame.get(), frame.opened(DEAL_TAB, seed.DEAL)]
    html = text_of(answers[-1])
    told = paid_by_pressing(frame, html, seed.PAYMENT)
    attempt = Attempt.objects.get()
    assert attempt.state == (State.REFUSED if refuses else State.PAID)
    assert f'data-state="{attempt.state}"' in told
    assert Entry.objects.filter(attempt_id=attempt.pk, event=attempt.state).exists()
    assert attempt.account_number.startswith("163/1\ufffd\ufffd\ufffd\ufffdxx")
    answers.append(frame.client.get("/payments/history/", headers=frame.headers()))
    answers.append(frame.post("/payments/runs/new/", payment=[seed.USD_PAYMENT]))
    for answer in answers:
        shown = text_of(answer)
        assert not [letter for letter in DIRT if letter in shown]
    rest_log.flush()
    assert models.RestCall.objects.exists()
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]
