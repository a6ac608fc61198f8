"""Reads the deals of a company or a contact."""

from __future__ import annotations

from b24app.rest.client import Query
from b24app.untrusted.numbers import whole
from payments.gateway import parsing
from payments.gateway.payments import UNCOUNTED
from payments.gateway.types import COMPANY, CONTACT, DEAL, TITLE_LENGTH, Owner

_FIELDS = {COMPANY: "companyId", CONTACT: "contactId"}


def deals_of(customer: Owner) -> Query[tuple[Owner, ...]]:
    """The newest deals of a company, or of a contact who is their first one, that the person may
    read; at most a page.

    https://apidocs.bitrix24.com/api-reference/crm/universal/crm-item-list.html
    """
    field = _FIELDS[customer.type_id]

    def deal(row: parsing.Row) -> Owner | None:
        # A portal that does not understand the filter returns the deals of all customers.
        if whole(row.get(field), least=1) != customer.id:
            return None
        title = parsing.text_if_known(row.get("title"), TITLE_LENGTH)
        return Owner(DEAL, parsing.integer(row.get("id")), title)

    return Query(
        "crm.item.list",
        lambda answer: tuple(filter(None, parsing.rows(answer.result, deal, key="items").read)),
        {
            "entityTypeId": DEAL,
            "select": ["id", "title", field],
            "filter": {f"={field}": customer.id},
            "order": {"id": "desc"},
            "start": UNCOUNTED,
        },
    )
