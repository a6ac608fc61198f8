"""Renders the card of a CRM object: its tabs, its payments, its timeline."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.host.card_types import CARD_TYPES
from sandbox.host.payments import money, readable_order
from sandbox.host.places import chosen_tab, frame_at, tab_links, tabs_at
from sandbox.host.rendering import Html, join, render
from sandbox.host.shell import full_name, notice, page
from sandbox.host.visit import Visit
from sandbox.wire.http import Response
from sandbox.world.world import COMPANY, CONTACT, ORDER, Item

COMMENTS = 20


@dataclass(frozen=True)
class _Content:
    """The parts of a card that differ by type."""

    title: str
    subtitle: str
    general: Html  # the tab General
    timeline: Html  # empty: this card has none


def card(visit: Visit, type_id: int, object_id: int) -> Response:
    content = _order(visit, object_id) if type_id == ORDER else _item(visit, type_id, object_id)
    if isinstance(content, Response):
        return content
    card_type = CARD_TYPES[type_id]
    path = card_type.path_of(object_id)
    tabs = tabs_at(visit, card_type.tab)
    body = content.general
    if bound := tabs.get(chosen_tab(visit)):
        frame = frame_at(visit, bound, code=card_type.tab, item_id=object_id, path=path)
        body = render("card_frame", frame=frame)
    html = render(
        "card",
        title=content.title,
        subtitle=content.subtitle,
        tabs=tab_links(visit, path, tabs),
        body=body,
        source=f"/_host/payments?type={type_id}&id={object_id}",
        timeline=content.timeline,
    )
    return page(visit, content.title, html)


def _order(visit: Visit, order_id: int) -> _Content | Response:
    order = readable_order(visit, order_id)
    if order is None:
        text = "There is no such order, or you have no permission to see it."
        return notice(visit, "Not found", text, status=404)
    amount = f"{money(order.price)} {order.currency}"
    return _Content(
        title=f"Order {order.account_number}",
        subtitle=amount,
        general=render("order_general", number=order.account_number, amount=amount),
        timeline=Html(""),
    )


def _item(visit: Visit, type_id: int, item_id: int) -> _Content | Response:
    item = visit.portal.items.get((type_id, item_id))
    if item is None:
        return notice(visit, "Not found", "There is no such item in the CRM.", status=404)
    if not visit.portal.may_read(visit.user, item):
        text = "You have no permission to see this item. Ask your CRM administrator."
        return notice(visit, "Access denied", text, status=403)
    return _Content(
        title=item.title,
        subtitle=f"{CARD_TYPES[type_id].name} {item.id}",
        general=render("fields", fields=_fields(visit, item)),
        timeline=render("timeline", comments=_comments(visit, item)),
    )


def _fields(visit: Visit, item: Item) -> Html:
    fields = [_field("Title", item.title)]
    if item.type_id not in (COMPANY, CONTACT):
        fields.append(_field("Amount and currency", f"{money(item.opportunity)} {item.currency}"))
        customers = ((COMPANY, item.company_id), (CONTACT, item.contact_id))
        fields += [
            _field(CARD_TYPES[type_id].name, _link(visit, type_id, customer_id))
            for type_id, customer_id in customers
            if (type_id, customer_id) in visit.portal.items
        ]
    fields.append(_field("Responsible", full_name(visit.portal.users[item.responsible_id])))
    fields.append(_field("ID", str(item.id)))
    return join(fields)


def _field(name: str, value: str) -> Html:
    return render("field", name=name, value=value)


def _link(visit: Visit, type_id: int, item_id: int) -> Html:
    return render(
        "link",
        address=CARD_TYPES[type_id].path_of(item_id),
        text=visit.portal.items[type_id, item_id].title,
        current=Html(""),
    )


def _comments(visit: Visit, item: Item) -> Html:
    """The newest comments, the newest first."""
    owner = (item.type_id, item.id)
    found = [comment for comment in visit.portal.comments if comment.owner == owner]
    return join(
        render(
            "comment",
            author=full_name(visit.portal.users[comment.author_id]),
            created=comment.created.strftime("%d %b %Y %H:%M"),
            text=comment.text,
        )
        for comment in reversed(found[-COMMENTS:])
    ) or render("no_comment")
