"""The rules of a portal: who may change them, and that the server enforces them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction
from django.db import connection as database
from django.http import QueryDict
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from b24app import models
from b24app.identity.session import Person
from payments import reasons
from payments.attempts.pay import pay
from payments.ledger import chain
from payments.models import Policy, State, Who
from payments.policy.forms import RulesForm
from payments.policy.rules import ChangedMeanwhile, change, policy_of
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.payments import stage
from tests.payments.frames import Frame, text_of

pytestmark = pytest.mark.django_db

RULES = "/payments/rules/"


@pytest.fixture
def admin_frame(client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal) -> Frame:
    return Frame(client, sandbox, alpha, seed.ADMIN)


@pytest.fixture
def manager_frame(client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal) -> Frame:
    return Frame(client, sandbox, alpha, seed.MANAGER)


def rules(portal: models.Portal, **values: Any) -> Policy:
    return Policy.objects.create(portal=portal, **values)


def posted(version: int = 0, **changes: Any) -> dict[str, Any]:
    return {
        "version": version,
        "which_systems": "all",
        "undo_hours": 24,
        "undo_by": "everybody",
        "bulk_by": "everybody",
        "limit_currency": ["", ""],
        "limit_sum": ["", ""],
        **changes,
    }


def shown(frame: Frame) -> str:
    return text_of(
        frame.client.get(RULES, headers={"x-frame-session": frame.session, "hx-request": "true"})
    )


# ---- the rules themselves


def test_without_a_row_everything_is_allowed(portal: models.Portal) -> None:
    policy = policy_of(portal)
    assert policy.allows_system(999)
    assert not policy.needs_approval(Decimal(10**9), "EUR")
    assert policy.may_undo(7, is_admin=False)
    assert policy.may_bulk(7, is_admin=False)
    assert (policy.undo_hours, policy.timeline_comment) == (24, True)


def test_the_rules_are_one_statement(portal: models.Portal, django_assert_num_queries: Any) -> None:
    rules(portal, limits={"EUR": "100", "USD": "5"}, systems=[11])
    with django_assert_num_queries(1):
        policy = policy_of(portal)
        assert policy.needs_approval(Decimal(101), "EUR")
        assert [limit.currency for limit in policy.limit_rows()] == ["EUR", "USD"]
        assert policy.systems == [11]


def test_rules_are_not_those_of_another_portal(
    sandbox: Sandbox, portal: models.Portal, beta: Portal
) -> None:
    rules(portal, systems=[])
    other = stage.install(sandbox, beta)
    assert policy_of(other).systems is None


@pytest.mark.parametrize(
    ("amount", "currency", "needs"),
    [
        ("100.00", "EUR", False),
        ("100.0001", "EUR", True),
        ("1000000", "USD", False),
        ("0.01", "JPY", True),
    ],
)
def test_only_what_is_above_the_limit_needs_approval(
    amount: str, currency: str, needs: bool
) -> None:
    policy = Policy(limits={"EUR": "100", "JPY": "0.0001"})
    assert policy.needs_approval(Decimal(amount), currency) is needs


@pytest.mark.parametrize(
    ("who", "user_id", "is_admin", "may"),
    [
        (Who.EVERYBODY, 7, False, True),
        (Who.ADMINISTRATORS, 7, False, False),
        (Who.ADMINISTRATORS, 7, True, True),
        (Who.PEOPLE, 7, False, True),
        (Who.PEOPLE, 8, True, False),
    ],
)
def test_who_may(who: Who, user_id: int, is_admin: bool, may: bool) -> None:
    policy = Policy(undo_by=who, undo_people=[7], bulk_by=who, bulk_people=[7])
    assert policy.may_undo(user_id, is_admin=is_admin) is may
    assert policy.may_bulk(user_id, is_admin=is_admin) is may
    policy.undo_hours = 0
    assert not policy.may_undo(user_id, is_admin=is_admin)


def test_the_database_bounds_the_hours(portal: models.Portal) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        rules(portal, undo_hours=721)


# ---- they hold on the server


def test_a_forbidden_system_is_refused_before_anything_is_sent(
    sandbox: Sandbox, portal: models.Portal, manager: Person
) -> None:
    offer = stage.offer_of(manager)
    rules(portal, systems=[seed.OTHER_PAY])
    attempt = pay(manager, offer, pay_system_id=seed.ACME_PAY)
    assert (attempt.state, attempt.reason) == (State.REFUSED, reasons.POLICY_SYSTEM)
    assert stage.sent_payments(sandbox) == 0


def test_a_forbidden_system_is_not_bound_either(
    sandbox: Sandbox, alpha: Portal, portal: models.Portal, manager: Person
) -> None:
    offer = stage.offer_of(manager)
    rules(portal, systems=[seed.ACME_PAY])
    attempt = pay(manager, offer, pay_system_id=seed.OTHER_PAY)
    assert attempt.reason == reasons.POLICY_SYSTEM
    assert alpha.payments[seed.PAYMENT].pay_system_id == seed.ACME_PAY
    assert pay(manager, offer, pay_system_id=seed.ACME_PAY).state == State.PAID


def test_above_the_limit_is_refused_before_anything_is_sent(
    sandbox: Sandbox, portal: models.Portal, manager: Person
) -> None:
    offer = stage.offer_of(manager)
    policy = rules(portal, limits={"EUR": "12499.99"})
    attempt = pay(manager, offer, pay_system_id=seed.ACME_PAY)
    assert (attempt.state, attempt.reason) == (State.REFUSED, reasons.NEEDS_APPROVAL)
    assert stage.sent_payments(sandbox) == 0
    # Raising it frees the payment at once: nothing of the rules is remembered.
    policy.limits = {"EUR": "12500"}
    policy.save()
    assert pay(manager, offer, pay_system_id=seed.ACME_PAY).state == State.PAID


def test_a_limit_in_another_currency_does_not_hold(portal: models.Portal, manager: Person) -> None:
    rules(portal, limits={"USD": "1"})
    offer = stage.offer_of(manager)
    assert pay(manager, offer, pay_system_id=seed.ACME_PAY).state == State.PAID


def test_forbidden_systems_are_not_offered(portal: models.Portal, manager: Person) -> None:
    rules(portal, systems=[seed.OTHER_PAY])
    row = stage.row_of(stage.tab(manager, seed.DEAL), seed.PAYMENT)
    assert not row.bound_fits
    assert [system.id for system in row.systems[1:]] == [seed.OTHER_PAY]
    assert row.payable


def test_where_no_allowed_system_is_left_the_row_says_so(
    portal: models.Portal, manager: Person
) -> None:
    rules(portal, systems=[seed.CASH])
    row = stage.row_of(stage.tab(manager, seed.DEAL), seed.PAYMENT)
    assert not row.payable
    assert row.why_not == reasons.SYSTEM_NOT_ALLOWED


def test_the_choice_on_the_page_leaves_forbidden_systems_out(
    portal: models.Portal, manager_frame: Frame
) -> None:
    rules(portal, systems=[seed.ACME_PAY])
    html = manager_frame.tab()
    assert "Acme Pay" in html
    assert "Other Wallet" not in html


def test_the_command_says_the_sentence_and_leaves_with_one(
    sandbox: Sandbox, portal: models.Portal, capsys: pytest.CaptureFixture[str]
) -> None:
    rules(portal, systems=[seed.OTHER_PAY], limits={"EUR": "1"})

    def run(pay_system_id: int) -> str:
        with pytest.raises(SystemExit) as left:
            call_command(
                "pay",
                portal=portal.member_id,
                payment=seed.PAYMENT,
                pay_system=pay_system_id,
                yes=True,
            )
        assert left.value.code == 1
        return capsys.readouterr().out

    assert "needs a second person's approval" in run(seed.OTHER_PAY)
    Policy.objects.update(limits={})
    assert "Your administrator does not allow this payment system" in run(seed.ACME_PAY)
    assert stage.sent_payments(sandbox) == 0


# ---- changing them


def test_an_administrator_changes_all_of_it(portal: models.Portal, admin_frame: Frame) -> None:
    html = text_of(
        admin_frame.post(
            RULES,
            **posted(
                which_systems="chosen",
                systems=[seed.ACME_PAY, seed.CASH],
                limit_currency=["eur", "USD", ""],
                limit_sum=["10 000.50", "5", ""],
                undo_hours=0,
                undo_by="administrators",
                bulk_by="people",
                bulk_people=[seed.ADMIN],
            ),
        )
    )
    assert "Saved." in html
    assert 'name="version" value="1"' in html
    policy = policy_of(portal)
    assert policy.systems == [seed.CASH, seed.ACME_PAY]
    assert policy.limits == {"EUR": "10000.50", "USD": "5"}
    assert (policy.undo_hours, policy.undo_by) == (0, Who.ADMINISTRATORS)
    assert (policy.bulk_by, policy.bulk_people) == (Who.PEOPLE, [seed.ADMIN])
    assert not policy.timeline_comment
    assert policy.changed_by == seed.ADMIN
    # And back, from the page that came.
    text_of(admin_frame.post(RULES, **posted(1, timeline_comment="on")))
    assert policy_of(portal).as_facts() == Policy().as_facts()


@pytest.mark.parametrize("typed", ["1000,50", "1000.50", "1 000,5", "1000,5000"])
def test_a_limit_is_read_with_a_comma_and_with_a_point(
    portal: models.Portal, admin_frame: Frame, typed: str
) -> None:
    text_of(admin_frame.post(RULES, **posted(limit_currency=["EUR"], limit_sum=[typed])))
    assert policy_of(portal).limit_rows()[0].sum == Decimal("1000.5")


@pytest.mark.parametrize("sum_", ["1000", "0.5", "1000.50", "1.125", "0.0001", "12345.678"])
@pytest.mark.parametrize("language", ["en", "de", "fr", "ru"])
def test_a_limit_comes_back_as_the_form_takes_it(sum_: str, language: str) -> None:
    stored = Policy(limits={"EUR": sum_})
    with translation.override(language):
        shown = RulesForm(stored, portal=models.Portal(), systems=[], people={}).limit_rows[0].sum
        typed = QueryDict(mutable=True)
        typed.setlist("limit_currency", ["EUR"])
        typed.setlist("limit_sum", [shown])
        row = RulesForm(
            stored, portal=models.Portal(), systems=[], people={}, posted=typed
        ).limit_rows[0]
    assert not row.error
    assert Decimal(row.sum.replace(",", ".")) == Decimal(sum_)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"limit_currency": ["EU"], "limit_sum": ["5"]}, "A currency is three letters"),
        ({"limit_currency": ["EUR"], "limit_sum": ["0"]}, "more than zero"),
        ({"limit_currency": ["EUR"], "limit_sum": ["-1"]}, "without thousands separators"),
        ({"limit_currency": ["EUR"], "limit_sum": ["1,000"]}, "without thousands separators"),
        ({"limit_currency": ["EUR"], "limit_sum": ["1.000"]}, "without thousands separators"),
        ({"limit_currency": ["EUR"], "limit_sum": ["1.000,50"]}, "without thousands separators"),
        ({"limit_currency": ["EUR"], "limit_sum": ["NaN"]}, "without thousands separators"),
        ({"limit_currency": ["EUR"], "limit_sum": ["1e5"]}, "without thousands separators"),
        ({"limit_currency": ["EUR"], "limit_sum": ["9" * 16]}, "without thousands separators"),
        ({"limit_currency": ["EUR"], "limit_sum": [""]}, "without thousands separators"),
        ({"limit_currency": [""], "limit_sum": ["5"]}, "A currency is three letters"),
        ({"limit_currency": ["EUR", "eur"], "limit_sum": ["5", "6"]}, "has a limit already"),
        ({"undo_hours": "721"}, "from 0 to 720"),
        ({"undo_hours": "-1"}, "from 0 to 720"),
        ({"undo_hours": ""}, "how many hours"),
        ({"which_systems": "chosen"}, "Choose at least one payment system"),
        ({"which_systems": "chosen", "systems": [999]}, "999 is not one"),
        ({"bulk_by": "people"}, "Choose at least one person"),
        ({"undo_by": "people", "undo_people": [999]}, "999 is not one"),
        ({"undo_by": "nobody"}, "nobody is not one"),
    ],
)
def test_what_is_wrong_is_told_beside_it_and_nothing_is_stored(
    admin_frame: Frame, changes: dict[str, Any], sentence: str
) -> None:
    html = text_of(admin_frame.post(RULES, **posted(**changes)))
    assert sentence in html
    assert "Nothing was saved" in html
    assert not Policy.objects.exists()


def test_what_was_typed_stays_when_something_is_wrong(admin_frame: Frame) -> None:
    fields = posted(undo_hours="5000", limit_currency=["CHF"], limit_sum=["42"])
    html = text_of(admin_frame.post(RULES, **fields))
    assert 'value="CHF"' in html
    assert 'value="42"' in html
    assert 'value="5000"' in html


def test_two_administrators_do_not_overwrite_each_other(
    portal: models.Portal, admin_frame: Frame
) -> None:
    text_of(admin_frame.post(RULES, **posted(undo_hours=1)))
    html = text_of(admin_frame.post(RULES, **posted(undo_hours=2)), 409)
    assert "Another person changed the rules" in html
    assert policy_of(portal).undo_hours == 1


@pytest.mark.parametrize("is_first", [True, False])
def test_the_database_decides_where_both_have_read_the_same(
    portal: models.Portal, monkeypatch: pytest.MonkeyPatch, is_first: bool
) -> None:
    if not is_first:
        rules(portal, version=3)
    seen = policy_of(portal)
    version = seen.version

    def read_before_the_other_saved(_: models.Portal) -> Policy:
        return seen

    values = {**Policy().as_facts(), "undo_hours": 1}
    change(portal, actor_id=1, version=version, values=values)
    monkeypatch.setattr("payments.policy.rules.policy_of", read_before_the_other_saved)
    with pytest.raises(ChangedMeanwhile):
        change(portal, actor_id=2, version=version, values={**values, "undo_hours": 2})
    stored = Policy.objects.get()
    assert (stored.undo_hours, stored.version, stored.changed_by) == (1, version + 1, 1)


def test_a_version_that_never_was_is_not_the_stored_one(portal: models.Portal) -> None:
    with pytest.raises(ChangedMeanwhile):
        change(portal, actor_id=1, version=5, values=Policy().as_facts())
    assert not Policy.objects.exists()


@pytest.mark.parametrize("user_id", [seed.MANAGER, seed.SETTINGS_ADMIN])
def test_other_people_do_not_see_or_change_them(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal, user_id: int
) -> None:
    frame = Frame(client, sandbox, alpha, user_id)
    headers = {"x-frame-session": frame.session, "hx-request": "true"}
    assert client.get(RULES, headers=headers).status_code == 403
    assert frame.post(RULES, **posted()).status_code == 403
    assert not Policy.objects.exists()
    assert 'data-screen="policy"' not in text_of(frame.opened())


def test_a_former_administrator_changes_nothing(alpha: Portal, admin_frame: Frame) -> None:
    assert "Rules" in shown(admin_frame)
    alpha.users[seed.ADMIN].role = alpha.users[seed.MANAGER].role
    assert admin_frame.post(RULES, **posted()).status_code == 403
    assert not Policy.objects.exists()


def test_without_the_list_of_systems_that_rule_stays(
    sandbox: Sandbox, portal: models.Portal, admin_frame: Frame
) -> None:
    rules(portal, systems=[seed.ACME_PAY], version=1)
    sandbox.faults.add(Fault("drop", method="sale.paysystem.list", times=None))
    assert "could not be read just now" in shown(admin_frame)
    fields = posted(1, undo_hours=7)
    del fields["which_systems"]
    assert "Saved." in text_of(admin_frame.post(RULES, **fields))
    policy = policy_of(portal)
    assert (policy.systems, policy.undo_hours) == ([seed.ACME_PAY], 7)


def test_a_system_that_is_gone_can_still_be_taken_out(
    portal: models.Portal, admin_frame: Frame
) -> None:
    rules(portal, systems=[seed.ACME_PAY, 777], version=1)
    assert 'value="777" checked' in shown(admin_frame)
    fields = posted(1, which_systems="chosen", systems=[seed.ACME_PAY])
    text_of(admin_frame.post(RULES, **fields))
    assert policy_of(portal).systems == [seed.ACME_PAY]


def test_each_change_is_told_to_the_ledger_with_before_and_after(
    portal: models.Portal, admin_frame: Frame, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, Any]] = []

    def record(row: models.Portal, event: str, **more: Any) -> None:
        assert database.in_atomic_block
        told.append({"portal": row.pk, "event": event, **more})

    monkeypatch.setattr(chain, "record", record)
    text_of(admin_frame.post(RULES, **posted(undo_hours=1)))
    (entry,) = told
    assert (entry["portal"], entry["event"], entry["actor_id"]) == (portal.pk, "policy", seed.ADMIN)
    assert entry["facts"]["before"]["undo_hours"] == 24
    assert entry["facts"]["after"]["undo_hours"] == 1


def test_what_the_ledger_refuses_is_not_stored(
    portal: models.Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("no ledger")

    monkeypatch.setattr(chain, "record", refuse)
    with pytest.raises(RuntimeError):
        change(portal, actor_id=1, version=0, values=Policy().as_facts())
    assert not Policy.objects.exists()


# ---- what it costs


def test_a_payment_with_rules_takes_few_statements(portal: models.Portal, manager: Person) -> None:
    rules(portal, systems=[seed.ACME_PAY], limits={"EUR": "99999"})
    offer = stage.offer_of(manager)
    with CaptureQueriesContext(database) as queries:
        attempt = pay(manager, offer, pay_system_id=seed.ACME_PAY)
    assert attempt.state == State.PAID
    read = [query["sql"] for query in queries if query["sql"].startswith("SELECT")]
    about_rules = [sql for sql in read if "payments_policy" in sql]
    assert len(about_rules) == 1
    assert not [query for query in queries if "payments_approval" in query["sql"][:40]]
