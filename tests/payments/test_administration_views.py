"""Pay systems and their settings from the screens, by a person who may change CRM settings."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache

from b24app import models
from b24app.identity.session import Person
from payments.approvals.requests import ask
from payments.lookups import pay_systems
from payments.setup.secret_values import MASK
from sandbox.api.faults import Fault
from sandbox.api.registry import METHODS
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.payments import attempts, stage
from tests.payments.frames import Frame, FrameOf, row_in, text_of
from tests.payments.unconfirmed import calls

pytestmark = pytest.mark.django_db

SECRET = "made-up-merchant-secret"
LIST, NEW = "/payments/systems/", "/payments/systems/new/"
ACME = f"/payments/systems/{seed.ACME_PAY}/"
SETTINGS = f"{ACME}settings/"
CHANGED_MEANWHILE = "Another person changed this"


@pytest.fixture
def frame(settings_frame: Frame) -> Frame:
    return settings_frame


@pytest.fixture(autouse=True)
def _secrets_are_in_no_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.DEBUG)
    yield
    assert SECRET not in caplog.text


def hidden(html: str, name: str) -> str:
    found = re.search(rf'name="{re.escape(name)}" value="([^"]*)"', html)
    assert found is not None, html
    return found[1]


def fields_of(frame: Frame, path: str, **changed: object) -> dict[str, Any]:
    """Returns the fields of a pay system's form, with these changes."""
    html = frame.look(path)
    fields: dict[str, object] = {
        "name": "Made-up Transfer",
        "description": "By transfer",
        "handler": seed.ACME_HANDLER,
        "payer": "ORDER:1",
        "active": "on",
        "xml_id": hidden(html, "xml_id"),
        "shown": hidden(html, "shown") if 'name="shown" value' in html else "",
        **changed,
    }
    return {name: value for name, value in fields.items() if value is not None}


def settings_of(frame: Frame, *, payer: str = "0", **values: str) -> dict[str, Any]:
    """Returns the fields of the settings of Acme Pay; `values` are of this app's payment."""
    html = frame.look(SETTINGS, payer=payer)
    fields = {f"value:{code}": value for code, value in values.items()}
    types = {"MERCHANT_KEY": "VALUE", "INVOICE": "PAYMENT"}
    fields |= {f"type:{code}": types[code] for code in values}
    return {"payer": payer, "shown": hidden(html, "shown"), **fields}


def payers(html: str) -> list[str]:
    select = html.split('name="payer"')[1].split("</select>")[0]
    return re.findall(r'value="([A-Z_]+:\d+)"', select)


def value_of(alpha: Portal, code: str) -> object:
    return alpha.pay_systems[seed.ACME_PAY].settings[code]["VALUE"]


# ---- the lists


def test_each_system_says_whose_it_is_and_whether_pay_works(frame: Frame) -> None:
    html = frame.look(LIST)
    for number, said in (
        (seed.ACME_PAY, ("This app&#x27;s", "Yes", "Individual", "Deals, new invoices")),
        (seed.OTHER_PAY, ("Another app&#x27;s",)),
        (seed.CASH, ("Built in", "do not take payments from an app")),
        (seed.INVOICE_PAY, ("for old invoices or quotes, not for deals",)),
        (seed.INACTIVE_PAY, ("switched off",)),
        (seed.COMPANY_PAY, ("Legal entity",)),
    ):
        for one in said:
            assert one in row_in(html, "system", number)
    assert "Edit" not in row_in(html, "system", seed.OTHER_PAY)
    handler = row_in(html, "handler", 1).replace("\n", "")
    assert "Acme Pay, Acme Pay, retired, Acme Pay for old invoices" in handler


@pytest.mark.parametrize("user_id", [seed.MANAGER, seed.OWN_MANAGER, seed.READER])
def test_without_the_right_the_missing_right_is_named(frame_of: FrameOf, user_id: int) -> None:
    frame = frame_of(user_id)
    effective = frame.send(f"{ACME}effective/", 403, payment_id=seed.HIDDEN_PAYMENT)
    for html in (
        effective,
        *(frame.look(path, 403) for path in (LIST, NEW, ACME, "/payments/handlers/new/")),
    ):
        assert "Allow to modify settings" in html
    hidden_payment = frame.portal.payments[seed.HIDDEN_PAYMENT]
    assert hidden_payment.account_number not in effective


