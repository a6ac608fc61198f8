"""Reads and writes comments in the timeline of a deal, a new invoice or a smart-process item."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from b24app.rest.client import Answer, Client, Query
from b24app.rest.clock import parsed_moment
from payments.gateway import parsing
from payments.gateway.parsing import PAGE
from payments.gateway.types import DEAL, SMART_INVOICE, Owner

# Types with their own name in the timeline's methods; other types have `dynamic_<type id>`.
_TYPE_NAMES = {DEAL: "deal", SMART_INVOICE: "smart_invoice"}


# The length of the server's column. This app's own comments are short and end with their attempt's
# mark, so no mark is cut off.
_TEXT_LENGTH = 65_535


@dataclass(frozen=True)
class TimelineComment:
    text: str
    created_at: datetime | None  # None if it cannot be read


@dataclass(frozen=True)
class CommentsPage:
    comments: tuple[TimelineComment, ...]
    next: int | None  # where the next page begins
    is_whole: bool = True  # False if a comment could not be read: it may have any text


def comments_of(owner: Owner, *, start: int = 0) -> Query[CommentsPage]:
    """A page of the item's comments, newest first; needs the right to read the item.

    https://apidocs.bitrix24.com/api-reference/crm/timeline/comments/crm-timeline-comment-list.html
    """

    def parse(answer: Answer) -> CommentsPage:
        found = parsing.rows(answer.result, _comment)
        next_ = parsing.next_page(answer, start=start, page=PAGE)
        return CommentsPage(found.read, next_, is_whole=not found.unreadable)

    return Query(
        "crm.timeline.comment.list",
        parse,
        {
            "select": ["ID", "CREATED", "COMMENT"],
            "filter": _item(owner),
            "order": {"ID": "DESC"},
            "start": start,
        },
    )


def add_comment(client: Client, owner: Owner, text: str) -> int:
    """Writes a comment as this person and returns its id. A second call writes a second comment.

    Raises NeverSent, Refused, or OutcomeUnknown if the comment may have been written.
    https://apidocs.bitrix24.com/api-reference/crm/timeline/comments/crm-timeline-comment-add.html
    """
    fields = {**_item(owner), "COMMENT": text}
    return parsing.integer(client.write("crm.timeline.comment.add", {"fields": fields}).result)


def _item(owner: Owner) -> dict[str, object]:
    name = _TYPE_NAMES.get(owner.type_id, f"dynamic_{owner.type_id}")
    return {"ENTITY_TYPE": name, "ENTITY_ID": owner.id}


def _comment(row: parsing.Row) -> TimelineComment:
    text = parsing.text(row.get("COMMENT"), _TEXT_LENGTH)
    return TimelineComment(text, parsed_moment(row.get("CREATED")))
