"""A person's frame: what was opened in it, and requests as htmx sends them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from django.test import Client

from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.b24app.portal_posts import opening_fields, post, session_of

DEAL_TAB, INVOICE_TAB = "CRM_DEAL_DETAIL_TAB", "CRM_SMART_INVOICE_DETAIL_TAB"


class Frame:
    def __init__(self, client: Client, sandbox: Sandbox, portal: Portal, user_id: int) -> None:
        self.client, self.sandbox, self.portal, self.user_id = client, sandbox, portal, user_id
        self.session = session_of(client, sandbox, portal, user_id)

    def opened(self, placement: str = "DEFAULT", item_id: object = None) -> Any:
        options = {} if item_id is None else {"PLACEMENT_OPTIONS": json.dumps({"ID": item_id})}
        fields = opening_fields(
            self.sandbox, self.portal, self.user_id, PLACEMENT=placement, **options
        )
        return post(self.client, "/", fields)

    def tab(self, deal_id: int = seed.DEAL) -> str:
        return text_of(self.opened(DEAL_TAB, str(deal_id)))

    def post(self, path: str, **fields: object) -> Any:
        return self.client.post(path, fields, headers=self.headers())

    def get(self, **fields: str) -> Any:
        return self.client.get("/payments/", fields, headers=self.headers())

    def look(self, path: str, status: int = 200, /, **fields: Any) -> str:
        """Gets a screen or a part of it."""
        return text_of(self.client.get(path, fields, headers=self.headers()), status)

    def send(self, path: str, status: int = 200, /, **fields: Any) -> str:
        return text_of(self.post(path, **fields), status)

    def headers(self) -> dict[str, str]:
        return {"x-frame-session": self.session, "hx-request": "true"}


FrameOf = Callable[[int], Frame]


def text_of(answer: Any, status: int = 200) -> str:
    assert answer.status_code == status, answer.content.decode()
    content: str = answer.content.decode()
    return content


def offer_in(html: str, payment_id: int = seed.PAYMENT) -> str:
    found = re.search(r'name="offer" value="([^"]+)"', row_in(html, "payment", payment_id))
    assert found is not None
    return found[1]


def rows_in(html: str, name: str) -> list[int]:
    """Returns the numbers of a table's rows: `<tr data-NAME="...">`."""
    return [int(number) for number in re.findall(rf'<tr data-{name}="(\d+)">', html)]


def row_in(html: str, name: str, number: int) -> str:
    return html.split(f'<tr data-{name}="{number}">')[1].split("</tr>")[0]


def words(html: str) -> str:
    """Returns what is read of a page: no tags, and single spaces."""
    return re.sub(r"[ \n\xa0]+", " ", re.sub(r"<[^>]*>", " ", html.replace("&nbsp;", " ")))
