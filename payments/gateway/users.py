"""What people are called in a portal."""

from __future__ import annotations

from collections.abc import Iterable

from b24app.rest.client import Answer, Query
from b24app.untrusted.text import cut
from payments.gateway import parsing
from payments.gateway.payments import UNCOUNTED

# More than a column has room for; names are typed by people.
_LONGEST_NAME = 100


def people(user_ids: Iterable[int]) -> Query[dict[int, str]]:
    """The names of at most a page of people, by their ids; without those whom the caller may not
    see, who are gone, or who have no name.

    An unknown filter is dropped in silence, so whoever comes back is compared with who was asked
    for. Needs one of the scopes user_brief, user_basic and user.
    https://apidocs.bitrix24.com/api-reference/user/user-get.html
    """
    wanted = sorted(set(user_ids))

    def parse(answer: Answer) -> dict[int, str]:
        named = parsing.rows(answer.result, _named).read
        return {user_id: name for user_id, name in named if user_id in wanted and name}

    return Query(
        "user.get",
        parse,
        {
            "FILTER": {"ID": wanted},
            "select": ["ID", "NAME", "LAST_NAME"],
            "start": UNCOUNTED,
        },
    )


def _named(row: parsing.Row) -> tuple[int, str]:
    """A person's id and their name, empty where they have none or it cannot be read."""
    parts = (
        parsing.text_if_known(row.get(key), _LONGEST_NAME).strip() for key in ("NAME", "LAST_NAME")
    )
    return parsing.integer(row.get("ID")), cut(" ".join(filter(None, parts)), _LONGEST_NAME)
