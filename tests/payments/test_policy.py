"""The rules of a portal: who may change them, and that the server enforces them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from b24app import models
from b24app.identity.session import Person
from payments import reasons
from payments.attempts.pay import pay
from payments.ledger import chain
from payments.models import Entry, Policy, State, Who
from payments.policy.forms import LimitRow, RulesForm
from payments.policy.rules import ChangedMeanwhile, change, policy_of
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.payments import stage
from tests.payments.frames import Frame, FrameOf, text_of
from tests.payments.test_cost import statements

pytestmark = pytest.mark.django_db

RULES = "/payments/rules/"


def rules(portal: models.Portal, **values: Any) -> Policy:
    return Policy.objects.create(portal=portal, **values)


def posted(version: int = 0, /, **changes: Any) -> dict[str, Any]:
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


def limit(sum_: str, currency: str = "EUR") -> dict[str, list[str]]:
    return {"limit_currency": [currency], "limit_sum": [sum_]}


# ---- the rules themselves


def test_without_a_row_everything_is_allowed(portal: models.Portal) -> None:
    policy = policy_of(portal)
    assert policy.allows_system(999)
    assert not policy.needs_approval(Decimal(10**9), "EUR")
    assert policy.may_undo(7, is_admin=False)
    assert policy.may_bulk(7, is_admin=False)
    assert (policy.undo_hours, policy.timeline_comment) == (24, True)


def test_the_rules_are_one_statement_and_not_those_of_another_portal(
    sandbox: Sandbox, portal: models.Portal, beta: Portal, django_assert_num_queries: Any
) -> None:
    rules(portal, limits={"EUR": "100", "USD": "5"}, systems=[11])
    with django_assert_num_queries(1):
        policy = policy_of(portal)
        assert policy.needs_approval(Decimal(101), "EUR")
        assert [limit.currency for limit in policy.limit_rows()] == ["EUR", "USD"]
        assert policy.systems == [11]
    assert policy_of(stage.install(sandbox, beta)).systems is None


def test_only_sums_above_the_limit_of_their_currency_need_approval() -> None:
    policy = Policy(limits={"EUR": "100", "JPY": "0.0001"})
    for amount, currency, needs in (
        ("100.00", "EUR", False),
        ("100.0001", "EUR", True),
        ("1000000", "USD", False),
        ("0.01", "JPY", True),
    ):
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


@pytest.mark.parametrize(
    ("values", "system", "reason"),
    [
        ({"systems": [seed.OTHER_PAY]}, seed.ACME_PAY, reasons.POLICY_SYSTEM),
        ({"systems": [seed.ACME_PAY]}, seed.OTHER_PAY, reasons.POLICY_SYSTEM),
        ({"limits": {"EUR": "12499.99"}}, seed.ACME_PAY, reasons.NEEDS_APPROVAL),
    ],
)
def test_a_forbidden_payment_is_neither_bound_nor_sent_until_the_rules_change(
    sandbox: Sandbox,
    alpha: Portal,
    manager: Person,
    values: dict[str, Any],
    system: int,
    reason: str,
) -> None:
    offer = stage.offer_of(manager)
    policy = rules(manager.portal, **values)
    attempt = pay(manager, offer, pay_system_id=system)
    assert (attempt.state, attempt.reason) == (State.REFUSED, reason)
    assert alpha.payments[seed.PAYMENT].pay_system_id == seed.ACME_PAY
    assert stage.sent_payments(sandbox) == 0
    # Nothing of the rules is remembered, and a limit of another currency does not hold.
    policy.limits, policy.systems = {"EUR": "12500", "USD": "1"}, [system]
    policy.save()
    assert pay(manager, offer, pay_system_id=system).state == State.PAID


def test_forbidden_systems_are_not_offered(portal: models.Portal, frame: Frame) -> None:
    policy = rules(portal, systems=[seed.ACME_PAY])
    html = frame.tab()
    assert "Acme Pay" in html
    assert "Other Wallet" not in html
    manager = stage.person(frame.sandbox, portal, seed.MANAGER)
    for allowed, offered, why_not in (
        (seed.OTHER_PAY, [seed.OTHER_PAY], ""),
        (seed.CASH, [], reasons.SYSTEM_NOT_ALLOWED),
    ):
        policy.systems = [allowed]
        policy.save()
        row = stage.row_of(stage.tab(manager, seed.DEAL), seed.PAYMENT)
        assert (row.bound_fits, row.payable) == (False, bool(offered))
        assert [system.id for system in row.systems[1:]] == offered
        assert row.why_not == why_not


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"limits": {"EUR": "1"}}, "needs a second person's approval"),
        ({"systems": [seed.OTHER_PAY]}, "Your administrator does not allow this payment system"),
    ],
)
def test_the_command_says_the_sentence_and_leaves_with_one(
    sandbox: Sandbox,
    portal: models.Portal,
    capsys: pytest.CaptureFixture[str],
    values: dict[str, Any],
    sentence: str,
) -> None:
    rules(portal, **values)
    target = {"portal": portal.member_id, "payment": seed.PAYMENT, "pay_system": seed.ACME_PAY}
    with pytest.raises(SystemExit) as left:
        call_command("pay", **target, yes=True)
    assert left.value.code == 1
    assert sentence in capsys.readouterr().out
    assert stage.sent_payments(sandbox) == 0


def test_a_payment_with_rules_takes_few_statements(manager: Person) -> None:
    rules(manager.portal, systems=[seed.ACME_PAY], limits={"EUR": "99999"})
    offer = stage.offer_of(manager)
    with CaptureQueriesContext(connection) as queries:
        attempt = pay(manager, offer, pay_system_id=seed.ACME_PAY)
    assert attempt.state == State.PAID
    read = [sql for sql in statements(queries) if sql.startswith("SELECT")]
    assert sum("payments_policy" in sql for sql in read) == 1
    assert not [sql for sql in statements(queries) if "payments_approval" in sql[:40]]


# ---- changing them


def test_an_administrator_changes_all_of_it(portal: models.Portal, admin_frame: Frame) -> None:
    fields = posted(
        which_systems="chosen",
        systems=[seed.ACME_PAY, seed.CASH],
        limit_currency=["eur", "USD", ""],
        limit_sum=["10 000.50", "5", ""],
        undo_hours=0,
        undo_by="administrators",
        bulk_by="people",
        bulk_people=[seed.ADMIN],
    )
    html = admin_frame.send(RULES, **fields)
    assert "Saved." in html
    assert 'name="version" value="1"' in html
    policy = policy_of(portal)
    assert policy.systems == [seed.CASH, seed.ACME_PAY]
    assert policy.limits == {"EUR": "10000.50", "USD": "5"}
    assert (policy.undo_hours, policy.undo_by) == (0, Who.ADMINISTRATORS)
    assert (policy.bulk_by, policy.bulk_people) == (Who.PEOPLE, [seed.ADMIN])
    assert not policy.timeline_comment
    assert policy.changed_by == seed.ADMIN
    entry = Entry.objects.get()
    assert (entry.portal, entry.event, entry.actor_id) == (portal, "policy", seed.ADMIN)
    assert (entry.facts["before"]["undo_hours"], entry.facts["after"]["undo_hours"]) == (24, 0)
    # And back, from the page that came.
    admin_frame.send(RULES, **posted(1, timeline_comment="on"))
    assert policy_of(portal).as_facts() == Policy().as_facts()


@pytest.mark.parametrize("typed", ["1000,50", "1000.50", "1 000,5", "1000,5000"])
def test_a_limit_is_read_with_a_comma_and_with_a_point(
    portal: models.Portal, admin_frame: Frame, typed: str
) -> None:
    admin_frame.send(RULES, **posted(**limit(typed)))
    assert policy_of(portal).limit_rows()[0].sum == Decimal("1000.5")


@pytest.mark.parametrize("sum_", ["1000", "0.5", "1000.50", "1.125", "0.0001", "12345.678"])
@pytest.mark.parametrize("language", ["en", "de", "fr", "ru"])
def test_a_limit_comes_back_as_the_form_takes_it(sum_: str, language: str) -> None:
    def first_row(typed: QueryDict | None = None) -> LimitRow:
        stored = Policy(limits={"EUR": sum_})
        form = RulesForm(stored, portal=models.Portal(), systems=[], people={}, posted=typed)
        return form.limit_rows[0]

    typed = QueryDict(mutable=True)
    with translation.override(language):
        for name, values in limit(first_row().sum).items():
            typed.setlist(name, values)
        row = first_row(typed)
    assert not row.error
    assert Decimal(row.sum.replace(",", ".")) == Decimal(sum_)


WRONG_SUMS = ("-1", "1,000", "1.000", "1.000,50", "NaN", "1e5", "9" * 16, "")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        *((limit(sum_), "without thousands separators") for sum_ in WRONG_SUMS),
        (limit("0"), "more than zero"),
        (limit("5", "EU"), "A currency is three letters"),
        (limit("5", ""), "A currency is three letters"),
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
def test_a_mistake_is_told_beside_its_field_and_nothing_is_stored(
    admin_frame: Frame, changes: dict[str, Any], sentence: str
) -> None:
    html = admin_frame.send(RULES, **{**posted(**limit("42", "CHF")), **changes})
    assert sentence in html
    assert "Nothing was saved" in html
    # What was typed stays.
    for value in changes.get("undo_hours", ""), changes.get("limit_sum", ["42"])[0]:
        assert not value or f'value="{value}"' in html
    assert not Policy.objects.exists()


def test_two_people_do_not_overwrite_each_other(portal: models.Portal, admin_frame: Frame) -> None:
    admin_frame.send(RULES, **posted(undo_hours=1))
    html = admin_frame.send(RULES, 409, **posted(undo_hours=2))
    assert "Another person changed the rules" in html
    assert policy_of(portal).undo_hours == 1
    with pytest.raises(ChangedMeanwhile):
        change(portal, actor_id=1, version=5, values=Policy().as_facts())


@pytest.mark.parametrize("is_first", [True, False])
def test_the_database_decides_where_both_have_read_the_same(
    portal: models.Portal, monkeypatch: pytest.MonkeyPatch, is_first: bool
) -> None:
    if not is_first:
        rules(portal, version=3)
    seen = policy_of(portal)
    version = seen.version
    values = {**Policy().as_facts(), "undo_hours": 1}
    change(portal, actor_id=1, version=version, values=values)
    monkeypatch.setattr("payments.policy.rules.policy_of", lambda portal: seen)
    with pytest.raises(ChangedMeanwhile):
        change(portal, actor_id=2, version=version, values={**values, "undo_hours": 2})
    stored = Policy.objects.get()
    assert (stored.undo_hours, stored.version, stored.changed_by) == (1, version + 1, 1)


@pytest.mark.parametrize("user_id", [seed.MANAGER, seed.SETTINGS_ADMIN, seed.ADMIN])
def test_only_administrators_see_and_change_them(
    alpha: Portal, frame_of: FrameOf, user_id: int
) -> None:
    frame = frame_of(user_id)
    if user_id == seed.ADMIN:
        assert "Rules" in frame.look(RULES)
        alpha.users[seed.ADMIN].role = alpha.users[seed.MANAGER].role
    frame.look(RULES, 403)
    frame.send(RULES, 403, **posted())
    assert not Policy.objects.exists()
    assert 'data-screen="policy"' not in text_of(frame.opened())


def test_without_the_list_of_systems_that_rule_stays(
    sandbox: Sandbox, portal: models.Portal, admin_frame: Frame
) -> None:
    rules(portal, systems=[seed.ACME_PAY], version=1)
    sandbox.faults.add(Fault("drop", method="sale.paysystem.list", times=None))
    assert "could not be read just now" in admin_frame.look(RULES)
    fields = posted(1, undo_hours=7)
    del fields["which_systems"]
    assert "Saved." in admin_frame.send(RULES, **fields)
    policy = policy_of(portal)
    assert (policy.systems, policy.undo_hours) == ([seed.ACME_PAY], 7)


def test_a_gone_system_can_be_taken_out(portal: models.Portal, admin_frame: Frame) -> None:
    rules(portal, systems=[seed.ACME_PAY, 777], version=1)
    assert 'value="777" checked' in admin_frame.look(RULES)
    admin_frame.send(RULES, **posted(1, which_systems="chosen", systems=[seed.ACME_PAY]))
    assert policy_of(portal).systems == [seed.ACME_PAY]


def test_rules_that_the_ledger_refuses_are_not_stored(
    portal: models.Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("no ledger")

    monkeypatch.setattr(chain, "record", refuse)
    with pytest.raises(RuntimeError):
        change(portal, actor_id=1, version=0, values=Policy().as_facts())
    assert not Policy.objects.exists()
