"""An event about a saved payment settles the open attempt on it, and causes no other call."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from b24app.errors import B24Error
from b24app.events import queue
from b24app.identity.session import Person
from b24app.models import EventReceipt
from b24app.signals import Later
from payments import reasons
from payments.attempts.settle import settle_saved
from payments.models import SETTLE_AFTER, STALE_CLAIM, Attempt, Entry, State
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.events import form_body
from sandbox.world.world import Portal
from tests.b24app.portal_posts import FORM
from tests.b24app.portal_posts import install as install_by_hand
from tests.payments import stage
from tests.payments.pressing import press
from tests.payments.unconfirmed import lost_payment

pytestmark = pytest.mark.django_db


def sent_long_ago(attempt: Attempt) -> None:
    sent_at = timezone.now() - SETTLE_AFTER - timedelta(seconds=1)
    Attempt.objects.filter(pk=attempt.pk).update(sent_at=sent_at)


def test_an_event_settles_what_was_not_confirmed(
    client: Client, sandbox: Sandbox, alpha: Portal
) -> None:
    """The whole way: bound by the installer, sent by the portal, worked, settled."""
    row = install_by_hand(client, sandbox, alpha)
    attempt = lost_payment(sandbox, stage.person(sandbox, row, seed.MANAGER))
    saved = [
        delivery.fields
        for delivery in sandbox.world.outbox
        if delivery.fields["event"] == "ONPAYMENTENTITYSAVED"
    ]
    assert len(saved) == 1
    assert client.post("/event/", form_body(saved[0]), content_type=FORM).status_code == 200
    queue.work()
    attempt.refresh_from_db()
    assert attempt.state == State.PAID
    assert [call.method for call in sandbox.log] == [stage.KEPT, stage.COMMENT]
    assert sandbox.log[0].user_id == seed.ADMIN
    assert EventReceipt.objects.get(event="ONPAYMENTENTITYSAVED").handled_at is not None


def test_our_own_payment_is_settled_by_its_payer_and_its_event_only_posts_the_comment(
    client: Client, sandbox: Sandbox, alpha: Portal
) -> None:
    row = install_by_hand(client, sandbox, alpha)
    manager = stage.person(sandbox, row, seed.MANAGER)
    sandbox.world.outbox.clear()
    assert press(manager).state == State.PAID
    sandbox.log.clear()
    for _ in range(3):
        events = [delivery.fields for delivery in sandbox.world.outbox]
        sandbox.world.outbox.clear()
        for fields in events:
            client.post("/event/", form_body(fields), content_type=FORM)
        queue.work()
    assert [call.method for call in sandbox.log] == [stage.COMMENT]
    assert sandbox.world.outbox == []
    assert not queue.waiting().exists()


def test_a_payment_without_an_attempt_causes_no_call(sandbox: Sandbox, manager: Person) -> None:
    with stage.no_request(sandbox):
        settle_saved(manager.portal, seed.PAYMENT)
        settle_saved(manager.portal, 10**9)


def test_one_who_is_paying_right_now_is_left_to_read_it_back(
    sandbox: Sandbox, manager: Person
) -> None:
    attempt = lost_payment(sandbox, manager)
    Attempt.objects.update(state=State.PAYING)
    with pytest.raises(Later) as later:
        settle_saved(manager.portal, seed.PAYMENT)
    assert sandbox.log == []
    assert attempt.sent_at is not None
    assert later.value.until > attempt.sent_at + SETTLE_AFTER
    sent_long_ago(attempt)
    settle_saved(manager.portal, seed.PAYMENT)
    assert Attempt.objects.get().state == State.PAID


@pytest.mark.parametrize("reason", [reasons.NOT_CARRIED_OUT, reasons.PAYMENT_GONE])
def test_unpaid_or_gone_is_final_only_once_paying_is_over(
    sandbox: Sandbox, alpha: Portal, manager: Person, reason: str
) -> None:
    attempt = lost_payment(sandbox, manager, when="before")
    if reason == reasons.PAYMENT_GONE:
        del alpha.payments[seed.PAYMENT]
    with pytest.raises(Later):
        settle_saved(manager.portal, seed.PAYMENT)
    assert Attempt.objects.get().state == State.UNKNOWN
    sent_long_ago(attempt)
    settle_saved(manager.portal, seed.PAYMENT)
    settled = Attempt.objects.get()
    assert (settled.state, settled.reason) == (State.REFUSED, reason)


def test_before_anything_was_sent_a_saved_payment_says_nothing(
    sandbox: Sandbox, manager: Person
) -> None:
    """The app's own change of the payment system causes the same event; but an abandoned claim is
    released."""
    attempt = lost_payment(sandbox, manager, when="before")
    Attempt.objects.update(state=State.PAYING, sent_at=None)
    settle_saved(manager.portal, seed.PAYMENT)
    assert Attempt.objects.get().state == State.PAYING
    old = timezone.now() - STALE_CLAIM - timedelta(seconds=1)
    Attempt.objects.filter(pk=attempt.pk).update(created_at=old)
    settle_saved(manager.portal, seed.PAYMENT)
    assert Attempt.objects.get().reason == reasons.ABANDONED
    assert sandbox.log == []


@pytest.mark.parametrize("kind", ["drop", "html502"])
def test_what_cannot_be_read_stays_open(sandbox: Sandbox, manager: Person, kind: str) -> None:
    attempt = lost_payment(sandbox, manager)
    sent_long_ago(attempt)
    sandbox.faults.add(Fault(kind, method=stage.KEPT))
    with pytest.raises(B24Error):
        settle_saved(manager.portal, seed.PAYMENT)
    assert Attempt.objects.get().state == State.UNKNOWN
    settle_saved(manager.portal, seed.PAYMENT)
    assert Attempt.objects.get().state == State.PAID


def test_without_the_portals_token_it_stays_open(sandbox: Sandbox, manager: Person) -> None:
    lost_payment(sandbox, manager)
    stage.lose_portal_token(manager.portal)
    with pytest.raises(B24Error):
        settle_saved(manager.portal, seed.PAYMENT)
    assert Attempt.objects.get().state == State.UNKNOWN


def test_another_portals_payment_with_the_same_number_settles_nothing(
    sandbox: Sandbox, beta: Portal, manager: Person
) -> None:
    lost_payment(sandbox, manager)
    other = stage.install(sandbox, beta)
    settle_saved(other, seed.PAYMENT)
    assert Attempt.objects.get().state == State.UNKNOWN


@pytest.mark.parametrize("is_undone", [False, True], ids=["paid", "set back meanwhile"])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 0, 2, 2, 1)])
def test_events_hours_late_out_of_order_and_twice_say_what_is_so_now(
    client: Client, sandbox: Sandbox, alpha: Portal, order: tuple[int, ...], is_undone: bool
) -> None:
    row = install_by_hand(client, sandbox, alpha)
    sandbox.world.outbox.clear()
    attempt = lost_payment(sandbox, stage.person(sandbox, row, seed.MANAGER))
    [sent] = sandbox.world.outbox
    sandbox.world.outbox.clear()
    alpha.payments[seed.PAYMENT].paid = not is_undone
    hours = [int(sent.fields["ts"]) - 3600 * hour for hour in (0, 1, 2)]
    sent_long_ago(attempt)

    for number in order:
        late = form_body({**sent.fields, "ts": str(hours[number])})
        assert client.post("/event/", late, content_type=FORM).status_code == 200
        queue.work()

    attempt.refresh_from_db()
    assert attempt.state == (State.REFUSED if is_undone else State.PAID)
    assert len(alpha.comments) == (0 if is_undone else 1)
    events = [entry.event for entry in Entry.objects.of(row.pk).filter(attempt_id=attempt.pk)]
    # Found unconfirmed at first, then settled, once.
    assert events == ["unknown", attempt.state]
    assert EventReceipt.objects.filter(event="ONPAYMENTENTITYSAVED").count() == 3
