"""A payment's comment is posted to the deal's timeline once, or not at all."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone, translation

from b24app import models
from b24app.identity.session import Person
from b24app.rest import operating
from b24app.signals import payment_saved
from payments import gateway, reasons, timeline
from payments.attempts.pay import pay
from payments.models import Attempt, Comment, Kind, Policy, State
from sandbox.api.faults import PLAIN_KINDS, Fault
from sandbox.api.faults import Kind as FaultKind
from sandbox.server.app import Sandbox
from sandbox.server.ports import PortServers, running
from sandbox.world import seed
from sandbox.world.world import Portal, TimelineComment
from tests.payments import ledgers, stage
from tests.processes import started, tell

pytestmark = pytest.mark.django_db

# Every fault of a call, except those that only pay or wait.
FAULTS = sorted(set(PLAIN_KINDS) - {FaultKind.TRUE_WITHOUT_PAYMENT, FaultKind.HOLD})


@pytest.fixture
def attempt(manager: Person) -> Attempt:
    """Returns a paid attempt, whose comment is due."""
    return pay(manager, stage.offer_of(manager), pay_system_id=seed.ACME_PAY)


def later(**delta: float) -> None:
    """Makes comments due, as if that much time had passed."""
    ago = timedelta(**delta)
    for comment in Comment.objects.all():
        comment.due_at = comment.due_at and comment.due_at - ago
        comment.sent_at = comment.sent_at and comment.sent_at - ago
        comment.save()
    operating.forget()


def until_done() -> int:
    """Returns how many passes over a day it takes until no comment is left."""
    for passes in range(1, timeline.MAX_TRIES + 2):
        timeline.post_due()
        if not Comment.objects.filter(due_at__isnull=False).exists():
            return passes
        later(hours=7)
    raise AssertionError("it never ends")


def test_a_payment_is_told_to_its_deal_once(
    alpha: Portal, sandbox: Sandbox, attempt: Attempt
) -> None:
    assert alpha.comments == []

    assert timeline.post_due() == 1
    assert timeline.post_due() == 0

    (told,) = alpha.comments
    assert told.owner == (2, seed.DEAL)
    assert told.author_id == seed.MANAGER
    words = ("Paid: ", "EUR", "Acme Pay", attempt.account_number, "Pay for Bitrix24")
    assert all(word in told.text for word in words)
    assert timeline.is_marked(told.text, attempt)
    comment = Comment.objects.get()
    assert comment.done_at is not None
    assert (comment.due_at, comment.given_up, comment.tries) == (None, False, 1)


def test_the_portals_word_that_a_payment_was_saved_posts_it(
    alpha: Portal, sandbox: Sandbox, attempt: Attempt
) -> None:
    for payment_id in (seed.OTHER_PAYMENT, seed.PAYMENT, seed.PAYMENT):
        payment_saved.send(sender=None, portal=attempt.portal, payment_id=payment_id)
    assert len(alpha.comments) == 1


def test_reconciling_posts_what_is_due(alpha: Portal, attempt: Attempt) -> None:
    out = StringIO()
    call_command("reconcile", stdout=out)
    assert len(alpha.comments) == 1
    assert "comments posted 1." in out.getvalue()


def test_one_marked_by_hand_says_so(alpha: Portal, manager: Person, attempt: Attempt) -> None:
    Attempt.objects.update(kind=Kind.MARK)
    timeline.post_due()
    (told,) = alpha.comments
    assert told.text.startswith("Marked as paid by hand: ")
    assert "No money was moved by it." in told.text


def test_it_is_in_the_portals_language(alpha: Portal, manager: Person, attempt: Attempt) -> None:
    models.Portal.objects.update(language="de")
    Attempt.objects.update(kind=Kind.MARK)
    with translation.override("fr"):
        timeline.post_due()
    (told,) = alpha.comments
    assert told.text.startswith("Von Hand als bezahlt markiert: 12.500,00\xa0EUR, Acme Pay")


def test_an_invoice_gets_a_comment_too(alpha: Portal, manager: Person) -> None:
    offer = stage.offer_of(
        manager, deal_id=seed.INVOICE, payment_id=seed.INVOICE_PAYMENT, owner_type=31
    )
    pay(manager, offer, pay_system_id=seed.ACME_PAY)
    timeline.post_due()
    assert [told.owner for told in alpha.comments] == [(31, seed.INVOICE)]


def test_a_smart_process_is_named_by_its_number() -> None:
    query = gateway.comments_of(gateway.Owner(183, 7))
    assert query.params["filter"] == {"ENTITY_TYPE": "dynamic_183", "ENTITY_ID": 7}


def test_a_name_with_markup_cannot_call_people() -> None:
    attempt = Attempt(
        pk=7,
        portal=models.Portal(language="xx"),
        payment_id=271,
        account_number="163/1",
        pay_system_name="[USER=1]Jo Doe[/USER]",
        sum=Decimal(1),
        currency="EUR",
    )
    text = timeline.text_of(attempt)
    assert "(USER=1)Jo Doe(/USER)" in text
    assert "[" not in text


@pytest.mark.parametrize(
    ("text", "is_marked"),
    [
        ("№ 163/1 · 271-7", True),
        ("№ 163/1 · 271-77", False),
        ("№ 163/1 · 1271-7", False),
        ("№ 163/1 · 271-7-1", False),
        ("№ 163/1 · 271-7.", True),
        ("", False),
    ],
)
def test_a_mark_is_one_attempts_alone(text: str, is_marked: bool) -> None:
    assert timeline.is_marked(text, Attempt(pk=7, payment_id=271)) is is_marked


# Which comments are due


@pytest.mark.parametrize(
    ("values", "owed"),
    [
        ({}, 1),
        ({"kind": Kind.MARK}, 1),
        ({"kind": Kind.UNDO, "state": State.UNDONE}, 0),
        ({"kind": Kind.UNDO, "state": State.PAID}, 0),
        ({"state": State.REFUSED}, 0),
        ({"state": State.UNKNOWN}, 0),
        ({"state": State.CLOSED}, 0),
        ({"reason": reasons.PAID_BY_OTHER}, 0),
        ({"reason": reasons.PAID_EARLIER}, 0),
        ({"owner_type": None, "owner_id": None}, 0),
    ],
)
def test_only_the_apps_payments_of_crm_items_get_a_comment(
    manager: Person, values: dict[str, object], owed: int
) -> None:
    ledgers.an_attempt(manager.portal, **values)
    for _ in range(2):
        timeline.post_due()
    assert Comment.objects.count() == owed


def test_outdated_news_is_not_posted(alpha: Portal, manager: Person) -> None:
    long_ago = timezone.now() - timeline.COMMENT_WITHIN - timedelta(minutes=1)
    ledgers.an_attempt(manager.portal, settled_at=long_ago)
    assert timeline.post_due() == 0
    assert alpha.comments == []


def test_with_the_setting_off_nothing_is_said(
    alpha: Portal, sandbox: Sandbox, attempt: Attempt
) -> None:
    Policy.objects.create(portal=attempt.portal, timeline_comment=False)
    since = len(sandbox.log)
    assert until_done() == 1
    assert (alpha.comments, sandbox.log[since:]) == ([], [])


def test_a_payment_undone_meanwhile_gets_no_comment(
    alpha: Portal, manager: Person, attempt: Attempt
) -> None:
    ledgers.an_attempt(manager.portal, kind=Kind.UNDO, state=State.UNDONE, undoes=attempt)
    assert until_done() == 1
    assert alpha.comments == []


# By whose token


def test_where_the_payer_may_not_the_portal_comments(
    alpha: Portal, sandbox: Sandbox, attempt: Attempt
) -> None:
    """Having been paid can move a deal out of its payer's sight."""
    alpha.users[seed.MANAGER].sees_all = False
    alpha.items[2, seed.DEAL].responsible_id = seed.ADMIN
    assert timeline.post_due() == 1
    assert [told.author_id for told in alpha.comments] == [seed.ADMIN]


