"""Comments on the timeline of a deal, a new invoice or an item of a smart process."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from b24app.client import Client, Query
from payments.gateway import parsing
from payments.gateway.shapes import DEAL, SMART_INVOICE, Owner

# Types with a name of their own; those of smart processes are named by their number.
_TYPE_NAMES = {DEAL: "deal", SMART_INVOICE: "smart_invoice"}


@dataclass(frozen=True)
class TimelineComment:
    id: int
    text: str
    created_at: datetime | None


@dataclass(frozen=True)
class CommentsPage:
    comments: tuple[TimelineComment, ...]
    next: int | None


def comments_of(owner: Owner, *, start: int = 0) -> Query[CommentsPage]:
    """A page of the object's comments, the newest first; needs the right to read the object.

    https://apidocs.bitrix24.com/api-reference/crm/timeline/comments/crm-timeline-comment-list.html
    """
    return Query(
        "crm.timeline.comment.list",
        lambda answer: CommentsPage(
            tuple(_comment(row) for row in parsing.listed(answer.result)), answer.next
        ),
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
    return TimelineComment(
        parsing.integer(row.get("ID")),
        parsing.text(row.get("COMMENT")),
        parsing.moment(row.get("CREATED")),
    )
