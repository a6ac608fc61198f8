"""Calls a portal's REST: reads, single or many in a `batch`, and writes, sent once.

https://apidocs.bitrix24.com/settings/how-to-call-rest-api/general-principles.html
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from django.utils import timezone

from b24app.errors import (
    AddressForbidden,
    B24Error,
    BatchRefused,
    NeverSent,
    OutcomeUnknown,
    PortalBusy,
    PortalMoved,
    QueryLimit,
    Refused,
    TokenExpired,
    TokenRejected,
)
from b24app.rest import commands, pool, shares, transport
from b24app.rest.answers import Answer as Answer
from b24app.rest.answers import answer_of, part_of

T = TypeVar("T")

# Seconds to connect, seconds to wait for an answer. A person waits for a read, and can reload.
READ_TIMEOUT = (5.0, 30.0)
# The cloud cuts a request off at 60 seconds: whoever waits longer always sees how it ended.
WRITE_TIMEOUT = (5.0, 65.0)
# Before a read is tried again, in seconds. A portal takes two requests a second once its bucket is
# empty, so after the last there is room for five; a person does not wait for more.
RETRY_DELAYS = (0.3, 0.8, 1.6)
# Threads that were turned away together come back apart.
JITTER = (0.75, 1.25)
# The server runs the first 50 commands of a batch and refuses the others.
BATCH_SIZE = 50


@dataclass(frozen=True)
class Query(Generic[T]):
    """A read, and how its answer is understood.

    `parse` raises OutcomeUnknown for a shape it does not know. `parse_refusal` is for a question
    whose answer is an error; it may raise the error again. `administrators_only`: whoever is
    refused this cannot serve the portal. `follows` is a query of the same batch whose answer the
    parameters refer to by `commands.ResultOf`; where both cannot go in one request, this one is
    not asked.
    """

    method: str
    parse: Callable[[Answer], T]
    params: Mapping[str, Any] = field(default_factory=dict)
    parse_refusal: Callable[[Refused], T] | None = None
    administrators_only: bool = False
    follows: Query[Any] | None = None

    def value_of(self, outcome: Answer | B24Error) -> T:
        if isinstance(outcome, Answer):
            return self.parse(outcome)
        if isinstance(outcome, Refused) and self.parse_refusal is not None:
            return self.parse_refusal(outcome)
        raise outcome


class Credentials(Protocol):
    """Where a client gets its access token; `renew` gives another one than `stale`, or raises."""

    def access_token(self) -> str: ...

    def renew(self, stale: str) -> str: ...


class Client:
    """One portal, called with one person's token."""

    def __init__(
        self,
        endpoint: str,
        credentials: Credentials,
        *,
        on_refusal: Callable[[Refused, bool], None] | None = None,
    ) -> None:
        """`on_refusal` is told of each refused query, and whether it is for administrators only."""
        self.endpoint = endpoint.rstrip("/") + "/"
        self._credentials = credentials
        self._on_refusal = on_refusal

    def read(self, query: Query[T]) -> T:
        """Ask, and ask again where that is safe; raises the query's B24Error."""
        outcome = self._outcome(query.method, query.params)
        self._tell(query, outcome)
        return query.value_of(outcome)

    def write(self, method: str, params: Mapping[str, Any]) -> Answer:
        """Send once, and never again whatever comes back: the caller reads what has become of it.

        NeverSent and Refused mean that it was not carried out, OutcomeUnknown that it may have
        been. A token about to expire is renewed first.
        """
        return self._send(method, params, self._credentials.access_token(), WRITE_TIMEOUT)

    def batch(self) -> Batch:
        return Batch(self)

    def _tell(self, query: Query[Any], outcome: Answer | B24Error | None) -> None:
        if self._on_refusal is not None and isinstance(outcome, Refused):
            self._on_refusal(outcome, query.administrators_only)

    def _outcome(self, method: str, params: Mapping[str, Any]) -> Answer | B24Error:
        try:
            return self._ask(method, params)
        except B24Error as error:
            return error

    def _ask(self, method: str, params: Mapping[str, Any]) -> Answer:
        token = self._credentials.access_token()
        delays = iter(RETRY_DELAYS)
        renewed = False
        while True:
            try:
                return self._send(method, params, token, READ_TIMEOUT)
            except (TokenExpired, TokenRejected) as error:
                if renewed or not _helped_by_renewal(error):
                    raise
                token, renewed = self._renewed(token, error), True
            except (AddressForbidden, PortalBusy):
                raise
            except (NeverSent, QueryLimit):
                delay = next(delays, None)
                if delay is None:
                    raise
                pause(delay * random.uniform(*JITTER))  # noqa: S311 - nobody gains by guessing it

    def _renewed(self, stale: str, error: Refused) -> str:
        try:
            return self._credentials.renew(stale)
        except TokenExpired:  # Credentials that cannot be renewed: the server's own words count.
            raise error from None

    def _send(
        self, method: str, params: Mapping[str, Any], token: str, timeout: tuple[float, float]
    ) -> Answer:
        # `auth` is the documented place of a token; the newest servers look at the header first.
        # A webhook has none: its address is the proof.
        proof = {"auth": token} if token else {}
        began = timezone.now()
        reply = transport.post_json(
            f"{self.endpoint}{method}",
            {**params, **proof},
            token=token,
            timeout=timeout,
            is_batch=method == "batch",
        )
        middle = began + (timezone.now() - began) / 2
        if reply.is_redirect:
            raise PortalMoved(f"{reply.url} answers with a redirect")
        return answer_of(reply.json(), asked_at=middle)


