"""Reads CRM items: deals, invoices, items of smart processes, companies and contacts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeVar

from b24app.errors import AccessDenied, NotFound, Refused
from b24app.rest.client import Query
from b24app.untrusted.numbers import whole
from payments.gateway import parsing
from payments.gateway.parsing import UNCOUNTED
from payments.gateway.types import (
    COMPANY,
    CONTACT,
    DEAL,
    NAME_LENGTH,
    TITLE_LENGTH,
    CrmCard,
    Owner,
)

T = TypeVar("T")

# The field in which a deal names its customer. Of several contacts it names the first.
_CUSTOMER_FIELDS = {COMPANY: "companyId", CONTACT: "contactId"}


def readable_items(type_id: int, ids: Iterable[int]) -> Query[tuple[Owner, ...]]:
    """The items with these ids, at most a page, that the person may read, with their titles.

    Leaves out an item whose id cannot be read; a title that cannot be read is empty.
    https://apidocs.bitrix24.com/api-reference/crm/universal/crm-item-list.html
    """
    return _items(type_id, ids, ["id", "title"], _titled)


def cards(type_id: int, ids: Iterable[int]) -> Query[tuple[CrmCard, ...]]:
    """The same items as `readable_items`, each with its customer.

    https://apidocs.bitrix24.com/api-reference/crm/universal/crm-item-list.html
    """
    return _items(type_id, ids, ["id", "title", "companyId", "contactId"], _card)


def customers(type_id: int, ids: Iterable[int]) -> Query[tuple[Owner, ...]]:
    """The companies or contacts with these ids, at most a page, that the person may read.

    A company's name is its title; a contact has a name and a last name.
    https://apidocs.bitrix24.com/api-reference/crm/universal/crm-item-list.html
    """
    return _items(type_id, ids, ["id", "title", "name", "lastName"], _customer)


def deals_of(customer: Owner) -> Query[tuple[Owner, ...]]:
    """The newest deals of a company or a contact that the person may read, at most a page.

    https://apidocs.bitrix24.com/api-reference/crm/universal/crm-item-list.html
    """
    field = _CUSTOMER_FIELDS[customer.type_id]

    def deal(row: parsing.Row) -> Owner | None:
        # A portal that does not understand the filter returns the deals of all customers.
        if whole(row.get(field), least=1) != customer.id:
            return None
        return _titled(DEAL, row)

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


def _items(
    type_id: int, ids: Iterable[int], select: list[str], parse_row: Callable[[int, parsing.Row], T]
) -> Query[tuple[T, ...]]:
    def parse_refusal(refusal: Refused) -> tuple[T, ...]:
        # No right to items of this type, or the type no longer exists: the person may read no item.
        if isinstance(refusal, AccessDenied | NotFound) or refusal.code.upper() == "NOT_FOUND":
            return ()
        raise refusal

    return Query(
        "crm.item.list",
        lambda answer: parsing.rows(answer.result, partial(parse_row, type_id), key="items").read,
        {
            "entityTypeId": type_id,
            "select": select,
            "filter": {"@id": list(ids)},
            "start": UNCOUNTED,
        },
        parse_refusal,
    )


def _titled(type_id: int, row: parsing.Row) -> Owner:
    title = parsing.text_if_readable(row.get("title"), TITLE_LENGTH)
    return Owner(type_id, parsing.integer(row.get("id")), title)


def _card(type_id: int, row: parsing.Row) -> CrmCard:
    company = whole(row.get("companyId"), least=1)
    contact = whole(row.get("contactId"), least=1)
    return CrmCard(_titled(type_id, row), Owner.of(COMPANY, company) or Owner.of(CONTACT, contact))


def _customer(type_id: int, row: parsing.Row) -> Owner:
    title = parsing.text_if_readable(row.get("title"), TITLE_LENGTH)
    parts = [parsing.text_if_readable(row.get(name), NAME_LENGTH) for name in ("name", "lastName")]
    name = title or " ".join(filter(None, parts))
    return Owner(type_id, parsing.integer(row.get("id")), name)
