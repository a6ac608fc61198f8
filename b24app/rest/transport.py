"""Sends every request to Bitrix24, with bounded time and size of answers and without redirects."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import requests
import urllib3
from requests.adapters import BaseAdapter, HTTPAdapter
from requests_oauthlib import OAuth2Session
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from b24app.errors import B24Error, NeverSent, OutcomeUnknown, error_from_answer
from b24app.monitoring import spans
from b24app.monitoring.exchange import Exchange
from b24app.rest import deadline, shares
from b24app.rest.addresses import GuardedHTTPConnection, GuardedHTTPSConnection, check_url
from b24app.signals import exchanged
from b24app.untrusted import clean_json
from b24app.untrusted.json_cost import values_at_most

VERSION = "0.1.0"
USER_AGENT = f"PayForBitrix24/{VERSION}"

# Hosts whose connections are kept; with more, those of the host unused for longest are closed.
HOSTS_KEPT = 200
# Connections kept to one host: every thread of a worker may call a busy portal at once.
CONNECTIONS_KEPT = 20
# Bytes of an answer after decompression. A list is a page of 50 rows: 250 KB if a row takes 5 KB.
# A batch of 50 lists is under 2 MiB, because this app selects the fields that it reads.
BODY_LIMIT = 2 * 1024 * 1024
BATCH_BODY_LIMIT = 4 * 1024 * 1024
# JSON values in an answer. Each costs up to 110 bytes of memory, while `{},` takes three bytes of
# text. A list has 50 rows of up to 200 fields, so 10,000; a batch of 50 lists has 100,000.
VALUES_LIMIT = 50_000
BATCH_VALUES_LIMIT = 250_000
# Received besides the body: headers, and the frames of chunks.
_HEAD_BYTES = 512 * 1024
_CHUNK = 64 * 1024
# The encodings that are requested and accepted. Several layers of them are refused, because a few
# bytes could then decompress to very many.
_ENCODINGS = ("gzip", "deflate")

# Errors that requests raises before it sends anything.
_UNSENT = (
    requests.ConnectTimeout,
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidHeader,  # A posted token may contain any character.
    UnicodeError,
)

# An incoming webhook's address is its secret: /rest/<user>/<code>/.
_WEBHOOK_CODE = re.compile(r"(/rest/[0-9]+/)[^/?#\s]+")

logger = logging.getLogger(__name__)


def shown(url: str) -> str:
    """Returns the address for a log line or an error, with the code of a webhook masked.

    It recognises a webhook by the address itself, so no caller has to mark one as secret.
    """
    return _WEBHOOK_CODE.sub(r"\1***", url)


class _GuardedHTTPPool(HTTPConnectionPool):
    ConnectionCls = GuardedHTTPConnection


class _GuardedHTTPSPool(HTTPSConnectionPool):
    ConnectionCls = GuardedHTTPSConnection


class _GuardedAdapter(HTTPAdapter):
    """The adapter of requests, with connections that refuse forbidden addresses."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            "http": _GuardedHTTPPool,
            "https": _GuardedHTTPSPool,
        }


# No retries here: client.py decides about them, because it knows which calls are writes.
ADAPTER = _GuardedAdapter(pool_connections=HOSTS_KEPT, pool_maxsize=CONNECTIONS_KEPT, max_retries=0)
_mounted: BaseAdapter = ADAPTER


def mounted_adapter() -> BaseAdapter:
    return _mounted


@contextmanager
def use_adapter(adapter: BaseAdapter) -> Iterator[None]:
    """Sends everything through another adapter in this block, in all threads."""
    global _mounted
    before, _mounted = _mounted, adapter
    try:
        yield
    finally:
        _mounted = before


@dataclass(frozen=True)
class Reply:
    """What a server sent back: a success or an error."""

    url: str  # masked by `shown`
    status: int
    body: bytes
    values_limit: int = VALUES_LIMIT

    @property
    def is_redirect(self) -> bool:
        return 300 <= self.status < 400

    def json(self) -> dict[str, Any]:
        """Returns the JSON object in the body.

        Raises the error that its `error` means: 0 and "" are errors too. Raises OutcomeUnknown if
        the body is not a JSON object, has more values than `values_limit`, or has a status of 300
        and above without an `error`.
        https://apidocs.bitrix24.com/error-codes.html
        """
        answer = self.whole()
        failure = error_in(answer, self.status)
        if failure is not None:
            raise failure
        if self.status >= 300:
            raise OutcomeUnknown(f"{self.url}: HTTP {self.status} without an error")
        return answer

    def whole(self) -> dict[str, Any]:
        """Returns the JSON object in the body, also an error. Raises OutcomeUnknown as `json`."""
        if values_at_most(self.body) > self.values_limit:
            raise OutcomeUnknown(f"{self.url}: more than {self.values_limit} values")
        try:
            answer = clean_json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise OutcomeUnknown(f"{self.url}: HTTP {self.status}, not JSON") from error
        if not isinstance(answer, dict):
            raise OutcomeUnknown(f"{self.url}: HTTP {self.status}, not a JSON object")
        return answer


