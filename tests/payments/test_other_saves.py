"""Another person saves the order at the same time, and their save undoes what the app has done.

Bitrix24 has no lock for that: the last save wins. The app says what it read at the end, and a list
says what was lost after that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from b24app import models
from b24app.identity.session import Person
from payments import reasons
from payments.attempts.mark_paid import mark
from payments.attempts.messages import messages_of
from payments.attempts.pay import pay
from payments.attempts.reconcile import reconcile
from payments.attempts.undo import undo
from payments.bulk.progress import progress_of
from payments.models import Attempt, Entry, State
from payments.offer import Offer
from sandbox.api import other_saves
from sandbox.api.faults import AFTER, Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.other_saves import OtherSave
from sandbox.world.world import Portal
from tests.payments import runs, stage
from tests.payments.frames import Frame, row_in, words
from tests.payments.unconfirmed import MARK, UNDO, calls, overdue, silence

pytestmark = pytest.mark.django_db

WHOLE_ROWS = pytest.mark.parametrize("whole_rows", [False, True], ids=["form", "whole rows"])
SET_BACK = "has been set back to unpaid since."
NOTE = "By mistake"


@dataclass(frozen=True)
class Act:
    """What a button does with a payment that needs it."""

    name: str
    method: str
    offer: Offer
    run: Callable[[], Attempt]
    deal_id: int
    done: State

    @property
    def is_payment(self) -> bool:
        return self.name != "undo"


@pytest.fixture(params=["pay", "mark", "undo"])
def act(request: pytest.FixtureRequest, sandbox: Sandbox, manager: Person) -> Act:
    name = request.param
    if name == "mark":
        cash = stage.offer_of(manager, deal_id=seed.CASH_DEAL, payment_id=seed.CASH_PAYMENT)
        return Act(name, MARK, cash, lambda: mark(manager, cash), seed.CASH_DEAL, State.PAID)
    offer = stage.offer_of(manager)
    if name == "pay":
        return Act(name, stage.PAY, offer, lambda: _pay(manager, offer), seed.DEAL, State.PAID)
    assert _pay(manager, offer).state == State.PAID
    sandbox.world.advance(2)  # The portal's times are in whole seconds.
    shown = stage.offer_of(manager)
    return Act(name, UNDO, shown, lambda: undo(manager, shown, note=NOTE), seed.DEAL, State.UNDONE)


def _pay(who: Person, offer: Offer) -> Attempt:
    return pay(who, offer, pay_system_id=offer.pay_system_id)


def begin(alpha: Portal, act: Act, **how: bool) -> OtherSave:
    order_id = alpha.payments[act.offer.payment_id].order_id
    return other_saves.begin(alpha, order_id, user_id=seed.ADMIN, **how)


def html_of(frame: Frame, act: Act) -> str:
    return row_in(frame.tab(act.deal_id), "payment", act.offer.payment_id)


@WHOLE_ROWS
def test_overwritten_before_the_read_back_is_never_called_done(
    sandbox: Sandbox, alpha: Portal, frame: Frame, act: Act, whole_rows: bool
) -> None:
    begin(alpha, act, whole_rows=whole_rows, ends_after_next=True)
    attempt = act.run()
    assert calls(sandbox, act.method) == 1
    payment = alpha.payments[act.offer.payment_id]
    assert payment.paid is not act.is_payment  # as it was before
    last = Entry.objects.order_by("-pk")[0]
    if act.is_payment:
        reason = reasons.TRUE_WITHOUT_PAYMENT if whole_rows else reasons.UNPAID_SINCE
        assert (attempt.state, attempt.reason, last.event) == (State.REFUSED, reason, "refused")
    elif whole_rows:
        reason = reasons.TRUE_WITHOUT_PAYMENT
        assert (attempt.state, attempt.reason, last.event) == (State.REFUSED, reason, "refused")
    else:
        # It was undone, and the form has paid it once more: a list calls it Paid.
        assert (attempt.state, attempt.reason) == (State.UNDONE, reasons.PAID_AGAIN)
    assert messages_of(attempt)
    assert ('data-state="paid"' in html_of(frame, act)) is not act.is_payment


@WHOLE_ROWS
def test_overwritten_after_the_read_back_is_told_by_the_next_page(
    sandbox: Sandbox, alpha: Portal, manager: Person, frame: Frame, act: Act, whole_rows: bool
) -> None:
    """The history keeps what was read; the old page can no longer pay."""
    save = begin(alpha, act, whole_rows=whole_rows)
    attempt = act.run()
    assert (attempt.state, attempt.reason) == (act.done, "")
    other_saves.end(sandbox.world, alpha, save)
    reconcile(now=overdue())
    assert Attempt.objects.get(pk=attempt.pk).state == act.done
    html = html_of(frame, act)
    if not act.is_payment:
        assert 'data-state="paid"' in html
        assert "/payments/undo/question/" not in html
        return
    assert 'data-state="paid"' not in html
    assert SET_BACK in words(html)
    again = act.run()
    assert (again.state, again.reason) == (State.REFUSED, reasons.PAID_BACK)
    assert calls(sandbox, act.method) == 1
    assert not alpha.payments[act.offer.payment_id].paid


@WHOLE_ROWS
def test_overwritten_without_an_answer_is_settled_by_what_is_there_at_the_end(
    sandbox: Sandbox, alpha: Portal, frame: Frame, act: Act, whole_rows: bool
) -> None:
    begin(alpha, act, whole_rows=whole_rows, ends_after_next=True)
    sandbox.faults.add(Fault("drop", method=act.method, when=AFTER))
    stage.during(sandbox, act.method, lambda: silence(sandbox))
    attempt = act.run()
    assert attempt.state == State.UNKNOWN
    sandbox.faults.clear()
    reconcile(now=overdue())
    attempt.refresh_from_db()
    assert not attempt.is_open
    assert attempt.state != State.PAID
    assert messages_of(attempt)
    assert ('data-state="paid"' in html_of(frame, act)) is not act.is_payment
    assert calls(sandbox, act.method) == 1


@WHOLE_ROWS
def test_several_at_once_lose_those_that_were_saved_before(
    sandbox: Sandbox, alpha: Portal, manager: Person, frame: Frame, whole_rows: bool
) -> None:
    """All three are of one order: its form ends between the second payment and its read-back."""
    order_id, deal_id = seed.PLAIN_ORDERS[0], seed.PLAIN_DEALS[0]
    save = other_saves.begin(alpha, order_id, user_id=seed.ADMIN, whole_rows=whole_rows)
    run = runs.started(manager, *runs.THREE)
    runs.next_step(manager, run)
    stage.during(
        sandbox, stage.PAY, lambda: other_saves.end(sandbox.world, alpha, save), when=AFTER
    )
    runs.worked(manager, run)
    done = [row.attempt for row in run.rows.select_related("attempt").order_by("position")]
    first, second, third = (one.payment_id for one in done if one is not None)
    states = [one.state for one in done if one is not None]
    assert states == [State.PAID, State.REFUSED, State.PAID]
    assert [alpha.payments[number].paid for number in (first, second, third)] == [
        False, False, True,
    ]  # fmt: skip
    assert "2 of 3 paid" in progress_of(run).words
    html = frame.tab(deal_id)
    assert SET_BACK in words(row_in(html, "payment", first))
    assert 'data-state="paid"' not in row_in(html, "payment", second)
    assert 'data-state="paid"' in row_in(html, "payment", third)
    assert stage.sent_payments(sandbox) == 3


@WHOLE_ROWS
def test_several_marked_at_once_are_believed_one_by_one(
    sandbox: Sandbox, alpha: Portal, manager: Person, whole_rows: bool
) -> None:
    for payment_id in runs.MARKS:
        order_id = alpha.payments[payment_id].order_id
        other_saves.begin(
            alpha, order_id, user_id=seed.ADMIN, whole_rows=whole_rows, ends_after_next=True
        )
    run = runs.worked(manager, runs.started(manager, *runs.MARKS))
    assert "0 of 3 marked as paid" in progress_of(run).words
    assert not Attempt.objects.filter(state=State.PAID).exists()
    assert calls(sandbox, MARK) == 3


def test_an_order_that_another_person_has_open_is_paid_and_read_back(
    sandbox: Sandbox, alpha: Portal, portal: models.Portal, act: Act
) -> None:
    """Bitrix24 shows its lock on the shop's own pages only."""
    alpha.orders[alpha.payments[act.offer.payment_id].order_id].locked_by = seed.ADMIN
    attempt = act.run()
    assert (attempt.state, attempt.reason) == (act.done, "")
    assert alpha.payments[act.offer.payment_id].paid is act.is_payment