class Pending(Generic[T]):
    """The value of a query in a batch, once that has run."""

    def __init__(self, query: Query[T]) -> None:
        self.query = query
        self.outcome: Answer | B24Error | None = None

    def get(self) -> T:
        """The value; or raises the query's own B24Error, or that of the whole batch."""
        if self.outcome is None:
            raise RuntimeError(f"{self.query.method} is asked for before its batch has run")
        return self.query.value_of(self.outcome)


class Batch:
    """Reads of one client that travel together; `run_batches` runs several clients' at once."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._pendings: list[Pending[Any]] = []

    def add(self, query: Query[T]) -> Pending[T]:
        pending = Pending(query)
        self._pendings.append(pending)
        return pending

    def run(self) -> None:
        """Ask all that has not been asked yet. What goes wrong is raised by `Pending.get`."""
        run_batches(self)

    @property
    def skew(self) -> timedelta | None:
        """How far the portal's clock is ahead of ours; None where no answer has told."""
        outcomes = (pending.outcome for pending in self._pendings)
        skews = (outcome.skew for outcome in outcomes if isinstance(outcome, Answer))
        return next((skew for skew in skews if skew is not None), None)

    def requests(self) -> list[list[Pending[Any]]]:
        """What has not been asked yet, by the request it goes in; one alone is a plain call."""
        asked = [pending for pending in self._pendings if pending.outcome is None]
        refused = commands.refused_in_batch(self.client.endpoint)
        alone: list[Pending[Any]] = []
        joined: list[Pending[Any]] = []
        for pending in asked:
            query = pending.query
            apart = query.method in refused or (
                query.follows is None and commands.has_reference(query.params)
            )
            (alone if apart else joined).append(pending)
        chunks = [joined[i : i + BATCH_SIZE] for i in range(0, len(joined), BATCH_SIZE)]
        return [*chunks, *([pending] for pending in alone)]


def run_batches(*batches: Batch) -> None:
    """Run batches at the same time; a command that its portal refuses in a batch is asked alone."""
    requests = [(batch.client, request) for batch in batches for request in batch.requests()]
    # The clients of one screen belong to one portal.
    of = shares.host_of(batches[0].client.endpoint) if batches else ""
    pool.run_all([partial(_run, client, request) for client, request in requests], of=of)
    refused = [
        (client, pending)
        for client, request in requests
        if len(request) > 1
        for pending in request
        if isinstance(pending.outcome, BatchRefused) and pending.query.follows is None
    ]
    for client, pending in refused:
        commands.remember_refused(client.endpoint, pending.query.method)
    pool.run_all([partial(_run, client, [pending]) for client, pending in refused], of=of)
    for client, request in requests:
        for pending in request:
            client._tell(pending.query, pending.outcome)


def pause(seconds: float) -> None:
    time.sleep(seconds)


def _run(client: Client, request: list[Pending[Any]]) -> None:
    asked = {id(pending.query) for pending in request}
    apart = [p for p in request if p.query.follows and id(p.query.follows) not in asked]
    for pending in apart:
        pending.outcome = OutcomeUnknown(f"{pending.query.method}: not in its batch")
    request = [pending for pending in request if pending not in apart]
    if not request:
        return
    if len(request) == 1:
        query = request[0].query
        request[0].outcome = client._outcome(query.method, query.params)
        return
    named = {f"q{number}": pending for number, pending in enumerate(request)}
    keys = {id(pending.query): key for key, pending in named.items()}
    lines = {
        key: commands.command(
            p.query.method,
            commands.referring(p.query.params, keys[id(p.query.follows)])
            if p.query.follows is not None
            else p.query.params,
        )
        for key, p in named.items()
    }
    whole = client._outcome("batch", {"halt": 0, "cmd": lines})
    for key, pending in named.items():
        pending.outcome = part_of(whole, key, pending.query.method)


def _helped_by_renewal(error: Refused) -> bool:
    """A token is rejected as unknown when somebody else has renewed the pair it came with."""
    return isinstance(error, TokenExpired) or error.code.upper() == "INVALID_TOKEN"
