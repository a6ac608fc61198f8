"""`crm.item.list` and `crm.item.get` of the items that the caller may read.

https://apidocs.bitrix24.com/api-reference/crm/universal/crm-item-list.html ; behaviour follows
`crm/lib/controller/item.php`.
"""

from __future__ import annotations

from typing import Any

from sandbox.api.methods.crm_access import check_intranet
from sandbox.api.methods.listing import (
    Field,
    argument,
    by_column,
    column_of,
    filtered,
    ordered,
    paged,
)
from sandbox.api.methods.refusals import missing_argument
from sandbox.api.methods.sale_payment_fields import shown
from sandbox.api.registry import Call, Listed, RestError, method
from sandbox.wire.loose import mapping, to_int, to_text
from sandbox.world.world import COMPANY, CONTACT, DEAL, SMART_INVOICE, Item

_DIRECTIONS = ("ASC", "DESC")
_TYPES = (DEAL, SMART_INVOICE, CONTACT, COMPANY)
# A contact has `name` and `lastName`, all others have `title`.
_NAMES = ("name", "lastName")

ITEM_FIELDS: dict[str, Field[Item]] = {
    "id": Field("integer", lambda item: item.id),
    "title": Field("string", lambda item: item.title),
    "name": Field("string", lambda item: item.title.partition(" ")[0]),
    "lastName": Field("string", lambda item: item.title.partition(" ")[2]),
    "assignedById": Field("user", lambda item: item.responsible_id),
    "createdBy": Field("user", lambda item: item.responsible_id),
    "updatedBy": Field("user", lambda item: item.responsible_id),
    "opened": Field("boolean", lambda item: "Y"),
    "categoryId": Field("integer", lambda item: 0),
    "stageId": Field(
        "string", lambda item: "NEW" if item.type_id == DEAL else f"DT{SMART_INVOICE}_1:N"
    ),
    "opportunity": Field("double", lambda item: item.opportunity),
    "currencyId": Field("string", lambda item: item.currency),
    "companyId": Field("integer", lambda item: item.company_id),
    "contactId": Field("integer", lambda item: item.contact_id),
    "comments": Field("string", lambda item: ""),
    "entityTypeId": Field("integer", lambda item: item.type_id),
}


@method("crm.item.list", "crm")
def list_items(call: Call) -> Listed:
    check_intranet(call)
    type_id = _type(call)
    readable = [
        item
        for item in call.portal.items.values()
        if item.type_id == type_id and call.portal.may_read(call.user, item)
    ]
    kept = _filtered(readable, argument(call.params, "filter"))
    order = argument(call.params, "order") or {"id": "ASC"}
    _check_order(order)
    page, total, following = paged(ordered(kept, order, ITEM_FIELDS), call.params)
    columns = _columns(argument(call.params, "select"))
    return Listed({"items": [_row(item, columns) for item in page]}, total, following)


@method("crm.item.get", "crm")
def get_item(call: Call) -> dict[str, Any]:
    """Checks that the item exists before it checks rights."""
    check_intranet(call)
    for name in ("id", "entityTypeId"):
        if call.params.get(name) is None:
            raise missing_argument(name)
    item = call.portal.items.get((_type(call), to_int(call.params["id"])))
    if item is None:
        raise RestError("NOT_FOUND", "Element not found")
    if not call.portal.may_read(call.user, item):
        raise RestError("ACCESS_DENIED", "You do not have permission to view this item")
    return {"item": _row(item, list(ITEM_FIELDS))}


def _type(call: Call) -> int:
    if call.params.get("entityTypeId") is None:
        raise missing_argument("entityTypeId")
    type_id = to_int(call.params["entityTypeId"])
    if type_id not in _TYPES:
        raise RestError("NOT_FOUND", "SPA not found")
    return type_id


def _filtered(items: list[Item], conditions: dict[str, Any]) -> list[Item]:
    """Filters by conditions; groups are nested under numbers and may be joined by OR."""
    either = to_text(conditions.get("logic")).upper() == "OR"
    parts = [
        _filtered(items, mapping(value))
        if name.isdigit()
        else filtered(items, {name: value}, ITEM_FIELDS, unknown=_not_allowed)
        for name, value in conditions.items()
        if name != "logic"
    ]
    found = [{item.id for item in part} for part in parts]
    if not found:
        return items
    ids = set.union(*found) if either else set.intersection(*found)
    return [item for item in items if item.id in ids]


def _not_allowed(column: str) -> RestError:
    return RestError(
        "INVALID_ARG_VALUE", f"Invalid filter: field '{column}' is not allowed in filter"
    )


def _check_order(order: dict[str, Any]) -> None:
    for name, direction in order.items():
        column = column_of(name)
        if column not in by_column(ITEM_FIELDS):
            text = f"Invalid order: field '{column}' is not allowed in order"
            raise RestError("INVALID_ARG_VALUE", text)
        if to_text(direction).upper() not in _DIRECTIONS:
            text = (
                f"Invalid order: allowed sort directions are `{', '.join(_DIRECTIONS)}`."
                f" But got '{to_text(direction)}' for field '{column}'"
            )
            raise RestError("INVALID_ARG_VALUE", text)


def _columns(select: dict[str, Any]) -> list[str]:
    names = by_column(ITEM_FIELDS)
    spelled = [to_text(name) for name in select.values()]
    if not spelled or "*" in spelled:
        return list(ITEM_FIELDS)
    return [names[column_of(name)] for name in spelled if column_of(name) in names]


def _row(item: Item, columns: list[str]) -> dict[str, Any]:
    absent = ("title",) if item.type_id == CONTACT else _NAMES
    return {name: shown(ITEM_FIELDS[name].get(item)) for name in columns if name not in absent}
