"""What people are called in a portal."""

from __future__ import annotations

from collections.abc import Iterable

from b24app.client import Answer, Query
from payments.gateway import parsing
from payments.gateway.reads import UNCOUNTED

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
        found = {}
        for row in parsing.listed(answer.result):
            user_id = parsing.integer(row.get("ID"))
            name = " ".join(
                filter(None, (parsing.text(row.get(key)).strip() for key in ("NAME", "LAST_NAME")))
            )
            if user_id in wanted and name:
                found[user_id] = name[:_LONGEST_NAME]
        return found

    return Query(
        "user.get",
        parse,
        {
            "FILTER": {"ID": wanted},
            "select": ["ID", "NAME", "LAST_NAME"],
            "start": UNCOUNTED,
        },
    )
