"""`user.get`: api-reference/user/user-get.md and user-scope.md."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.world import seed
from sandbox.world.world import Role, User
from tests.sandbox.asking import ask, envelope
from tests.sandbox.wire import in_process


def ids(rows: list[dict[str, Any]]) -> list[int]:
    return [int(row["ID"]) for row in rows]


@pytest.mark.parametrize("key", ["FILTER", "filter"])
def test_several_people_by_their_ids(key: str) -> None:
    """FILTER: "Filtering parameters can take array values"; the order is ascending by ID."""
    wanted = {"ID": [seed.MANAGER, str(seed.ADMIN)]}
    rows = ask(in_process(), "user.get", {key: wanted}, user=seed.READER)
    assert [(row["ID"], row["NAME"], row["LAST_NAME"]) for row in rows] == [
        ("1", "Ada", "Admin"),
        ("3", "Max", "Manager"),
    ]


def test_the_brief_scope_has_no_address_and_no_telephone() -> None:
    """user-scope.md: the table of user_brief."""
    (row,) = ask(in_process(), "user.get", {"FILTER": {"ID": seed.MANAGER}}, user=seed.MANAGER)
    assert row.keys().isdisjoint({"EMAIL", "PERSONAL_PHONE", "WORK_PHONE", "PERSONAL_MOBILE"})


def test_only_selected_fields_are_returned_and_unknown_ones_ignored() -> None:
    params = {"FILTER": {"ID": seed.MANAGER}, "select": ["ID", "NAME", "EMAIL", "NOTHING"]}
    assert ask(in_process(), "user.get", params, user=seed.ADMIN) == [{"ID": "3", "NAME": "Max"}]


def test_a_filter_by_an_unknown_field_is_ignored() -> None:
    wire = in_process()
    rows = ask(wire, "user.get", {"FILTER": {"NUMBER": 3}}, user=seed.ADMIN)
    assert ids(rows) == sorted(wire.alpha.users)


def test_dismissed_people_are_listed_unless_filtered_out() -> None:
    wire = in_process()
    (dan,) = ask(wire, "user.get", {"FILTER": {"ID": seed.DISMISSED}}, user=seed.ADMIN)
    assert (dan["NAME"], dan["ACTIVE"]) == ("Dan", False)
    active = ask(wire, "user.get", {"FILTER": {"ACTIVE": True}}, user=seed.ADMIN)
    assert seed.DISMISSED not in ids(active)


def test_an_extranet_user_sees_themselves_only() -> None:
    assert ids(ask(in_process(), "user.get", user=seed.EXTRANET)) == [seed.EXTRANET]


def test_a_page_has_fifty_people_and_the_start_of_the_next() -> None:
    wire = in_process()
    for user_id in range(100, 150):
        wire.alpha.users[user_id] = User(user_id, "Pat", f"No. {user_id}", Role.MANAGER)
    first = envelope(wire, "user.get", user=seed.ADMIN)
    assert (len(first["result"]), first["total"], first["next"]) == (50, 61, 50)
    second = envelope(wire, "user.get", {"start": 50}, user=seed.ADMIN)
    assert (len(second["result"]), "next" in second) == (11, False)
    uncounted = envelope(wire, "user.get", {"start": -1}, user=seed.ADMIN)
    assert "total" not in uncounted


def test_people_are_sorted_in_descending_order() -> None:
    rows = ask(in_process(), "user.get", {"sort": "ID", "order": "DESC"}, user=seed.ADMIN)
    assert ids(rows) == sorted(ids(rows), reverse=True)