@pytest.mark.parametrize(
    ("user_id", "has_link"),
    [(seed.SETTINGS_ADMIN, True), (seed.ADMIN, True), (seed.MANAGER, False)],
)
def test_people_who_may_set_up_have_a_link(frame_of: FrameOf, user_id: int, has_link: bool) -> None:
    assert ('data-screen="systems"' in text_of(frame_of(user_id).opened())) is has_link


# ---- adding a pay system


def test_one_is_added_for_deals_however_often_it_is_pressed(frame: Frame, alpha: Portal) -> None:
    assert "Deals, new invoices, smart processes and orders" in frame.look(NEW)
    fields = fields_of(frame, NEW)
    for _ in range(2):
        assert "Saved." in frame.send(NEW, **fields)
    (made,) = (one for one in alpha.pay_systems.values() if one.name == "Made-up Transfer")
    assert (made.registry, made.person_type_id, made.active) == ("ORDER", 1, True)
    assert made.action_file == seed.ACME_HANDLER


def test_only_payer_types_of_the_documents_are_offered(frame: Frame, alpha: Portal) -> None:
    assert payers(frame.look(NEW)) == ["ORDER:1", "ORDER:2", "CRM_INVOICE:3", "CRM_INVOICE:4"]
    before = len(alpha.pay_systems)
    assert "problem" in frame.send(NEW, **fields_of(frame, NEW, payer="ORDER:3"))
    assert len(alpha.pay_systems) == before


