"""`crm.timeline.comment.add` and `.list`: comments in the timeline of a deal or an invoice.

https://apidocs.bitrix24.com/api-reference/crm/timeline/comments/
"""

from __future__ import annotations

from typing import Any

from sandbox.api.methods.crm_access import check_intranet
from sandbox.api.methods.listing import argument, paged
from sandbox.api.methods.refusals import missing_argument
from sandbox.api.registry import Call, Listed, RestError, method
from sandbox.wire.loose import moment_text, now_at, to_int, to_text
from sandbox.world.world import DEAL, SMART_INVOICE, TimelineComment

_TYPE_NAMES = {DEAL: "deal", SMART_INVOICE: "smart_invoice"}
# The server takes some types by number as well.
_TYPES = {
    **{name: number for number, name in _TYPE_NAMES.items()},
    **{f"dynamic_{number}": number for number in (SMART_INVOICE,)},
}
_COLUMNS = ("ID", "ENTITY_ID", "ENTITY_TYPE", "CREATED", "COMMENT", "AUTHOR_ID", "FILES")


@method("crm.timeline.comment.add", "crm")
def add_comment(call: Call) -> int:
    """Adds a comment; the caller needs the right to change the object.

    The key is `fields` in lower case; since 23.100 the server accepts no other.
    """
    check_intranet(call)
    if call.params.get("fields") is None:
        raise missing_argument("fields")
    fields = argument(call.params, "fields")
    owner = _owner(fields)
    item = call.portal.items.get(owner)
    if item is None:
        raise RestError("OWNER_NOT_FOUND", "Owner of the item not found")
    if not call.portal.may_update(call.user, item):
        raise RestError("ACCESS_DENIED", "Access denied")
    text = to_text(fields.get("COMMENT"))
    if not text.strip():
        raise RestError("INVALID_ARG_VALUE", "Empty comment message")
    comment = TimelineComment(
        id=len(call.portal.comments) + 1,
        owner=owner,
        author_id=call.user.id,
        created=now_at(call.world.now()),
        text=text,
    )
    call.portal.comments.append(comment)
    return comment.id


@method("crm.timeline.comment.list", "crm")
def list_comments(call: Call) -> Listed:
    """Lists the comments of the object in the filter, which the caller must be able to read."""
    check_intranet(call)
    owner = _owner(argument(call.params, "filter"))
    item = call.portal.items.get(owner)
    if item is None or not call.portal.may_read(call.user, item):
        raise RestError("", "Access denied.")
    found = [comment for comment in call.portal.comments if comment.owner == owner]
    rows = [_row(comment) for comment in _ordered(found, argument(call.params, "order"))]
    page, total, following = paged(rows, call.params)
    select = [to_text(name) for name in argument(call.params, "select").values()]
    columns = [name for name in _COLUMNS if not select or name in select]
    return Listed([{name: row[name] for name in columns} for row in page], total, following)


def _owner(fields: dict[str, Any]) -> tuple[int, int]:
    """Returns type and id; type 0 for an unknown name."""
    name = to_text(fields.get("ENTITY_TYPE")).lower()
    return _TYPES.get(name, 0), to_int(fields.get("ENTITY_ID"))


def _ordered(comments: list[TimelineComment], order: dict[str, Any]) -> list[TimelineComment]:
    keys = {
        "ID": lambda comment: comment.id,
        "CREATED": lambda comment: comment.created,
        "AUTHOR_ID": lambda comment: comment.author_id,
    }
    for name, direction in reversed(order.items()):
        if name in keys:
            descending = to_text(direction).upper() == "DESC"
            comments = sorted(comments, key=keys[name], reverse=descending)
    return comments


def _row(comment: TimelineComment) -> dict[str, Any]:
    """Returns one comment; its ids are strings."""
    type_id, item_id = comment.owner
    return {
        "ID": str(comment.id),
        "ENTITY_ID": str(item_id),
        "ENTITY_TYPE": _TYPE_NAMES[type_id],
        "CREATED": moment_text(comment.created),
        "COMMENT": comment.text,
        "AUTHOR_ID": str(comment.author_id),
        "FILES": {},
    }