def test_where_the_payer_has_no_token_the_portal_comments(alpha: Portal, attempt: Attempt) -> None:
    attempt.portal.tokens.filter(serves_portal=False).delete()
    assert timeline.post_due() == 1
    assert [told.author_id for told in alpha.comments] == [seed.ADMIN]


def test_a_comment_that_no_token_can_post_is_given_up_within_a_day(
    alpha: Portal, attempt: Attempt, caplog: pytest.LogCaptureFixture
) -> None:
    attempt.portal.tokens.all().delete()
    timeline.post_due()
    waited = timedelta(0)
    while (comment := Comment.objects.get()).due_at is not None:
        waited += max(comment.due_at - timezone.now(), timedelta(0))
        later(hours=7)
        timeline.post_due()
    assert comment.given_up
    assert comment.tries == timeline.MAX_TRIES
    assert timedelta(hours=20) < waited <= timedelta(hours=25)
    assert "was given up" in caplog.text
    assert alpha.comments == []


# Once


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("times", [1, 3])
def test_a_comment_is_posted_once_after_each_kind_of_failure(
    alpha: Portal, sandbox: Sandbox, attempt: Attempt, kind: str, when: str, times: int
) -> None:
    fault = Fault(kind, method=stage.COMMENT, when=when, times=times, seconds=0)
    sandbox.faults.add(fault)
    until_done()
    assert fault.hits >= 1
    assert len(alpha.comments) == 1
    assert Comment.objects.get().done_at is not None


