"""Comments on the timeline of a deal, a new invoice or an item of a smart process."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from b24app.rest.client import Answer, Client, Query
from b24app.rest.clock import parsed_moment
from payments.gateway import parsing
from payments.gateway.payments import PAGE
from payments.gateway.types import DEAL, SMART_INVOICE, Owner

# Types with a name of their own; those of smart processes are named by their number.
_TYPE_NAMES = {DEAL: "deal", SMART_INVOICE: "smart_invoice"}


# A comment of ours is some hundred characters long and names its attempt at its end. Others can be
# as long as their column, which is all that is looked through.
_TEXT_LENGTH = 65_535


@dataclass(frozen=True)
class TimelineComment:
    """`created_at` is None where it cannot be read."""

    text: str
    created_at: datetime | None


@dataclass(frozen=True)
class CommentsPage:
    """`is_whole` is false where the text of a comment could not be read: it may be any."""

    comments: tuple[TimelineComment, ...]
    next: int | None
    is_whole: bool = True


def comments_of(owner: Owner, *, start: int = 0) -> Query[CommentsPage]:
    """A page of the object's comments, the newest first; needs the right to read the object.

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
            "filter": _named(owner),
            "order": {"ID": "DESC"},
            "start": start,
        },
    )


def add_comment(client: Client, owner: Owner, text: str) -> int:
    """Write a comment as this person, and answer its id. Twice is two comments.

    Raises NeverSent, Refused, or OutcomeUnknown where it may stand there all the same.
    https://apidocs.bitrix24.com/api-reference/crm/timeline/comments/crm-timeline-comment-add.html
    """
    fields = {**_named(owner), "COMMENT": text}
    return parsing.integer(client.write("crm.timeline.comment.add", {"fields": fields}).result)


def _named(owner: Owner) -> dict[str, object]:
    name = _TYPE_NAMES.get(owner.type_id, f"dynamic_{owner.type_id}")
    return {"ENTITY_TYPE": name, "ENTITY_ID": owner.id}


def _comment(row: parsing.Row) -> TimelineComment:
    text = parsing.text(row.get("COMMENT"), _TEXT_LENGTH)
    return TimelineComment(text, parsed_moment(row.get("CREATED")))
