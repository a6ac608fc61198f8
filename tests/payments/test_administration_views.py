"""Pay systems, handlers and settings from the screens, by a person who may change CRM settings."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from b24app.models import Portal as PortalRow
from payments.approvals.requests import ask
from payments.lookups import pay_systems
from payments.models import Policy
from payments.setup.secret_values import MASK
from sandbox.api.faults import Fault
from sandbox.api.registry import METHODS
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.payments import attempts, stage
from tests.payments.frames import Frame, text_of

pytestmark = pytest.mark.django_db

SECRET = "made-up-merchant-secret"


@pytest.fixture
def frame(sandbox: Sandbox, alpha: Portal, client: Client) -> Frame:
    """The frame of a person who may change CRM settings and is not a portal administrator."""
    stage.install(sandbox, alpha)
    return Frame(client, sandbox, alpha, seed.SETTINGS_ADMIN)


@pytest.fixture(autouse=True)
def _secrets_are_in_no_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.DEBUG)
    yield
    assert SECRET not in caplog.text


def got(frame: Frame, path: str, **fields: str) -> Any:
    return frame.client.get(f"/payments/{path}", fields, headers=frame.headers())


def hidden(html: str, name: str) -> str:
    found = re.search(rf'name="{re.escape(name)}" value="([^"]*)"', html)
    assert found is not None, html
    return found[1]


def system_fields(html: str, **changed: object) -> dict[str, object]:
    fields: dict[str, object] = {
        "name": "Made-up Transfer",
        "description": "By transfer",
        "handler": seed.ACME_HANDLER,
        "payer": "ORDER:1",
        "active": "on",
        "xml_id": hidden(html, "xml_id"),
        "shown": hidden(html, "shown") if 'name="shown" value' in html else "",
    }
    fields.update(changed)
    return {name: value for name, value in fields.items() if value is not None}


# ---- the lists


def test_each_system_says_whose_it_is_and_whether_pay_works(frame: Frame) -> None:
    html = text_of(got(frame, "systems/"))

    def row(number: int) -> str:
        return html.split(f'<tr data-system="{number}">')[1].split("</tr>")[0]

    acme, other = row(seed.ACME_PAY), row(seed.OTHER_PAY)
    assert "This app&#x27;s" in acme
    assert "Yes" in acme
    assert "Individual" in acme
    assert "Deals, new invoices" in acme
    assert "Another app&#x27;s" in other
    assert "Edit" not in other
    assert "Built in" in row(seed.CASH)
    assert "do not take payments from an app" in row(seed.CASH)
    assert "for old invoices or quotes, not for deals" in row(seed.INVOICE_PAY)
    assert "switched off" in row(seed.INACTIVE_PAY)
    assert "Legal entity" in row(seed.COMPANY_PAY)


def test_a_handler_says_by_which_systems_it_is_used(frame: Frame) -> None:
    html = text_of(got(frame, "systems/"))
    acme = html.split('<tr data-handler="1">')[1].split("</tr>")[0]
    assert "Acme Pay, Acme Pay, retired, Acme Pay for old invoices" in acme.replace("\n", "")


@pytest.mark.parametrize("user_id", [seed.MANAGER, seed.READER])
@pytest.mark.parametrize("path", ["systems/", "systems/new/", "systems/11/", "handlers/new/"])
def test_without_the_right_the_missing_right_is_named(
    sandbox: Sandbox, alpha: Portal, client: Client, user_id: int, path: str
) -> None:
    stage.install(sandbox, alpha)
    html = text_of(got(Frame(client, sandbox, alpha, user_id), path), 403)
    assert "Allow to modify settings" in html


# ---- adding a pay system


def test_one_is_added_for_deals(frame: Frame, alpha: Portal) -> None:
    html = text_of(got(frame, "systems/new/"))
    assert "Deals, new invoices, smart processes and orders" in html
    answer = text_of(frame.post("/payments/systems/new/", **system_fields(html)))
    assert "Saved." in answer
    made = next(one for one in alpha.pay_systems.values() if one.name == "Made-up Transfer")
    assert (made.registry, made.person_type_id, made.active) == ("ORDER", 1, True)
    assert made.action_file == seed.ACME_HANDLER


def test_only_payer_types_of_the_documents_are_offered(frame: Frame, alpha: Portal) -> None:
    html = text_of(got(frame, "systems/new/"))
    payer = html.split('name="payer"')[1].split("</select>")[0]
    offered = re.findall(r'value="([A-Z_]+:\d+)"', payer)
    assert offered == ["ORDER:1", "ORDER:2", "CRM_INVOICE:3", "CRM_INVOICE:4"]
    before = len(alpha.pay_systems)
    refused = frame.post(
        "/payments/systems/new/", **system_fields(html, payer="ORDER:3", name="Unfit")
    )
    assert "problem" in text_of(refused)
    assert len(alpha.pay_systems) == before


def test_a_portal_without_old_invoices_offers_none_for_them(
    frame: Frame, alpha: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(METHODS, "crm.persontype.list")
    html = text_of(got(frame, "systems/new/"))
    payer = html.split('name="payer"')[1].split("</select>")[0]
    assert re.findall(r'value="([A-Z_]+:\d+)"', payer) == ["ORDER:1", "ORDER:2"]
    assert "Saved." in text_of(frame.post("/payments/systems/new/", **system_fields(html)))
    # One that is there from earlier can still be changed and switched.
    html = text_of(got(frame, f"systems/{seed.INVOICE_PAY}/"))
    sent = system_fields(html, name="Old ones", payer="CRM_INVOICE:3")
    assert "Saved." in text_of(frame.post(f"/payments/systems/{seed.INVOICE_PAY}/", **sent))
    assert alpha.pay_systems[seed.INVOICE_PAY].name == "Old ones"


def test_an_older_build_takes_a_whole_change(frame: Frame, alpha: Portal) -> None:
    alpha.older_build = True
    html = text_of(got(frame, f"systems/{seed.ACME_PAY}/"))
    sent = system_fields(html, name="Acme Older")
    assert "Saved." in text_of(frame.post(f"/payments/systems/{seed.ACME_PAY}/", **sent))
    assert alpha.pay_systems[seed.ACME_PAY].name == "Acme Older"


@pytest.mark.parametrize("number", [seed.CASH, seed.OTHER_PAY])
@pytest.mark.parametrize("action", ["", "delete/", "settings/"])
def test_a_forged_change_of_another_apps_pay_system_is_refused_with_a_message(
    frame: Frame, alpha: Portal, number: int, action: str
) -> None:
    name = alpha.pay_systems[number].name
    page = text_of(got(frame, f"systems/{number}/"))
    sent = system_fields(page, name="Taken over") | {"type:MERCHANT_KEY": "VALUE", "payer": "0"}
    if not action:
        sent["payer"] = "ORDER:1"
        # Built-in handlers and those of another app are not offered.
        sent["handler"] = seed.ACME_HANDLER
    answer = text_of(frame.post(f"/payments/systems/{number}/{action}", **sent))
    assert "only the app that made it" in answer
    assert alpha.pay_systems[number].name == name


def test_pressing_twice_adds_one(frame: Frame, alpha: Portal) -> None:
    html = text_of(got(frame, "systems/new/"))
    fields = system_fields(html)
    before = len(alpha.pay_systems)
    for _ in range(2):
        assert "Saved." in text_of(frame.post("/payments/systems/new/", **fields))
    assert len(alpha.pay_systems) == before + 1


@pytest.mark.parametrize("kind", ["drop", "status500", "html502", "broken_json"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_no_clear_answer_is_read_back(
    sandbox: Sandbox, frame: Frame, alpha: Portal, kind: str, when: str
) -> None:
    html = text_of(got(frame, "systems/new/"))
    before = len(alpha.pay_systems)
    sandbox.faults.add(Fault(kind, method="sale.paysystem.add", when=when))
    answer = text_of(frame.post("/payments/systems/new/", **system_fields(html)))
    done = len(alpha.pay_systems) - before
    assert done == (1 if when == "after" else 0)
    assert ("Saved." in answer) is (done == 1)
    assert ("nothing was saved" in answer) is (done == 0)


def test_a_missing_value_is_shown_beside_its_field_and_nothing_is_sent(
    sandbox: Sandbox, frame: Frame
) -> None:
    html = text_of(got(frame, "systems/new/"))
    since = len(sandbox.log)
    answer = text_of(frame.post("/payments/systems/new/", **system_fields(html, name="")))
    name = answer.split('for="id_name"')[1].split('for="id_description"')[0]
    assert 'class="problem"' in name
    assert not any("sale.paysystem.add" in call.methods for call in sandbox.log[since:])


def test_a_deleted_handler_is_shown_beside_the_field(
    sandbox: Sandbox, frame: Frame, alpha: Portal
) -> None:
    html = text_of(got(frame, "systems/new/"))

    def vanish() -> None:
        del alpha.handlers[1]

    sandbox.faults.add(Fault("delay", method="sale.paysystem.add", seconds=0, on_hit=vanish))
    answer = text_of(frame.post("/payments/systems/new/", **system_fields(html)))
    field = answer.split('for="id_handler"')[1].split('for="id_payer"')[0]
    assert "not there any more" in field


# ---- changing one


def test_one_is_changed(frame: Frame, alpha: Portal) -> None:
    html = text_of(got(frame, f"systems/{seed.ACME_PAY}/"))
    assert 'value="Acme Pay"' in html
    fields = system_fields(html, name="Acme Pay Plus", payer="ORDER:2", active=None)
    assert "Saved." in text_of(frame.post(f"/payments/systems/{seed.ACME_PAY}/", **fields))
    system = alpha.pay_systems[seed.ACME_PAY]
    assert (system.name, system.person_type_id, system.active) == ("Acme Pay Plus", 2, False)
    assert system.registry == "ORDER"


def test_two_administrators_do_not_overwrite_each_other_in_silence(
    frame: Frame, alpha: Portal
) -> None:
    html = text_of(got(frame, f"systems/{seed.ACME_PAY}/"))
    alpha.pay_systems[seed.ACME_PAY].name = "Renamed by another"
    fields = system_fields(html, name="Mine")
    answer = text_of(frame.post(f"/payments/systems/{seed.ACME_PAY}/", **fields))
    assert "Another person changed this" in answer
    assert "Now it says: Renamed by another" in answer
    assert alpha.pay_systems[seed.ACME_PAY].name == "Renamed by another"
    # Saving again overwrites.
    fields["shown"] = hidden(answer, "shown")
    assert 'name="name" value="Mine"' in answer
    assert "Saved." in text_of(frame.post(f"/payments/systems/{seed.ACME_PAY}/", **fields))
    assert alpha.pay_systems[seed.ACME_PAY].name == "Mine"


def test_an_older_build_gets_what_it_demands(frame: Frame, alpha: Portal) -> None:
    alpha.older_build = True
    answer = frame.post(f"/payments/systems/{seed.ACME_PAY}/switch/", on="no")
    assert "Switched off." in text_of(answer)
    assert not alpha.pay_systems[seed.ACME_PAY].active


def test_a_switched_off_pay_system_is_not_offered(frame: Frame, alpha: Portal) -> None:
    assert "Acme Pay</option>" in frame.tab()
    frame.post(f"/payments/systems/{seed.ACME_PAY}/switch/", on="no")
    assert "Acme Pay</option>" not in frame.tab()
    frame.post(f"/payments/systems/{seed.ACME_PAY}/switch/", on="yes")
    assert "Acme Pay</option>" in frame.tab()


def test_no_process_goes_on_offering_it(frame: Frame) -> None:
    """A stale cache of another process does not count."""
    frame.tab()
    row = PortalRow.objects.get()
    kept = {key: cache.get(key) for key in (pay_systems._cache_key(row),)}
    assert all(kept.values())
    frame.post(f"/payments/systems/{seed.ACME_PAY}/switch/", on="no")
    cache.set_many(kept)
    assert "Acme Pay</option>" not in frame.tab()


@pytest.mark.parametrize("number", [seed.CASH, seed.OTHER_PAY])
def test_what_is_not_ours_stays_as_it_is(frame: Frame, alpha: Portal, number: int) -> None:
    answer = text_of(frame.post(f"/payments/systems/{number}/switch/", on="no"))
    assert "only the app that made it" in answer
    assert alpha.pay_systems[number].active


def test_one_that_is_gone_is_no_page(frame: Frame) -> None:
    assert "not there any more" in text_of(got(frame, "systems/9999/"), 404)


# ---- deleting one


def test_the_question_names_what_depends_on_it(frame: Frame, alpha: Portal) -> None:
    unpaid = sum(
        payment.pay_system_id == seed.ACME_PAY and not payment.paid
        for payment in alpha.payments.values()
    )
    html = text_of(got(frame, f"systems/{seed.ACME_PAY}/delete/"))
    assert f"{unpaid} unpaid payments are set to it" in html
    assert seed.ACME_PAY in alpha.pay_systems


def test_the_question_names_payments_and_approvals_of_this_app_as_well(
    sandbox: Sandbox, frame: Frame, alpha: Portal, beta: Portal
) -> None:
    portal, other = PortalRow.objects.get(), stage.install(sandbox, beta)
    Policy.objects.create(portal=portal, limits={"EUR": "1000"})
    max_ = stage.person(sandbox, portal, seed.MANAGER)
    offer = stage.offer_of(max_)
    ask(max_, offer, pay_system_id=seed.COMPANY_PAY, pay_system_name="Acme Pay for companies")
    for number in (1, 2):
        attempts.handed_over(portal, payment_id=number, pay_system_id=seed.COMPANY_PAY)
    attempts.handed_over(portal, payment_id=3, pay_system_id=seed.ACME_PAY)
    attempts.handed_over(other, payment_id=1, pay_system_id=seed.COMPANY_PAY)
    attempts.keep(portal, payment_id=4, pay_system_id=seed.COMPANY_PAY)
    html = text_of(got(frame, f"systems/{seed.COMPANY_PAY}/delete/"))
    assert "2 payments that were sent through it are not confirmed yet" in html
    assert "1 approval for it is requested or given" in html


def test_one_is_deleted(frame: Frame, alpha: Portal) -> None:
    answer = frame.post(f"/payments/systems/{seed.COMPANY_PAY}/delete/")
    assert "Deleted." in text_of(answer)
    assert seed.COMPANY_PAY not in alpha.pay_systems


# ---- settings


def test_secrets_are_not_shown(frame: Frame, alpha: Portal) -> None:
    html = text_of(got(frame, f"systems/{seed.ACME_PAY}/settings/"))
    assert SECRET not in html
    assert "MERCHANT_KEY" in html
    assert "kept as it is" in html
    assert 'value="ACCOUNT_NUMBER"' in html


def test_an_empty_secret_stays_and_another_value_is_sent(
    sandbox: Sandbox, frame: Frame, alpha: Portal
) -> None:
    path = f"systems/{seed.ACME_PAY}/settings/"
    html = text_of(got(frame, path))
    fields = {
        "payer": "0",
        "shown": hidden(html, "shown"),
        "type:MERCHANT_KEY": "VALUE",
        "value:MERCHANT_KEY": "",
        "type:INVOICE": "PAYMENT",
        "value:INVOICE": "ID",
    }
    assert "Saved." in text_of(frame.post(f"/payments/{path}", **fields))
    settings = alpha.pay_systems[seed.ACME_PAY].settings
    assert settings["MERCHANT_KEY"]["VALUE"] == SECRET
    assert settings["INVOICE"] == {"TYPE": "PAYMENT", "VALUE": "ID"}
    since = len(sandbox.log)
    html = text_of(got(frame, path))
    again = {**fields, "shown": hidden(html, "shown")}
    assert "Nothing was changed." in text_of(frame.post(f"/payments/{path}", **again))
    sent = [name for call in sandbox.log[since:] for name in call.methods]
    assert "sale.paysystem.settings.update" not in sent


def test_a_new_secret_replaces_the_old_one(frame: Frame, alpha: Portal) -> None:
    path = f"systems/{seed.ACME_PAY}/settings/"
    html = text_of(got(frame, path))
    fields = {
        "payer": "0",
        "shown": hidden(html, "shown"),
        "type:MERCHANT_KEY": "VALUE",
        "value:MERCHANT_KEY": "another-made-up-one",
    }
    answer = text_of(frame.post(f"/payments/{path}", **fields))
    assert "Saved." in answer
    assert "another-made-up-one" not in answer
    assert (
        alpha.pay_systems[seed.ACME_PAY].settings["MERCHANT_KEY"]["VALUE"] == "another-made-up-one"
    )


@pytest.mark.parametrize("when", [None, "before", "after"])
def test_values_are_cleared(
    sandbox: Sandbox, frame: Frame, alpha: Portal, when: str | None
) -> None:
    path = f"systems/{seed.ACME_PAY}/settings/"
    html = text_of(got(frame, path))
    fields = {
        "payer": "0",
        "shown": hidden(html, "shown"),
        "type:MERCHANT_KEY": "VALUE",
        "value:MERCHANT_KEY": "",
        "clear:MERCHANT_KEY": "on",
        "type:INVOICE": "PAYMENT",
        "value:INVOICE": "",
    }
    if when is not None:
        sandbox.faults.add(Fault("drop", method="sale.paysystem.settings.update", when=when))
    answer = text_of(frame.post(f"/payments/{path}", **fields))
    assert ("Saved." in answer) is (when != "before")
    settings = alpha.pay_systems[seed.ACME_PAY].settings
    kept = [settings[code]["VALUE"] for code in ("MERCHANT_KEY", "INVOICE")]
    assert kept == ([SECRET, "ACCOUNT_NUMBER"] if when == "before" else ["", ""])
    if when != "before":
        assert "kept as it is" not in answer


def test_an_emptied_setting_that_is_not_kept_at_all_counts_as_saved(
    sandbox: Sandbox, frame: Frame, alpha: Portal
) -> None:
    path = f"systems/{seed.ACME_PAY}/settings/"
    fields = {
        "payer": "0",
        "shown": hidden(text_of(got(frame, path)), "shown"),
        "type:INVOICE": "PAYMENT",
        "value:INVOICE": "",
    }

    def forget() -> None:
        del alpha.pay_systems[seed.ACME_PAY].settings["INVOICE"]

    sandbox.faults.add(Fault("drop", method="sale.paysystem.settings.update", on_hit=forget))
    assert "Saved." in text_of(frame.post(f"/payments/{path}", **fields))


def test_settings_changed_meanwhile_are_not_overwritten(frame: Frame, alpha: Portal) -> None:
    path = f"systems/{seed.ACME_PAY}/settings/"
    html = text_of(got(frame, path))
    alpha.pay_systems[seed.ACME_PAY].settings["INVOICE"] = {"TYPE": "ORDER", "VALUE": "ID"}
    fields = {
        "payer": "0",
        "shown": hidden(html, "shown"),
        "type:INVOICE": "PAYMENT",
        "value:INVOICE": "ID",
    }
    assert "Another person changed this" in text_of(frame.post(f"/payments/{path}", **fields))
    assert alpha.pay_systems[seed.ACME_PAY].settings["INVOICE"]["TYPE"] == "ORDER"


@pytest.mark.parametrize("payer", ["3", "x", "-1", "99"])
def test_only_payer_types_of_its_documents_have_settings(frame: Frame, payer: str) -> None:
    text_of(got(frame, f"systems/{seed.ACME_PAY}/settings/", payer=payer), 400)


def test_settings_of_anothers_are_not_shown_and_it_says_why(frame: Frame) -> None:
    html = text_of(got(frame, f"systems/{seed.OTHER_PAY}/settings/"))
    assert "only the app that made it" in html


# ---- what one payment is paid with


def test_who_may_not_set_up_is_not_shown_what_a_payment_is_paid_with(
    sandbox: Sandbox, alpha: Portal, client: Client
) -> None:
    stage.install(sandbox, alpha)
    own = Frame(client, sandbox, alpha, seed.OWN_MANAGER)
    path = f"/payments/systems/{seed.ACME_PAY}/effective/"
    html = text_of(own.post(path, payment_id=seed.HIDDEN_PAYMENT), 403)
    assert "Allow to modify settings" in html
    assert alpha.payments[seed.HIDDEN_PAYMENT].account_number not in html


@pytest.mark.parametrize("sent", [{}, {"on": "maybe"}])
def test_neither_on_nor_off_changes_nothing(
    sandbox: Sandbox, frame: Frame, alpha: Portal, sent: dict[str, str]
) -> None:
    text_of(frame.post(f"/payments/systems/{seed.ACME_PAY}/switch/", **sent), 400)
    assert alpha.pay_systems[seed.ACME_PAY].active


def test_what_one_payment_is_paid_with_is_shown_masked(frame: Frame, alpha: Portal) -> None:
    html = text_of(
        frame.post(f"/payments/systems/{seed.ACME_PAY}/effective/", payment_id=seed.PAYMENT)
    )
    assert SECRET not in html
    assert MASK in html
    assert alpha.payments[seed.PAYMENT].account_number in html


@pytest.mark.parametrize(
    ("system", "words"),
    [(seed.CASH, "built in or another"), (seed.DEMO_CARD_PAY, "not set to this payment system")],
)
def test_where_the_server_does_not_show_it_says_why(frame: Frame, system: int, words: str) -> None:
    html = text_of(frame.post(f"/payments/systems/{system}/effective/", payment_id=seed.PAYMENT))
    assert words in html


def test_each_payer_type_has_settings_of_its_own(frame: Frame, alpha: Portal) -> None:
    path = f"systems/{seed.ACME_PAY}/settings/"
    html = text_of(got(frame, path, payer="2"))
    assert 'value="ACCOUNT_NUMBER"' in html  # what holds for all
    fields = {
        "payer": "2",
        "shown": hidden(html, "shown"),
        "type:INVOICE": "ORDER",
        "value:INVOICE": "ID",
    }
    assert "Saved." in text_of(frame.post(f"/payments/{path}", **fields))
    assert 'value="ACCOUNT_NUMBER"' in text_of(got(frame, path))
    assert 'value="ID"' in text_of(got(frame, path, payer="2"))
    assert alpha.pay_systems[seed.ACME_PAY].settings["INVOICE"]["VALUE"] == "ACCOUNT_NUMBER"


@pytest.mark.parametrize(
    ("user_id", "has_link"),
    [(seed.SETTINGS_ADMIN, True), (seed.ADMIN, True), (seed.MANAGER, False)],
)
def test_the_link_is_for_who_may_set_up(
    sandbox: Sandbox, alpha: Portal, client: Client, user_id: int, has_link: bool
) -> None:
    stage.install(sandbox, alpha)
    html = text_of(Frame(client, sandbox, alpha, user_id).opened())
    assert ('data-screen="systems"' in html) is has_link