@pytest.mark.parametrize("kind", ["drop", "status500", "broken_json", "expired_token"])
def test_while_the_timeline_cannot_be_read_nothing_is_sent_again(
    alpha: Portal, sandbox: Sandbox, attempt: Attempt, kind: str
) -> None:
    sandbox.faults.add(Fault("drop", method=stage.COMMENT, when="after"))
    reading = sandbox.faults.add(Fault(kind, method=stage.COMMENTS, times=None))
    timeline.post_due()
    for _ in range(3):
        later(hours=7)
        timeline.post_due()
    assert reading.hits >= 3
    assert sum(stage.COMMENT in call.methods for call in sandbox.log) == 1
    sandbox.faults.clear()
    until_done()
    assert len(alpha.comments) == 1


def test_nothing_is_read_or_sent_before_the_first_sending_is_over(
    sandbox: Sandbox, attempt: Attempt
) -> None:
    """The portal may still be carrying it out when our connection is gone."""
    sandbox.faults.add(Fault("drop", method=stage.COMMENT))
    timeline.post_due()
    since = len(sandbox.log)
    later(seconds=120)
    assert timeline.post_due() == 0
    assert sandbox.log[since:] == []
    later(seconds=120)
    assert timeline.post_due() == 1


def test_it_is_found_below_other_comments(
    alpha: Portal, sandbox: Sandbox, attempt: Attempt
) -> None:
    sandbox.faults.add(Fault("drop", method=stage.COMMENT, when="after"))
    timeline.post_due()
    ours = alpha.comments[0]
    talk(alpha, 120)
    later(hours=1)
    assert timeline.post_due() == 1
    assert [told for told in alpha.comments if told.text == ours.text] == [ours]


def test_where_there_is_too_much_to_read_nothing_is_sent_again(
    alpha: Portal, sandbox: Sandbox, attempt: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeline, "_PAGES_READ", 1)
    sandbox.faults.add(Fault("drop", method=stage.COMMENT, when="after"))
    timeline.post_due()
    talk(alpha, 120)
    until_done()
    assert sum(stage.COMMENT in call.methods for call in sandbox.log) == 1
    assert Comment.objects.get().given_up


def talk(alpha: Portal, count: int) -> None:
    """Adds comments by people below it."""
    last = alpha.comments[-1]
    for number in range(last.id + 1, last.id + 1 + count):
        alpha.comments.append(
            TimelineComment(number, last.owner, seed.READER, last.created, f"Note {number}")
        )