def test_a_portal_without_old_invoices_offers_none_for_them(
    frame: Frame, alpha: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(METHODS, "crm.persontype.list")
    assert payers(frame.look(NEW)) == ["ORDER:1", "ORDER:2"]
    assert "Saved." in frame.send(NEW, **fields_of(frame, NEW))
    # One that is there from earlier can still be changed and switched.
    path = f"/payments/systems/{seed.INVOICE_PAY}/"
    sent = fields_of(frame, path, name="Old ones", payer="CRM_INVOICE:3")
    assert "Saved." in frame.send(path, **sent)
    assert alpha.pay_systems[seed.INVOICE_PAY].name == "Old ones"


@pytest.mark.parametrize("kind", ["drop", "status500", "html502", "broken_json"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_no_clear_answer_is_read_back(frame: Frame, alpha: Portal, kind: str, when: str) -> None:
    fields = fields_of(frame, NEW)
    before = len(alpha.pay_systems)
    frame.sandbox.faults.add(Fault(kind, method="sale.paysystem.add", when=when))
    answer = frame.send(NEW, **fields)
    assert len(alpha.pay_systems) - before == (when == "after")
    assert ("Saved." in answer) is (when == "after")
    assert ("nothing was saved" in answer) is (when == "before")


def test_a_mistake_is_shown_beside_its_field(frame: Frame, alpha: Portal) -> None:
    answer = frame.send(NEW, **fields_of(frame, NEW, name=""))
    field = answer.split('for="id_name"')[1].split('for="id_description"')[0]
    assert 'class="problem"' in field
    assert calls(frame.sandbox, "sale.paysystem.add") == 0
    stage.during(frame.sandbox, "sale.paysystem.add", lambda: alpha.handlers.pop(1))
    answer = frame.send(NEW, **fields_of(frame, NEW))
    field = answer.split('for="id_handler"')[1].split('for="id_payer"')[0]
    assert "not there any more" in field


# ---- changing, switching and deleting one


@pytest.mark.parametrize("is_older", [False, True])
def test_every_build_changes_and_switches_one(frame: Frame, alpha: Portal, is_older: bool) -> None:
    alpha.older_build = is_older
    assert 'value="Acme Pay"' in frame.look(ACME)
    fields = fields_of(frame, ACME, name="Acme Pay Plus", payer="ORDER:2", active=None)
    assert "Saved." in frame.send(ACME, **fields)
    system = alpha.pay_systems[seed.ACME_PAY]
    assert (system.name, system.person_type_id, system.active) == ("Acme Pay Plus", 2, False)
    assert system.registry == "ORDER"
    assert "Switched on." in frame.send(f"{ACME}switch/", on="yes")
    for sent in ({}, {"on": "maybe"}):
        frame.send(f"{ACME}switch/", 400, **sent)
    assert system.active
    assert "Switched off." in frame.send(f"{ACME}switch/", on="no")
    assert not system.active


def test_two_people_do_not_overwrite_each_other(frame: Frame, alpha: Portal) -> None:
    system = alpha.pay_systems[seed.ACME_PAY]
    fields = fields_of(frame, ACME, name="Mine")
    system.name = "Renamed by another"
    answer = frame.send(ACME, **fields)
    assert CHANGED_MEANWHILE in answer
    assert "Now it says: Renamed by another" in answer
    assert system.name == "Renamed by another"
    # Saving again overwrites.
    fields["shown"] = hidden(answer, "shown")
    assert 'name="name" value="Mine"' in answer
    assert "Saved." in frame.send(ACME, **fields)
    assert system.name == "Mine"


def test_no_process_offers_a_switched_off_system(frame: Frame, portal: models.Portal) -> None:
    offered = "Acme Pay</option>"
    assert offered in frame.tab()
    key = pay_systems._cache_key(portal)
    stale = cache.get(key)
    assert stale
    frame.post(f"{ACME}switch/", on="no")
    # Another process has the old list in its cache.
    cache.set(key, stale)
    assert offered not in frame.tab()
    frame.post(f"{ACME}switch/", on="yes")
    assert offered in frame.tab()


@pytest.mark.parametrize("number", [seed.CASH, seed.OTHER_PAY])
def test_another_apps_system_stays_as_it_is(frame: Frame, alpha: Portal, number: int) -> None:
    path = f"/payments/systems/{number}/"
    change = fields_of(frame, path, name="Taken over")
    forged = change | {"type:MERCHANT_KEY": "VALUE", "payer": "0"}
    before = repr(alpha.pay_systems[number])
    for answer in (
        # Built-in handlers and those of another app are not offered.
        frame.send(path, **change),
        frame.send(f"{path}delete/", **forged),
        frame.send(f"{path}settings/", **forged),
        frame.send(f"{path}switch/", on="no"),
        frame.look(f"{path}settings/"),
    ):
        assert "only the app that made it" in answer
    assert repr(alpha.pay_systems[number]) == before
    assert "not there any more" in frame.look("/payments/systems/9999/", 404)


def test_the_question_before_a_deletion_names_dependents(
    frame: Frame, portal: models.Portal, alpha: Portal, beta: Portal, manager: Person
) -> None:
    unpaid = sum(
        payment.pay_system_id == seed.ACME_PAY and not payment.paid
        for payment in alpha.payments.values()
    )
    assert f"{unpaid} unpaid payments are set to it" in frame.look(f"{ACME}delete/")
    assert seed.ACME_PAY in alpha.pay_systems

    stage.set_rules(portal, limits={"EUR": "1000"})
    company = seed.COMPANY_PAY
    ask(manager, stage.offer_of(manager), pay_system_id=company, pay_system_name="Acme Pay")
    other = stage.install(frame.sandbox, beta)
    for row, payment_id, system in (
        (portal, 1, company),
        (portal, 2, company),
        (portal, 3, seed.ACME_PAY),
        (other, 1, company),
    ):
        attempts.handed_over(row, payment_id=payment_id, pay_system_id=system)
    attempts.keep(portal, payment_id=4, pay_system_id=company)
    path = f"/payments/systems/{company}/delete/"
    html = frame.look(path)
    assert "2 payments that were sent through it are not confirmed yet" in html
    assert "1 approval for it is requested or given" in html
    assert "Deleted." in frame.send(path)
    assert company not in alpha.pay_systems


# ---- settings


def test_a_secret_is_not_shown_and_is_kept_or_replaced(frame: Frame, alpha: Portal) -> None:
    html = frame.look(SETTINGS)
    assert SECRET not in html
    for one in ("MERCHANT_KEY", "kept as it is", 'value="ACCOUNT_NUMBER"'):
        assert one in html
    for said in ("Saved.", "Nothing was changed."):
        assert said in frame.send(SETTINGS, **settings_of(frame, MERCHANT_KEY="", INVOICE="ID"))
    assert calls(frame.sandbox, "sale.paysystem.settings.update") == 1
    settings = alpha.pay_systems[seed.ACME_PAY].settings
    assert settings["INVOICE"] == {"TYPE": "PAYMENT", "VALUE": "ID"}
    assert value_of(alpha, "MERCHANT_KEY") == SECRET
    answer = frame.send(SETTINGS, **settings_of(frame, MERCHANT_KEY="another-made-up-one"))
    assert "Saved." in answer
    assert "another-made-up-one" not in answer
    assert value_of(alpha, "MERCHANT_KEY") == "another-made-up-one"


@pytest.mark.parametrize("when", [None, "before", "after"])
def test_values_are_cleared(frame: Frame, alpha: Portal, when: str | None) -> None:
    fields = settings_of(frame, MERCHANT_KEY="", INVOICE="") | {"clear:MERCHANT_KEY": "on"}
    if when is not None:
        frame.sandbox.faults.add(Fault("drop", method="sale.paysystem.settings.update", when=when))
    answer = frame.send(SETTINGS, **fields)
    assert ("Saved." in answer) is (when != "before")
    kept = [value_of(alpha, code) for code in ("MERCHANT_KEY", "INVOICE")]
    assert kept == ([SECRET, "ACCOUNT_NUMBER"] if when == "before" else ["", ""])
    assert when == "before" or "kept as it is" not in answer


def test_an_emptied_setting_that_is_gone_is_saved(frame: Frame, alpha: Portal) -> None:
    fields = settings_of(frame, INVOICE="")
    settings = alpha.pay_systems[seed.ACME_PAY].settings
    drop = Fault("drop", method="sale.paysystem.settings.update")
    drop.on_hit = lambda: settings.pop("INVOICE")
    frame.sandbox.faults.add(drop)
    assert "Saved." in frame.send(SETTINGS, **fields)


def test_settings_changed_meanwhile_are_not_overwritten(frame: Frame, alpha: Portal) -> None:
    fields = settings_of(frame, INVOICE="ID")
    settings = alpha.pay_systems[seed.ACME_PAY].settings
    settings["INVOICE"] = {"TYPE": "ORDER", "VALUE": "ID"}
    assert CHANGED_MEANWHILE in frame.send(SETTINGS, **fields)
    assert settings["INVOICE"]["TYPE"] == "ORDER"


def test_each_payer_type_has_its_own_settings(frame: Frame, alpha: Portal) -> None:
    # A value for all is shown for each.
    assert 'value="ACCOUNT_NUMBER"' in frame.look(SETTINGS, payer="2")
    assert "Saved." in frame.send(SETTINGS, **settings_of(frame, payer="2", INVOICE="ID"))
    assert 'value="ACCOUNT_NUMBER"' in frame.look(SETTINGS)
    assert 'value="ID"' in frame.look(SETTINGS, payer="2")
    assert value_of(alpha, "INVOICE") == "ACCOUNT_NUMBER"
    for payer in ("3", "x", "-1", "99"):
        frame.look(SETTINGS, 400, payer=payer)


def test_settings_of_one_payment_are_shown_masked(frame: Frame, alpha: Portal) -> None:
    html = frame.send(f"{ACME}effective/", payment_id=seed.PAYMENT)
    assert SECRET not in html
    assert MASK in html
    assert alpha.payments[seed.PAYMENT].account_number in html
    for system, why in (
        (seed.CASH, "built in or another"),
        (seed.DEMO_CARD_PAY, "not set to this payment system"),
    ):
        path = f"/payments/systems/{system}/effective/"
        assert why in frame.send(path, payment_id=seed.PAYMENT)
