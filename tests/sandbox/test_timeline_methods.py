"""`crm.timeline.comment.add` and `.list`: api-reference/crm/timeline/comments/."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.world import seed
from tests.sandbox.asking import Refusal, ask, envelope, refused
from tests.sandbox.wire import Wire, in_process

ADD, LIST = "crm.timeline.comment.add", "crm.timeline.comment.list"


def fields(**values: Any) -> dict[str, Any]:
    usual = {"ENTITY_ID": seed.DEAL, "ENTITY_TYPE": "deal", "COMMENT": "New comment was added"}
    return {"fields": {**usual, **values}}


def on_deal(**params: Any) -> dict[str, Any]:
    return {"filter": {"ENTITY_ID": seed.DEAL, "ENTITY_TYPE": "deal"}, **params}


def add_many(wire: Wire, count: int) -> None:
    wire.alpha.bucket_size = count + 50
    for place in range(count):
        ask(wire, ADD, fields(COMMENT=f"Comment {place}"), user=seed.MANAGER)


def test_a_comment_is_added_and_listed_with_ids_as_strings() -> None:
    wire = in_process()
    number = ask(wire, ADD, fields(), user=seed.MANAGER)
    assert isinstance(number, int)
    answer = envelope(wire, LIST, on_deal(), user=seed.READER)
    (row,) = answer["result"]
    assert answer["total"] == 1
    assert row.pop("CREATED").endswith("+03:00")
    assert row == {
        "ID": str(number),
        "ENTITY_ID": str(seed.DEAL),
        "ENTITY_TYPE": "deal",
        "COMMENT": "New comment was added",
        "AUTHOR_ID": str(seed.MANAGER),
        "FILES": [],  # PHP encodes an empty map as a list
    }


@pytest.mark.parametrize("name", ["smart_invoice", "SMART_INVOICE", "dynamic_31"])
def test_new_invoices_have_comments_too(name: str) -> None:
    wire = in_process()
    given = fields(ENTITY_TYPE=name, ENTITY_ID=str(seed.INVOICE))
    ask(wire, ADD, given, user=seed.MANAGER)
    named = {"filter": {"ENTITY_TYPE": name, "ENTITY_ID": seed.INVOICE}}
    assert len(ask(wire, LIST, named, user=seed.MANAGER)) == 1
    assert ask(wire, LIST, on_deal(), user=seed.MANAGER) == []


def test_a_comment_needs_the_right_to_change_the_deal() -> None:
    """controller/timeline/comment.php, assertValidOwner, checked before the text."""
    wire = in_process()
    for comment in ("New comment was added", " "):
        refusal = refused(wire, ADD, fields(COMMENT=comment), user=seed.READER)
        assert refusal == Refusal(400, "ACCESS_DENIED", "Access denied")
    wire.alpha.users[seed.MANAGER].changes_items = False
    assert refused(wire, ADD, fields(), user=seed.MANAGER).code == "ACCESS_DENIED"
    assert wire.alpha.comments == []


def test_a_list_is_selected_ordered_and_paged() -> None:
    wire = in_process()
    add_many(wire, 51)
    params = on_deal(order={"ID": "DESC"}, select=["ID", "COMMENT"])
    answer = envelope(wire, LIST, params, user=seed.MANAGER)
    assert (len(answer["result"]), answer["total"], answer["next"]) == (50, 51, 50)
    assert answer["result"][0] == {"ID": "51", "COMMENT": "Comment 50"}
    last = envelope(wire, LIST, {**params, "start": 50}, user=seed.MANAGER)
    assert [row["ID"] for row in last["result"]] == ["1"]
    assert "next" not in last
