"""`crm.orderentity.list` and `.getFields`: the links between orders and CRM objects.

https://apidocs.bitrix24.com/api-reference/crm/universal/order-entity/crm-order-entity-list.html
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sandbox.api.methods.listing import Field, descriptions, page_of
from sandbox.api.methods.sale_access import check_read
from sandbox.api.methods.sale_payment_fields import shown
from sandbox.api.registry import Call, Listed, method


class Binding(NamedTuple):
    order_id: int
    owner_id: int
    owner_type_id: int


BINDING_FIELDS: dict[str, Field[Binding]] = {
    "orderId": Field("integer", lambda binding: binding.order_id, required=True, immutable=True),
    "ownerId": Field("integer", lambda binding: binding.owner_id, required=True, immutable=True),
    "ownerTypeId": Field(
        "integer", lambda binding: binding.owner_type_id, required=True, immutable=True
    ),
}


@method("crm.orderentity.list", "crm")
def list_bindings(call: Call) -> Listed:
    check_read(call)
    bindings = [
        Binding(order.id, owner_id, owner_type_id)
        for order in call.portal.orders.values()
        for owner_type_id, owner_id in order.bindings
    ]
    return page_of(
        bindings,
        call.params,
        fields=BINDING_FIELDS,
        default_order="ownerId",
        shown=shown,
        envelope="orderEntity",
    )


@method("crm.orderentity.getfields", "crm")
def get_binding_fields(call: Call) -> dict[str, Any]:
    check_read(call)
    return {"orderEntity": descriptions(BINDING_FIELDS)}
