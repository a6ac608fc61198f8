"""Reads the names of a portal's users."""

from __future__ import annotations

from collections.abc import Iterable

from b24app.rest.client import Answer, Query
from b24app.untrusted.text import cut
from payments.gateway import parsing
from payments.gateway.parsing import UNCOUNTED

# People type these names, so they can be too long for a list.
_LONGEST_NAME = 100


def user_names(user_ids: Iterable[int]) -> Query[dict[int, str]]:
    """The names of these users by their ids, at most a page.

    Leaves out users whom the caller may not see, who are deleted, or who have no name. The server
    ignores a filter that it does not know, so other users are dropped here. Needs one of the scopes
    user_brief, user_basic and user.
    https://apidocs.bitrix24.com/api-reference/user/user-get.html
    """
    wanted = sorted(set(user_ids))

    def parse(answer: Answer) -> dict[int, str]:
        users = parsing.rows(answer.result, _id_and_name).read
        return {user_id: name for user_id, name in users if user_id in wanted and name}

    return Query(
        "user.get",
        parse,
        {
            "FILTER": {"ID": wanted},
            "select": ["ID", "NAME", "LAST_NAME"],
            "start": UNCOUNTED,
        },
    )


def _id_and_name(row: parsing.Row) -> tuple[int, str]:
    """Returns a user's id and name; the name is empty if it is missing or cannot be read."""
    names = (
        parsing.text_if_readable(row.get(key), _LONGEST_NAME).strip()
        for key in ("NAME", "LAST_NAME")
    )
    return parsing.integer(row.get("ID")), cut(" ".join(filter(None, names)), _LONGEST_NAME)
