"""Does the app's work with other client libraries, in its own process.

All use an administrator's token, so that none needs a second one. A step waits for the one before
only if it needs its result.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from typing import Any, Protocol

from bench.processes import handle_one

Call = tuple[str, dict[str, Any]]

RIGHT = "sale.paysystem.settings.payment.get"  # its error code tells whether a person may pay
DEAL_TYPE = 2
TIMEOUT = 30

_WHO: list[Call] = [("app.info", {}), ("profile", {})]
_SYSTEMS: list[Call] = [("sale.paysystem.list", {}), ("sale.paysystem.handler.list", {})]
# More requests than the bench makes; fast-bitrix24 would otherwise wait for a bucket.
_POOL = 1_000_000


class Side(Protocol):
    """One client library. `call_all` returns results in order, None for an error."""

    def call_all(self, calls: Sequence[Call]) -> list[Any]: ...


class Sdk:
    """b24pysdk, one call after another."""

    def __init__(self, host: str, token: Mapping[str, Any]) -> None:
        from b24pysdk.credentials import BitrixApp, BitrixToken

        self.token = BitrixToken(
            domain=host,
            auth_token=token["access"],
            refresh_token=token["refresh"],
            expires=datetime.fromtimestamp(token["expires"], UTC),
            expires_in=3600,
            bitrix_app=BitrixApp(client_id="local.bench", client_secret="bench"),
        )

    def call_all(self, calls: Sequence[Call]) -> list[Any]:
        return [self._one(method, params) for method, params in calls]

    def _one(self, method: str, params: dict[str, Any]) -> Any:
        from b24pysdk.errors import BitrixAPIError

        try:
            return self.token.call_method(method, params)["result"]
        except BitrixAPIError:
            if method != RIGHT:
                raise
            return None


class SdkBatch(Sdk):
    """b24pysdk, each step in a batch."""

    def call_all(self, calls: Sequence[Call]) -> list[Any]:
        if len(calls) == 1:
            return super().call_all(calls)
        named = {f"c{place}": call for place, call in enumerate(calls)}
        found = self.token.call_batch(named)["result"]["result"]
        return [found.get(name) for name in named]


class OAuthlib:
    """requests-oauthlib alone: one session, one call after another."""

    def __init__(self, host: str, token: Mapping[str, Any]) -> None:
        from requests_oauthlib import OAuth2Session

        self.address = f"https://{host}/rest/"
        self.session = OAuth2Session(token={"access_token": token["access"]})
        self.auth = token["access"]

    def call_all(self, calls: Sequence[Call]) -> list[Any]:
        return [self._one(method, params) for method, params in calls]

    def _one(self, method: str, params: dict[str, Any]) -> Any:
        body = {**params, "auth": self.auth}
        return self.session.post(self.address + method, json=body, timeout=TIMEOUT).json().get(
            "result"
        )  # fmt: skip


class Fast:
    """fast-bitrix24: each step in a batch, beside it the call that returns an error."""

    def __init__(self, host: str, token: Mapping[str, Any]) -> None:
        self.host, self.access = host, token["access"]

    def call_all(self, calls: Sequence[Call]) -> list[Any]:
        return asyncio.run(self._call_all(calls))

    async def _call_all(self, calls: Sequence[Call]) -> list[Any]:
        from fast_bitrix24 import BitrixAsync

        async def token() -> str:
            return str(self.access)

        client = BitrixAsync(
            f"https://{self.host}/rest/", token_func=token, verbose=False, request_pool_size=_POOL
        )
        joined = {f"c{place}": call for place, call in enumerate(calls) if call[0] != RIGHT}
        waits = [self._alone(client, RIGHT, {}) for call in calls if call[0] == RIGHT]
        if len(joined) == 1:
            ((name, (method, params)),) = joined.items()
            answers, *_ = await asyncio.gather(self._keyed(client, name, method, params), *waits)
        else:
            answers, *_ = await asyncio.gather(self._batch(client, joined), *waits)
        return [answers.get(f"c{place}") for place in range(len(calls))]

    async def _batch(self, client: Any, calls: Mapping[str, Call]) -> dict[str, Any]:
        from fast_bitrix24.utils import http_build_query

        lines = {n: f"{method}?{http_build_query(params)}" for n, (method, params) in calls.items()}
        found: dict[str, Any] = await client.call_batch({"halt": 0, "cmd": lines})
        return found

    async def _keyed(
        self, client: Any, name: str, method: str, params: dict[str, Any]
    ) -> dict[str, Any]:
        return {name: await self._alone(client, method, params)}

    async def _alone(self, client: Any, method: str, params: dict[str, Any]) -> Any:
        from aiohttp import ClientResponseError

        try:
            return (await client.call(method, params, raw=True))["result"]
        except ClientResponseError:
            if method != RIGHT:
                raise
            return None


SIDES: dict[str, Callable[[str, Mapping[str, Any]], Side]] = {
    "b24pysdk, call by call": Sdk,
    "b24pysdk, batch": SdkBatch,
    "fast-bitrix24": Fast,
    "requests-oauthlib": OAuthlib,
}


def open_tab(side: Side, deal_id: int) -> int:
    """Reads the person, their right, the deal's payments, the pay systems; returns the rows."""
    listed: Call = (
        "crm.item.payment.list",
        {"entityTypeId": DEAL_TYPE, "entityId": deal_id, "order": {"id": "desc"}},
    )
    return len(side.call_all([*_WHO, (RIGHT, {}), listed, *_SYSTEMS])[3])


