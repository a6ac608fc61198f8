"""Names of people: read with the token of the person who looks; a screen never fails for them."""

from __future__ import annotations

import pytest

from b24app.identity.session import Person
from payments.lookups import users
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal, Role, User
from tests.b24app.portal_posts import stored
from tests.payments import stage

pytestmark = pytest.mark.django_db

METHOD = "user.get"


def asked(sandbox: Sandbox) -> int:
    return sum(METHOD in call.methods for call in sandbox.log)


def test_names_are_the_portals_own_and_are_not_stored(alpha: Portal, manager: Person) -> None:
    alpha.users[70] = User(70, "", "", Role.MANAGER)
    ids = [seed.MANAGER, seed.ADMIN, seed.DISMISSED, seed.READER, 70, 4711]
    assert users.names(manager, ids) == {
        seed.ADMIN: "Ada Admin",
        seed.MANAGER: "Max Manager",
        seed.DISMISSED: "Dan Dismissed",
        seed.READER: "Rita Reader",
        70: "User 70",
        4711: "User 4711",
    }
    assert users.names(manager.portal, [seed.MANAGER]) == {seed.MANAGER: "Max Manager"}
    assert "Rita" not in str(stored())


def test_each_is_asked_for_once_in_ten_minutes(sandbox: Sandbox, manager: Person) -> None:
    assert users.names(manager, []) == {}
    assert asked(sandbox) == 0
    users.names(manager, [seed.MANAGER, 4711])
    users.names(manager, [4711, seed.MANAGER])
    assert asked(sandbox) == 1
    users.names(manager, [seed.MANAGER, seed.READER])
    assert asked(sandbox) == 2


def test_the_cache_shows_no_names_of_another_person(sandbox: Sandbox, manager: Person) -> None:
    outsider = stage.person(sandbox, manager.portal, seed.EXTRANET)
    assert users.names(manager, [seed.READER]) == {seed.READER: "Rita Reader"}
    assert users.names(outsider, [seed.READER]) == {seed.READER: "User 4"}
    assert users.names(manager, [seed.READER]) == {seed.READER: "Rita Reader"}


def test_more_people_than_a_page(sandbox: Sandbox, alpha: Portal, manager: Person) -> None:
    ids = range(100, 230)
    for user_id in ids:
        alpha.users[user_id] = User(user_id, "Pat", str(user_id), Role.MANAGER)
    assert users.names(manager, ids) == {user_id: f"Pat {user_id}" for user_id in ids}


def test_far_too_many_people_cost_no_more_than_the_bound(sandbox: Sandbox, manager: Person) -> None:
    found = users.names(manager, range(1, users.MOST_ASKED + 100))
    assert found[seed.MANAGER] == "Max Manager"
    assert found[users.MOST_ASKED + 99] == f"User {users.MOST_ASKED + 99}"
    assert sum(call.methods.count(METHOD) for call in sandbox.log) == users.MOST_ASKED / 50


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("kind", ["status500", "drop", "broken_json"])
def test_a_silent_portal_leaves_numbers(sandbox: Sandbox, manager: Person, kind: str) -> None:
    sandbox.faults.add(Fault(kind, method=METHOD, times=20))
    assert users.names(manager, [seed.MANAGER]) == {seed.MANAGER: "User 3"}
    sandbox.faults.clear()
    assert users.names(manager, [seed.MANAGER]) == {seed.MANAGER: "Max Manager"}


def test_without_the_scope_or_a_token_there_are_numbers(alpha: Portal, manager: Person) -> None:
    row = manager.portal
    alpha.installations[seed.OUR_CLIENT_ID].scopes = ("crm",)
    assert users.names(manager, [seed.MANAGER]) == {seed.MANAGER: "User 3"}
    row.tokens.all().delete()
    stranger = Person(row, 99, proved_at=manager.proved_at)
    assert users.names(stranger, [99]) == users.names(row, [99]) == {99: "User 99"}
