"""Calls the REST of a portal: reads, one by one or in a `batch`, and writes, sent only once.

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
from b24app.rest import commands, operating, pool, shares, transport
from b24app.rest.answers import Answer as Answer
from b24app.rest.answers import answer_of, part_of, time_of

T = TypeVar("T")

# Seconds to connect, seconds to wait for an answer. A person waits for a read, and can reload.
READ_TIMEOUT = (5.0, 30.0)
# Longer than the cloud's limit of 60 seconds for a request, to learn the outcome of each.
WRITE_TIMEOUT = (5.0, 65.0)
# Seconds before each retry of a read. A portal with an empty bucket takes two requests a second, so
# after the last delay it has room for five; a person does not wait longer.
RETRY_DELAYS = (0.3, 0.8, 1.6)
# A random factor of the delay, so that threads that were refused together do not retry together.
JITTER = (0.75, 1.25)
# Bitrix24 runs the first 50 commands of a batch and refuses the rest.
BATCH_SIZE = 50


@dataclass(frozen=True)
class Query(Generic[T]):
    """A read, and how its answer is parsed."""

    method: str
    # Raises OutcomeUnknown for an answer of unknown shape.
    parse: Callable[[Answer], T]
    params: Mapping[str, Any] = field(default_factory=dict)
    # Parses a refusal that is a possible answer; raises the refusal if it is not.
    parse_refusal: Callable[[Refused], T] | None = None
    # Whether every administrator may do this: a person who is refused cannot serve the portal.
    administrators_only: bool = False
    # A query of the same batch, to whose answer the parameters refer by `commands.ResultOf`. If
    # both cannot go in one request, this query gets OutcomeUnknown.
    follows: Query[Any] | None = None

    def value_of(self, outcome: Answer | B24Error) -> T:
        """Returns the parsed value; raises the outcome if it is an error."""
        if isinstance(outcome, Answer):
            return self.parse(outcome)
        if isinstance(outcome, Refused) and self.parse_refusal is not None:
            return self.parse_refusal(outcome)
        raise outcome


class Credentials(Protocol):
    """Gives a client its access token."""

    def access_token(self) -> str: ...

    def renew(self, stale: str) -> str:
        """Returns a token other than `stale`; raises a B24Error if there is no other."""
        ...


class Client:
    """Calls one portal with one person's token."""

    def __init__(
        self,
        endpoint: str,
        credentials: Credentials,
        *,
        on_refusal: Callable[[Refused, bool], None] | None = None,
    ) -> None:
        """`on_refusal(error, administrators_only)` is called for each refused query."""
        self.endpoint = endpoint.rstrip("/") + "/"
        self._credentials = credentials
        self._on_refusal = on_refusal

    def read(self, query: Query[T]) -> T:
        """Returns the query's value, after retries if needed. Raises the query's B24Error."""
        outcome = self._outcome(query.method, query.params)
        self._report_refusal(query, outcome)
        return query.value_of(outcome)

    def write(self, method: str, params: Mapping[str, Any]) -> Answer:
        """Sends a write once, and never again; the caller reads back what it changed.

        Renews a token first that is about to expire. Raises NeverSent or Refused if the write was
        not carried out, OutcomeUnknown if it may have been.
        """
        return self._send(method, params, self._credentials.access_token(), WRITE_TIMEOUT)

    def whole_answer(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the portal's whole answer to a read as it was sent, also an error; asks once.

        For `manage.py portal_check`, which tests how answers are written. Raises NeverSent or
        OutcomeUnknown if there is no answer.
        """
        token = self._credentials.access_token()
        return self._post(method, params, token, READ_TIMEOUT).whole()

    def batch(self) -> Batch:
        return Batch(self)

    def _report_refusal(self, query: Query[Any], outcome: Answer | B24Error | None) -> None:
        if self._on_refusal is not None and isinstance(outcome, Refused):
            self._on_refusal(outcome, query.administrators_only)

    def _outcome(self, method: str, params: Mapping[str, Any]) -> Answer | B24Error:
        try:
            return self._read_with_retries(method, params)
        except B24Error as error:
            return error

    def _read_with_retries(self, method: str, params: Mapping[str, Any]) -> Answer:
        token = self._credentials.access_token()
        delays = iter(RETRY_DELAYS)
        renewed = False
        while True:
            try:
                return self._send(method, params, token, READ_TIMEOUT)
            except (TokenExpired, TokenRejected) as error:
                if renewed or not _renewal_may_help(error):
                    raise
                token, renewed = self._renewed(token, error), True
            except (AddressForbidden, PortalBusy):
                raise
            except (NeverSent, QueryLimit):
                delay = next(delays, None)
                if delay is None:
                    raise
                pause(delay * random.uniform(*JITTER))  # noqa: S311 - not a secret

    def _renewed(self, stale: str, error: Refused) -> str:
        try:
            return self._credentials.renew(stale)
        except TokenExpired:  # These credentials cannot be renewed: raise the server's error.
            raise error from None

    def _send(
        self, method: str, params: Mapping[str, Any], token: str, timeout: tuple[float, float]
    ) -> Answer:
        if (blocked := operating.refusal(self.endpoint, method)) is not None:
            raise blocked
        began = timezone.now()
        reply = self._post(method, params, token, timeout)
        ended = timezone.now()
        if reply.is_redirect:
            raise PortalMoved(f"{reply.url} answers with a redirect")
        try:
            envelope = reply.json()
        except Refused as error:
            self._note_block(method, error)
            raise
        operating.note(self.endpoint, method, envelope.get("time"))
        return answer_of(envelope, asked_at=began + (ended - began) / 2, received_at=ended)

    def _post(
        self, method: str, params: Mapping[str, Any], token: str, timeout: tuple[float, float]
    ) -> transport.Reply:
        # `auth` is the documented place of a token; the newest servers read the header first. A
        # webhook has no token: its address is the proof.
        proof = {"auth": token} if token else {}
        return transport.post_json(
            f"{self.endpoint}{method}",
            {**params, **proof},
            token=token,
            timeout=timeout,
            is_batch=method == "batch",
        )

    def _note_block(self, method: str, error: Refused) -> None:
        if error.code.upper() == operating.CODE:
            operating.block(self.endpoint, method)


class Pending(Generic[T]):
    """A query in a batch, and its outcome after the batch has run."""

    def __init__(self, query: Query[T]) -> None:
        self.query = query
        self.outcome: Answer | B24Error | None = None

    def get(self) -> T:
        """Returns the query's value. Raises its B24Error, or that of the whole batch."""
        if self.outcome is None:
            raise RuntimeError(f"{self.query.method} was read before its batch has run")
        return self.query.value_of(self.outcome)


class Batch:
    """Queries of one client that run in one request, or in as few as possible.

    https://apidocs.bitrix24.com/settings/how-to-call-rest-api/batch.html
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self._pendings: list[Pending[Any]] = []

    def add(self, query: Query[T]) -> Pending[T]:
        pending = Pending(query)
        self._pendings.append(pending)
        return pending

    def run(self) -> None:
        """Runs all queries that have not run yet. `Pending.get` raises their errors."""
        run_batches(self)

    @property
    def skew(self) -> timedelta | None:
        """How far the portal's clock is ahead of this server's; None if no answer says."""
        outcomes = (pending.outcome for pending in self._pendings)
        skews = (outcome.skew for outcome in outcomes if isinstance(outcome, Answer))
        return next((skew for skew in skews if skew is not None), None)

    def requests(self) -> list[list[Pending[Any]]]:
        """Returns the queries that have not run yet, grouped by request.

        A group of one is a single call without a batch.
        """
        waiting = [pending for pending in self._pendings if pending.outcome is None]
        refused = commands.refused_in_batch(self.client.endpoint)
        alone: list[Pending[Any]] = []
        joined: list[Pending[Any]] = []
        for pending in waiting:
            query = pending.query
            must_be_alone = query.method in refused or (
                query.follows is None and commands.has_reference(query.params)
            )
            (alone if must_be_alone else joined).append(pending)
        chunks = [joined[i : i + BATCH_SIZE] for i in range(0, len(joined), BATCH_SIZE)]
        return [*chunks, *([pending] for pending in alone)]


def run_batches(*batches: Batch) -> None:
    """Runs batches at the same time. A query that the portal refuses in a batch is retried alone.

    https://apidocs.bitrix24.com/settings/how-to-call-rest-api/batch.html
    """
    requests = [(batch.client, request) for batch in batches for request in batch.requests()]
    # The clients of one screen belong to one portal.
    host = shares.host_of(batches[0].client.endpoint) if batches else ""
    pool.run_all([partial(_run, client, request) for client, request in requests], host=host)
    refused = [
        (client, pending)
        for client, request in requests
        if len(request) > 1
        for pending in request
        if isinstance(pending.outcome, BatchRefused) and pending.query.follows is None
    ]
    for client, pending in refused:
        commands.remember_refused(client.endpoint, pending.query.method)
    pool.run_all([partial(_run, client, [pending]) for client, pending in refused], host=host)
    for client, request in requests:
        for pending in request:
            client._report_refusal(pending.query, pending.outcome)


def pause(seconds: float) -> None:
    time.sleep(seconds)


def _run(client: Client, request: list[Pending[Any]]) -> None:
    for pending in request:
        pending.outcome = operating.refusal(client.endpoint, pending.query.method)
    request = [pending for pending in request if pending.outcome is None]
    in_request = {id(pending.query) for pending in request}
    separated = [p for p in request if p.query.follows and id(p.query.follows) not in in_request]
    for pending in separated:
        pending.outcome = OutcomeUnknown(f"{pending.query.method}: not in its batch")
    request = [pending for pending in request if pending not in separated]
    if not request:
        return
    if len(request) == 1:
        query = request[0].query
        request[0].outcome = client._outcome(query.method, query.params)
        return
    by_key = {f"q{number}": pending for number, pending in enumerate(request)}
    keys = {id(pending.query): key for key, pending in by_key.items()}
    lines = {
        key: commands.command(
            p.query.method,
            commands.referring(p.query.params, keys[id(p.query.follows)])
            if p.query.follows is not None
            else p.query.params,
        )
        for key, p in by_key.items()
    }
    whole = client._outcome("batch", {"halt": 0, "cmd": lines})
    for key, pending in by_key.items():
        method = pending.query.method
        pending.outcome = part_of(whole, key, method)
        if isinstance(pending.outcome, Refused) and pending.outcome is not whole:
            client._note_block(method, pending.outcome)
        operating.note(client.endpoint, method, time_of(whole, key))


def _renewal_may_help(error: Refused) -> bool:
    """A token is also rejected as unknown after another process has renewed its pair."""
    return isinstance(error, TokenExpired) or error.code.upper() == "INVALID_TOKEN"