def open_main(side: Side) -> int:
    """Reads unpaid payments, the deals of their orders and their titles; returns the rows."""
    unpaid: Call = (
        "sale.payment.list",
        {"filter": {"=paid": "N"}, "order": {"id": "desc"}, "start": -1},
    )
    payments = side.call_all([*_WHO, (RIGHT, {}), unpaid, *_SYSTEMS])[3]["payments"]
    orders = sorted({row["orderId"] for row in payments})
    bound = side.call_all(
        [
            ("sale.order.list", {"filter": {"@id": orders}, "start": -1}),
            ("crm.orderentity.list", {"filter": {"@orderId": orders}}),
        ]
    )[1]
    deals = [row["ownerId"] for row in bound["orderEntity"] if int(row["ownerTypeId"]) == DEAL_TYPE]
    side.call_all(
        [("crm.item.list", {"entityTypeId": DEAL_TYPE, "filter": {"@id": deals}, "start": -1})]
    )
    return len(payments)


def pay(side: Side, deal_id: int, payment_id: int, order_id: int, system_id: int) -> bool:
    """Reads what paying depends on, pays, reads back; returns whether it is paid."""
    listed: Call = ("crm.item.payment.list", {"entityTypeId": DEAL_TYPE, "entityId": deal_id})
    side.call_all(
        [
            (RIGHT, {}),
            listed,
            ("sale.payment.get", {"id": payment_id}),
            ("sale.order.list", {"filter": {"@id": [order_id]}, "start": -1}),
            *_SYSTEMS,
        ]
    )
    side.call_all(
        [("sale.paysystem.pay.payment", {"PAYMENT_ID": payment_id, "PAY_SYSTEM_ID": system_id})]
    )
    rows = side.call_all([listed])[0]
    return any(row["id"] == payment_id and row["paid"] == "Y" for row in rows)


class Peers:
    """The methods that the parent process may call."""

    def __init__(self, host: str, token: Mapping[str, Any]) -> None:
        self.sides: dict[str, Side] = {name: made(host, token) for name, made in SIDES.items()}

    def run(self, name: str, work: str, *values: int) -> tuple[float, Any]:
        function: Any = {"tab": open_tab, "main": open_main, "pay": pay}[work]
        started = time.perf_counter()
        found = function(self.sides[name], *values)
        return time.perf_counter() - started, found


def serve(pipe: Connection, host: str, token: Mapping[str, Any], authority: str) -> None:
    # Before the libraries are imported and read them.
    os.environ["REQUESTS_CA_BUNDLE"] = os.environ["SSL_CERT_FILE"] = authority
    os.environ["NO_PROXY"] = "*"
    served = Peers(host, token)
    while handle_one(pipe, served):
        pass
