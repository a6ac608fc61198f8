"""The requests of a portal's page for a frame, as applayout.js makes them.

The end of an installation is in settings/app-installation/installation-finish.md and
api-reference/common/events.
"""

from __future__ import annotations

import json

import pytest

from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.sandbox.host_pages import (
    DEAL_PATH,
    a_stage,
    app_page,
    form_of,
    layout_of,
    ours,
    query,
    tab_of,
)
from tests.sandbox.wire import APP_URL


@pytest.fixture
def sandbox() -> Sandbox:
    return a_stage()


@pytest.fixture
def alpha(sandbox: Sandbox) -> Portal:
    return sandbox.world.portals[seed.ALPHA]


def test_refresh_issues_new_tokens_and_keeps_the_old_ones(sandbox: Sandbox) -> None:
    tree = tab_of(sandbox, DEAL_PATH)
    before = sandbox.world.tokens[form_of(tree).fields["AUTH_ID"]]
    auth = json.loads(query(sandbox, tree, "refresh", user=seed.MANAGER).body)
    assert auth["access_token"] != before.access
    assert sandbox.world.tokens[auth["access_token"]].user_id == seed.MANAGER
    assert not before.revoked
    assert not before.refresh_spent


def test_refresh_is_empty_without_access_to_the_application(
    sandbox: Sandbox, alpha: Portal
) -> None:
    """On failure the frame gets no reply."""
    tree = tab_of(sandbox, DEAL_PATH)
    ours(alpha).allowed_users = frozenset()
    assert json.loads(query(sandbox, tree, "refresh", user=seed.MANAGER).body) == {}


def test_a_frame_of_another_person_is_not_found(sandbox: Sandbox) -> None:
    tree = tab_of(sandbox, DEAL_PATH)
    for action in ("refresh", "installed", "user-option"):
        assert query(sandbox, tree, action, user=seed.ADMIN, value="Y").status == 404


def test_the_end_of_the_installation_sends_its_event_once(sandbox: Sandbox, alpha: Portal) -> None:
    """It marks the application as installed; ONAPPINSTALL goes to the bound handler."""
    ours(alpha).finished = False
    ours(alpha).events.append(
        {"id": 1, "event": "ONAPPINSTALL", "handler": f"{APP_URL}/event/", "auth_type": 0}
    )
    tree = app_page(sandbox, user=seed.ADMIN)
    for _ in range(2):
        answer = query(sandbox, tree, "installed", user=seed.ADMIN, value="Y")
        assert json.loads(answer.body) == {"result": True}
    assert ours(alpha).finished
    assert [sent.fields["event"] for sent in sandbox.world.outbox] == ["ONAPPINSTALL"]


def test_only_an_administrator_finishes_an_installation(sandbox: Sandbox, alpha: Portal) -> None:
    tree = app_page(sandbox, user=seed.MANAGER)
    ours(alpha).finished = False
    answer = query(sandbox, tree, "installed", user=seed.MANAGER, value="Y")
    assert json.loads(answer.body) == {"result": False}
    assert not ours(alpha).finished


def test_options_are_kept_for_a_person_and_for_the_application(sandbox: Sandbox) -> None:
    """Each person sets their own options; only an administrator sets the application's."""
    admin, manager = (app_page(sandbox, user=user) for user in (seed.ADMIN, seed.MANAGER))
    query(sandbox, manager, "user-option", user=seed.MANAGER, name="rows", value="25")
    query(sandbox, manager, "app-option", user=seed.MANAGER, name="mine", value="1")
    query(sandbox, admin, "app-option", user=seed.ADMIN, name="shared", value='{"a":[1]}')
    after = layout_of(app_page(sandbox, user=seed.MANAGER))
    assert after["userOptions"] == {"rows": 25}
    assert after["appOptions"] == {"shared": {"a": [1]}}
    assert layout_of(app_page(sandbox, user=seed.ADMIN))["userOptions"] == {}


def test_the_frame_ends_the_first_run(sandbox: Sandbox) -> None:
    tree = app_page(sandbox, user=seed.MANAGER)
    assert layout_of(tree)["firstRun"] is True
    query(sandbox, tree, "launched", user=seed.MANAGER, install="1")
    assert layout_of(app_page(sandbox, user=seed.MANAGER))["firstRun"] is False
    assert layout_of(app_page(sandbox, user=seed.READER))["firstRun"] is True


@pytest.mark.parametrize(
    ("older", "denied"),
    [(False, ["setTitle"]), (True, ["setTitle", "setScroll", "reloadWindow"])],
)
def test_a_tab_may_not_change_the_card(
    sandbox: Sandbox, alpha: Portal, older: bool, denied: list[str]
) -> None:
    """The command setTitle is ignored in placements; older portals ignore two more."""
    alpha.older_build = older
    assert layout_of(tab_of(sandbox, DEAL_PATH))["denied"] == denied
    assert layout_of(app_page(sandbox, user=seed.MANAGER))["denied"] == []
    in_slider = app_page(sandbox, user=seed.MANAGER, more="?IFRAME=Y")
    assert layout_of(in_slider)["denied"] == ["resizeWindow"]