def error_in(answer: Mapping[str, Any], status: int) -> B24Error | None:
    """Returns the exception for an answer with an `error`, None for one without.

    The answer is a body, or that of one command in a batch. Ignores a description that is not text.
    """
    code, description = answer.get("error"), answer.get("error_description")
    if code is None:
        return None
    if isinstance(code, bool) or not isinstance(code, str | int):
        return OutcomeUnknown(f"HTTP {status}, an error of unknown shape")
    return error_from_answer(code, description if isinstance(description, str) else "", status)


def post_form(
    url: str, fields: Mapping[str, str], *, token: str = "", timeout: tuple[float, float]
) -> Reply:
    """Posts a form to the OAuth server. Raises as `post_json` does, but never PortalBusy."""
    form = dict(fields)
    return _post(url, form, form, "application/x-www-form-urlencoded", token, timeout)


def post_json(
    url: str,
    params: Mapping[str, Any],
    *,
    token: str = "",
    timeout: tuple[float, float],
    is_batch: bool = False,
) -> Reply:
    """Posts a JSON object to a portal, once.

    `timeout`: seconds to connect, then seconds for the answer; their sum is the deadline of the
    whole exchange, headers included. `is_batch` allows the larger answer of a batch.

    Raises NeverSent if nothing was sent (AddressForbidden if the address is never called,
    PortalBusy if too many requests wait for the portal), OutcomeUnknown if no complete answer came
    back in time and within the size limit.
    """
    body = json.dumps(params, default=_as_text).encode()
    with shares.of_portal(url):
        return _post(url, params, body, "application/json", token, timeout, is_batch=is_batch)


def _as_text(value: object) -> str:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be sent in a call")


def _post(
    url: str,
    asked: Mapping[str, Any],
    data: bytes | dict[str, str],
    content_type: str,
    token: str,
    timeout: tuple[float, float],
    *,
    is_batch: bool = False,
) -> Reply:
    """Sends the request, then the signal `exchanged` with the outcome."""
    exchange = Exchange(url, asked)
    with spans.span("call") as note:
        note("method", exchange.method)
        try:
            reply = _send(url, data, content_type, token, timeout, is_batch=is_batch)
        except B24Error as error:
            exchange.failed(error)
            note("failure", exchange.failure)
            raise
        else:
            exchange.answered(reply.status, reply.body)
            note("status", reply.status)
        finally:
            # Robust: an error of a receiver must not look like one of the call, which may have
            # paid.
            exchanged.send_robust(sender=Exchange, exchange=exchange)
    return reply


def _send(
    url: str,
    data: bytes | dict[str, str],
    content_type: str,
    token: str,
    timeout: tuple[float, float],
    *,
    is_batch: bool,
) -> Reply:
    check_url(url)
    body_limit = BATCH_BODY_LIMIT if is_batch else BODY_LIMIT
    values_limit = BATCH_VALUES_LIMIT if is_batch else VALUES_LIMIT
    # A new session for each call, so that portals and persons share no cookie and no token. It is
    # not closed, because that would close the connections of the shared adapter.
    session = _Session(token={"access_token": token} if token else None)
    session.trust_env = False  # No proxy and no .netrc: they would see the token.
    session.headers["User-Agent"] = USER_AGENT
    session.headers["Accept-Encoding"] = ", ".join(_ENCODINGS)
    session.mount("https://", _mounted)
    session.mount("http://", _mounted)
    with deadline.limited(timeout, bytes_at_most=body_limit + _HEAD_BYTES) as limits:
        try:
            response = session.post(
                url,
                data=data,
                headers={"Content-Type": content_type, "Accept": "application/json"},
                timeout=timeout,
                allow_redirects=False,
                stream=True,
            )
            with response:
                body = _body(response, limits, body_limit)
        except (requests.RequestException, urllib3.exceptions.HTTPError, UnicodeError) as error:
            kind = NeverSent if _was_never_sent(error) else OutcomeUnknown
            # The cause contains the unmasked address, which a traceback would show.
            cause = error if shown(url) == url else None
            why = "the answer did not end in time" if limits.is_over else type(error).__name__
            raise kind(f"{shown(url)}: {why}") from cause
    return Reply(shown(url), response.status_code, body, values_limit)


class _Session(OAuth2Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """Returns None: else requests reads the whole body of a redirect, however large, even if
        it does not follow the redirect."""


def _was_never_sent(error: Exception) -> bool:
    """Whether requests failed before it sent anything.

    Connections of `_GuardedAdapter` raise NeverSent themselves; this is for other adapters and for
    requests that could not be built.
    """
    if isinstance(error, _UNSENT):
        return True
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, urllib3.exceptions.NewConnectionError)


def _body(response: requests.Response, limits: deadline.Limits, body_limit: int) -> bytes:
    """Returns the whole body, decompressed. Raises OutcomeUnknown at the limits."""
    url, body = shown(response.url), bytearray()
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity", *_ENCODINGS):
        raise OutcomeUnknown(f"{url}: an encoding that was not requested")
    while chunk := response.raw.read1(_CHUNK, decode_content=True):
        body += chunk
        if len(body) > body_limit:
            raise OutcomeUnknown(f"{url}: the answer is longer than {body_limit} bytes")
        if limits.is_over:
            raise OutcomeUnknown(f"{url}: the answer did not end in time")
    return bytes(body)
