"""Opening an application: the fields posted into its frame, and who may open one.

The form and the frame are those of the component rest/install/components/bitrix/app.layout; the
documentation has the fields in settings/oauth/simple-way.md and the tabs in
api-reference/widgets/crm/detail-tab.md and api-reference/crm/universal/invoice.md.
"""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from sandbox.host.places import uri_of
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.sandbox.host_pages import (
    DEAL_PATH,
    HANDLER,
    a_stage,
    app_page,
    ask,
    form_of,
    frame_of,
    layout_of,
    ours,
    page,
    tab_of,
    tabs,
)
from tests.sandbox.wire import APP_URL


@pytest.fixture
def sandbox() -> Sandbox:
    return a_stage()


@pytest.fixture
def alpha(sandbox: Sandbox) -> Portal:
    return sandbox.world.portals[seed.ALPHA]


def test_a_tab_is_opened_by_a_form_with_the_newest_fields(sandbox: Sandbox, alpha: Portal) -> None:
    """Tokens, the three newer fields, member_id, status and the placement."""
    fields = form_of(tab_of(sandbox, DEAL_PATH)).fields
    token = sandbox.world.tokens[fields.pop("AUTH_ID")]
    assert fields == {
        "AUTH_EXPIRES": "3600",
        "REFRESH_ID": token.refresh,
        "SERVER_ENDPOINT": f"{sandbox.world.oauth_url}/rest/",
        "APPLICATION_TOKEN": ours(alpha).application_token,
        "APPLICATION_SCOPE": "crm,sale,pay_system,placement,user_brief",
        "member_id": seed.ALPHA,
        "status": "L",
        "PLACEMENT": "CRM_DEAL_DETAIL_TAB",
        "PLACEMENT_OPTIONS": (
            '{"ID":"8061","URI":"\\/crm\\/deal\\/details\\/8061\\/'
            '?any=details%2F8061%2F&IFRAME=Y&IFRAME_TYPE=SIDE_SLIDER"}'
        ),
    }
    owner = (token.client_id, token.member_id, token.user_id)
    assert owner == (seed.OUR_CLIENT_ID, seed.ALPHA, seed.MANAGER)


def test_an_older_portal_sends_no_application_token(sandbox: Sandbox, alpha: Portal) -> None:
    """Older templates lack the three newest fields."""
    alpha.sends_application_token = False
    fields = form_of(tab_of(sandbox, DEAL_PATH)).fields
    assert not {"SERVER_ENDPOINT", "APPLICATION_TOKEN", "APPLICATION_SCOPE"} & fields.keys()
    assert {"AUTH_ID", "REFRESH_ID", "member_id"} <= fields.keys()


def test_the_address_has_the_portal_and_never_a_token(sandbox: Sandbox) -> None:
    """DOMAIN, PROTOCOL, LANG and APP_SID in the query."""
    tree = tab_of(sandbox, DEAL_PATH)
    action = urlsplit(form_of(tree).attributes["action"])
    assert f"{action.scheme}://{action.netloc}{action.path}" == HANDLER
    assert parse_qs(action.query) == {
        "DOMAIN": ["alpha.example.com"],
        "PROTOCOL": ["1"],
        "LANG": ["en"],
        "APP_SID": [layout_of(tree)["sid"]],
    }


def test_parameters_of_a_handler_with_a_query_are_added_to_it(
    sandbox: Sandbox, alpha: Portal
) -> None:
    ours(alpha).placements[0]["handler"] = f"{HANDLER}?tab=1"
    action = form_of(tab_of(sandbox, DEAL_PATH)).attributes["action"]
    assert action.startswith(f"{HANDLER}?tab=1&DOMAIN=")


def test_the_frame_has_a_name_for_the_script_and_no_sandbox(sandbox: Sandbox) -> None:
    """Name is host, protocol and APP_SID; there is no sandbox attribute."""
    tree = tab_of(sandbox, DEAL_PATH)
    frame, sid = frame_of(tree).attributes, layout_of(tree)["sid"]
    assert frame["name"] == f"alpha.example.com|1|{sid}"
    assert frame["id"] == f"appframe_{sid}"
    assert "sandbox" not in frame


def test_the_frames_name_has_every_port_but_the_default_one(
    sandbox: Sandbox, alpha: Portal
) -> None:
    alpha.url = "http://127.0.0.1:8101"
    name = frame_of(tab_of(sandbox, DEAL_PATH)).attributes["name"]
    assert name.startswith("127.0.0.1:8101|0|")


def test_each_opening_has_new_tokens(sandbox: Sandbox) -> None:
    first, second = (form_of(tab_of(sandbox, DEAL_PATH)).fields for _ in range(2))
    assert first["AUTH_ID"] != second["AUTH_ID"]
    assert first["REFRESH_ID"] != second["REFRESH_ID"]
    assert not sandbox.world.tokens[first["AUTH_ID"]].revoked


def test_an_invoices_tab_has_its_own_code(sandbox: Sandbox) -> None:
    """CRM_SMART_INVOICE_DETAIL_TAB, not CRM_DYNAMIC_31_DETAIL_TAB."""
    path = f"/crm/type/31/details/{seed.INVOICE}/"
    fields = form_of(tab_of(sandbox, path)).fields
    assert fields["PLACEMENT"] == "CRM_SMART_INVOICE_DETAIL_TAB"
    assert json.loads(fields["PLACEMENT_OPTIONS"]) == {"ID": str(seed.INVOICE), "URI": uri_of(path)}


