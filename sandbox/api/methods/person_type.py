"""`sale.persontype.list` and `crm.persontype.list`: the payer types of a pay system.

https://apidocs.bitrix24.com/api-reference/sale/person-type/sale-person-type-list.html lists those
of orders, those of old invoices are listed by
https://apidocs.bitrix24.com/api-reference/crm/outdated/invoice/crm-person-type-list.html .
No row has its registry.
"""

from __future__ import annotations

from typing import NamedTuple

from sandbox.api.methods.listing import Field, page_of
from sandbox.api.methods.paysystem_access import PERSON_TYPES
from sandbox.api.methods.sale_access import check_read
from sandbox.api.methods.sale_payment_fields import shown
from sandbox.api.registry import Call, Listed, method


class PersonType(NamedTuple):
    id: int
    name: str
    code: str
    sort: str


_NAMES = {
    1: PersonType(1, "Individual", "CONTACT", "100"),
    2: PersonType(2, "Legal entity", "COMPANY", "110"),
    3: PersonType(3, "CRM_CONTACT", "", "100"),
    4: PersonType(4, "CRM_COMPANY", "", "110"),
}

_FIELDS: dict[str, Field[PersonType]] = {
    "id": Field("integer", lambda row: row.id, read_only=True),
    "name": Field("string", lambda row: row.name, required=True),
    "code": Field("string", lambda row: row.code),
    "sort": Field("string", lambda row: row.sort),
    "active": Field("string", lambda row: "Y"),
    "xmlId": Field("string", lambda row: ""),
}


@method("sale.persontype.list", "sale")
def list_person_types(call: Call) -> Listed:
    """Lists the payer types of orders; needs the right to read orders."""
    check_read(call)
    return page_of(
        _of("ORDER"),
        call.params,
        fields=_FIELDS,
        default_order="id",
        shown=shown,
        envelope="personTypes",
    )


@method("crm.persontype.list", "crm")
def list_crm_person_types(call: Call) -> Listed:
    """Lists the payer types of old invoices, with keys in upper case and ids as strings."""
    rows = [{"ID": str(row.id), "NAME": row.name} for row in _of("CRM_INVOICE")]
    return Listed(rows, len(rows), None)


def _of(registry: str) -> list[PersonType]:
    return [_NAMES[number] for number, of in PERSON_TYPES.items() if of == registry]