def test_one_that_was_killed_after_sending_is_taken_up_when_its_time_is_over(
    alpha: Portal, sandbox: Sandbox, attempt: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def add_and_die(*args: object) -> int:
        add(*args)  # type: ignore[arg-type]
        raise Killed

    add = gateway.add_comment
    with monkeypatch.context() as killing:
        killing.setattr(gateway, "add_comment", add_and_die)
        with pytest.raises(Killed):
            timeline.post_due()
    assert len(alpha.comments) == 1
    later(seconds=timeline.LEASE.total_seconds() - 5)
    assert timeline.post_due() == 0
    later(seconds=10)
    assert timeline.post_due() == 1
    assert len(alpha.comments) == 1


def test_one_that_does_not_answer_holds_up_no_other_portal(
    alpha: Portal, beta: Portal, sandbox: Sandbox, manager: Person, attempt: Attempt
) -> None:
    for payment_id in range(5, 9):
        ledgers.an_attempt(manager.portal, payment_id=payment_id)
    other = stage.person(sandbox, stage.install(sandbox, beta), seed.MANAGER)
    pay(other, stage.offer_of(other), pay_system_id=seed.ACME_PAY)
    host = alpha.url.split("://", 1)[1]
    fault = sandbox.faults.add(Fault("drop", method=stage.COMMENT, times=None, host=host))
    assert timeline.post_due() == 1
    assert len(beta.comments) == 1
    assert fault.hits >= 1


def test_no_more_than_the_limit_is_posted(alpha: Portal, manager: Person, attempt: Attempt) -> None:
    for payment_id in range(5, 9):
        ledgers.an_attempt(manager.portal, payment_id=payment_id)
    assert timeline.post_due(timezone.now(), 2) == 2
    assert timeline.post_due(timezone.now() - timedelta(days=1), 2) == 0
    assert len(alpha.comments) == 2


@pytest.mark.django_db(transaction=True)
def test_of_two_workers_one_posts(alpha: Portal, sandbox: Sandbox, attempt: Attempt) -> None:
    """The second comes while the first waits for its answer."""
    reached = threading.Event()
    held = sandbox.faults.add(Fault("hold", method=stage.COMMENT, when="after", on_hit=reached))

    def second() -> int:
        try:
            assert reached.wait(10)
            return timeline.post_due()
        finally:
            held.release.set()

    assert stage.together(timeline.post_due, second) == [1, 0]
    assert len(alpha.comments) == 1


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
def test_of_many_processes_one_posts_each(sandbox: Sandbox, alpha: Portal, manager: Person) -> None:
    with over_ports(sandbox, manager.portal):
        for payment_id in range(5, 15):
            ledgers.an_attempt(manager.portal, payment_id=payment_id)
        with ExitStack() as stack:
            processes = [
                stack.enter_context(started("tests.payments.commenting_process")) for _ in range(3)
            ]
            for process in processes:
                tell(process, "go")
            counts = [int(process.communicate(timeout=60)[0]) for process in processes]
    assert sum(counts) == 10
    marks = {timeline.reference(row) for row in Attempt.objects.all()}
    assert sorted(told.text.rpartition(" ")[2] for told in alpha.comments) == sorted(marks)


@contextmanager
def over_ports(sandbox: Sandbox, row: models.Portal) -> Iterator[None]:
    """The portals behind real sockets, for processes of their own."""
    servers = PortServers((0, 0, 0))
    urls = [f"http://127.0.0.1:{port}" for port in servers.ports]
    sandbox.world.oauth_url = urls[0]
    for portal, url in zip(sandbox.world.portals.values(), urls[1:], strict=True):
        portal.url = url
    endpoint = f"{sandbox.world.portals[row.member_id].url}/rest/"
    models.Portal.objects.filter(pk=row.pk).update(client_endpoint=endpoint)
    with running(sandbox, servers):
        yield