def test_the_main_page_has_no_options_unless_the_address_has_parameters(sandbox: Sandbox) -> None:
    """PLACEMENT_OPTIONS only if non-empty, without the portal's own parameters."""
    plain = form_of(app_page(sandbox, user=seed.MANAGER)).fields
    assert plain["PLACEMENT"] == "DEFAULT"
    assert "PLACEMENT_OPTIONS" not in plain
    fields = form_of(app_page(sandbox, user=seed.MANAGER, more="?IFRAME=Y&order=163")).fields
    assert fields["PLACEMENT_OPTIONS"] == '{"order":"163"}'


def test_tabs_appear_when_bound_and_when_the_installation_is_finished(
    sandbox: Sandbox, alpha: Portal
) -> None:
    """Widgets stay inactive until the installation is finished."""
    assert "Payments" in tabs(sandbox)
    ours(alpha).finished = False
    assert tabs(sandbox) == ["General"]
    ours(alpha).finished = True
    ours(alpha).placements.clear()
    assert tabs(sandbox) == ["General"]


def test_a_removed_application_has_neither_tab_nor_page(sandbox: Sandbox, alpha: Portal) -> None:
    ours(alpha).removed = True
    assert tabs(sandbox) == ["General"]
    assert app_page(sandbox, user=seed.ADMIN).first("iframe") is None


def test_only_allowed_people_get_the_application(sandbox: Sandbox, alpha: Portal) -> None:
    """Without access the portal shows an error page and no frame."""
    ours(alpha).allowed_users = frozenset({seed.MANAGER})
    assert app_page(sandbox, user=seed.MANAGER).first("iframe") is not None
    assert app_page(sandbox, user=seed.ADMIN).first("iframe") is not None
    refused = app_page(sandbox, user=seed.READER)
    assert refused.first("iframe") is None
    assert "no access to this application" in refused.text
    assert tabs(sandbox, user=seed.READER) == ["General"]


def test_only_an_administrator_may_finish_an_installation(sandbox: Sandbox, alpha: Portal) -> None:
    """An administrator opens URL_INSTALL with INSTALL=true; others see a notice."""
    ours(alpha).finished = False
    installer = app_page(sandbox, user=seed.ADMIN)
    assert form_of(installer).attributes["action"].startswith(f"{APP_URL}/install/?")
    assert form_of(installer).fields["PLACEMENT"] == "DEFAULT"
    assert layout_of(installer)["installing"] is True
    assert layout_of(installer)["isAdmin"] is True
    other = app_page(sandbox, user=seed.SETTINGS_ADMIN)
    assert other.first("iframe") is None
    assert "not finished" in other.text


@pytest.mark.parametrize("user", [seed.DISMISSED, seed.EXTRANET])
def test_outsiders_may_not_open_any_page(sandbox: Sandbox, user: int) -> None:
    for path in ("/crm/deal/", DEAL_PATH, f"{DEAL_PATH}?tab=rest_1", "/_host/payments"):
        assert ask(sandbox, path, user=user).status == 403
    assert sandbox.world.tokens == {}


def test_a_person_who_sees_own_items_only_may_not_open_another_deal(sandbox: Sandbox) -> None:
    hidden = f"/crm/deal/details/{seed.HIDDEN_DEAL}/"
    assert ask(sandbox, hidden, user=seed.OWN_MANAGER).status == 403
    listed = page(sandbox, "/crm/deal/", user=seed.OWN_MANAGER)
    rows = [link.attributes["href"] for link in listed.all("a") if "details" in str(link)]
    assert f"/crm/deal/details/{seed.OWN_DEAL}/" in rows
    assert hidden not in rows


def test_a_visitor_without_a_cookie_is_redirected_to_the_choice_of_person(sandbox: Sandbox) -> None:
    response = ask(sandbox, DEAL_PATH, user=None)
    assert (response.status, response.headers["Location"]) == (
        302,
        "/?back=%2Fcrm%2Fdeal%2Fdetails%2F8061%2F",
    )


def test_signing_in_counts_on_this_portal_only(sandbox: Sandbox) -> None:
    """Cookies ignore ports: the other portal at 127.0.0.1 must not use this choice."""
    form = {"user_id": str(seed.MANAGER), "back": DEAL_PATH}
    response = ask(sandbox, "/sign-in/", user=None, form=form)
    assert response.headers["Location"] == DEAL_PATH
    assert response.headers["Set-Cookie"].startswith(f"sandbox_user_{seed.ALPHA}={seed.MANAGER};")


@pytest.mark.parametrize("back", ["https://evil.example.com/", "//evil.example.com/", "/\\evil"])
def test_signing_in_never_redirects_to_another_host(sandbox: Sandbox, back: str) -> None:
    form = {"user_id": str(seed.MANAGER), "back": back}
    assert ask(sandbox, "/sign-in/", user=None, form=form).headers["Location"] == "/crm/deal/"
