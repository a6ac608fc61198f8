"""The CRM's own pages, the list of applications, the sandbox panel and the script."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest

from sandbox.api.faults import Kind
from sandbox.server.app import Sandbox
from sandbox.tools.app_process import ROOT
from sandbox.tools.elements import read
from sandbox.wire.http import Request
from sandbox.world import seed
from sandbox.world.installing import begin_installation
from sandbox.world.world import DEAL, Portal, TimelineComment
from tests.sandbox.host_pages import (
    DEAL_PATH,
    a_stage,
    ask,
    layout_of,
    ours,
    page,
)


@pytest.fixture
def sandbox() -> Sandbox:
    return a_stage()


@pytest.fixture
def alpha(sandbox: Sandbox) -> Portal:
    return sandbox.world.portals[seed.ALPHA]


def test_the_card_shows_who_paid_and_when(sandbox: Sandbox, alpha: Portal) -> None:
    path = f"/_host/payments?type={DEAL}&id={seed.PAID_DEAL}"
    [payment] = json.loads(ask(sandbox, path, user=seed.MANAGER).body)["payments"]
    paid_at = alpha.payments[seed.PAID_PAYMENT].date_paid
    assert paid_at is not None
    assert payment["paid"] is True
    assert (payment["paid_by"], payment["times_paid"]) == ("Ada Admin", 1)
    assert payment["date_paid"] == paid_at.strftime("%d %b %Y %H:%M")


def test_the_card_shows_its_comments_newest_first(sandbox: Sandbox, alpha: Portal) -> None:
    for number, item_id in enumerate((seed.DEAL, seed.OWN_DEAL, seed.DEAL), start=1):
        alpha.comments.append(
            TimelineComment(
                number, (2, item_id), seed.MANAGER, datetime.now(UTC), f"<b>Note</b> {number}"
            )
        )
    timeline = page(sandbox, DEAL_PATH, user=seed.MANAGER).first("ul", **{"class": "timeline"})
    assert timeline is not None
    notes = [part.text for part in timeline.all("p", **{"class": "comment-text"})]
    assert notes == ["<b>Note</b> 3", "<b>Note</b> 1"]
    assert "Max Manager" in timeline.text


def test_payments_of_an_unreadable_item_are_not_found(sandbox: Sandbox) -> None:
    path = f"/_host/payments?type={DEAL}&id={seed.HIDDEN_DEAL}"
    assert ask(sandbox, path, user=seed.OWN_MANAGER).status == 404
    assert ask(sandbox, "/_host/payments?type=2&id=x", user=seed.ADMIN).status == 400


def test_a_long_list_is_shown_in_pages(sandbox: Sandbox, alpha: Portal) -> None:
    seed.fill(alpha, 100)
    first = page(sandbox, "/crm/deal/", user=seed.MANAGER)
    second = page(sandbox, "/crm/deal/?page=2", user=seed.MANAGER)
    links = [{link.attributes["href"] for link in tree.all("a")} for tree in (first, second)]
    assert DEAL_PATH in links[0]
    assert DEAL_PATH not in links[1]
    assert "?page=2" in links[0]
    assert {"?page=1", "?page=3"} <= links[1]


def test_titles_are_escaped(sandbox: Sandbox, alpha: Portal) -> None:
    alpha.items[DEAL, seed.DEAL].title = '</script><script>alert("&")</script>'
    for path in ("/crm/deal/", DEAL_PATH):
        body = ask(sandbox, path, user=seed.MANAGER).body.decode()
        assert "<script>alert" not in body
        assert "&lt;/script&gt;&lt;script&gt;alert(&quot;&amp;&quot;)" in body


def test_data_for_the_script_cannot_close_its_element(sandbox: Sandbox) -> None:
    body = ask(
        sandbox,
        f"/marketplace/app/{ours(sandbox.world.portals[seed.ALPHA]).id}/"
        "?x=%3C%2Fscript%3E%3Cscript%3E",
        user=seed.MANAGER,
    ).body.decode()
    assert layout_of(read(body))["placementOptions"] == {"x": "</script><script>"}


def test_only_an_administrator_installs_and_removes_an_application(
    sandbox: Sandbox, alpha: Portal
) -> None:
    form = {"client_id": seed.OUR_CLIENT_ID}
    assert ask(sandbox, "/marketplace/remove/", user=seed.MANAGER, form=form).status == 403
    assert not ours(alpha).removed
    assert ask(sandbox, "/marketplace/remove/", user=seed.ADMIN, form=form).status == 302
    assert ours(alpha).removed
    assert ask(sandbox, "/marketplace/install/", user=seed.MANAGER, form=form).status == 403
    response = ask(sandbox, "/marketplace/install/", user=seed.ADMIN, form=form)
    assert response.headers["Location"] == f"/marketplace/app/{ours(alpha).id}/"
    assert not ours(alpha).finished


def test_the_panel_makes_the_next_payment_on_this_portal_fail(sandbox: Sandbox) -> None:
    form = {"kind": "drop", "when": "after"}
    ask(sandbox, "/_host/panel/arm", user=seed.MANAGER, form=form)
    [fault] = sandbox.faults.waiting()
    assert (fault.kind, fault.when, fault.method) == (
        Kind.DROP,
        "after",
        "sale.paysystem.pay.payment",
    )
    assert fault.host == "alpha.example.com"
    ask(sandbox, "/_host/panel/disarm", user=seed.MANAGER, form={})
    assert sandbox.faults.waiting() == []


@pytest.mark.parametrize("form", [{"kind": "hold", "when": "before"}, {"kind": "drop"}, {}])
def test_the_panel_refuses_unknown_faults(sandbox: Sandbox, form: dict[str, str]) -> None:
    assert ask(sandbox, "/_host/panel/arm", user=seed.MANAGER, form=form).status == 400
    assert sandbox.faults.waiting() == []


def test_the_panel_shows_the_latest_calls_and_no_token(sandbox: Sandbox) -> None:
    token = sandbox.world.issue(seed.OUR_CLIENT_ID, seed.ALPHA, seed.MANAGER)
    ask(sandbox, f"/rest/profile?auth={token.access}", user=None)
    shown = ask(sandbox, "/_host/panel", user=seed.MANAGER).body.decode()
    [call] = json.loads(shown)["calls"]
    assert (call["method"], call["who"], call["status"]) == ("profile", "Max", 200)
    assert token.access not in shown


def test_the_oauth_server_serves_the_script(sandbox: Sandbox) -> None:
    request = Request(method="GET", host=urlsplit(sandbox.world.oauth_url).netloc, path="/api/v1/")
    response = sandbox.respond(request, lambda seconds: None)
    assert response.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert b"BX24" in response.body


@pytest.mark.parametrize(
    "name", ["../../../static/css/base.css", f"{ROOT}/static/css/base.css", "../pages.py", "no.css"]
)
def test_assets_are_only_files_of_the_portal(sandbox: Sandbox, name: str) -> None:
    assert ask(sandbox, "/_host/assets/portal.css", user=None).status == 200
    assert ask(sandbox, f"/_host/assets/{name}", user=None).status == 404


def test_the_same_ids_have_other_sums_on_the_other_portal(sandbox: Sandbox) -> None:
    path = f"/_host/payments?type={DEAL}&id={seed.DEAL}"
    sums = [
        json.loads(ask(sandbox, path, user=seed.MANAGER, portal=portal).body)["payments"][0]["sum"]
        for portal in (seed.ALPHA, seed.BETA)
    ]
    assert sums == ["12,500.00", "25,000.00"]


def test_installing_again_after_a_removal_makes_a_new_installation(
    sandbox: Sandbox, alpha: Portal
) -> None:
    before = ours(alpha)
    before.removed = True
    again = begin_installation(sandbox.world, alpha, seed.OUR_CLIENT_ID)
    assert again.id != before.id
    assert not again.finished
