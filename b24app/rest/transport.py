"""The only way out: one pool of connections, bounded time and size of answers, no redirects."""

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
from b24app.monitoring.exchange import Exchange
from b24app.rest import deadline, shares
from b24app.rest.addresses import GuardedHTTPConnection, GuardedHTTPSConnection, check_url
from b24app.signals import exchanged
from b24app.untrusted import clean_json
from b24app.untrusted.json_cost import values_at_most

VERSION = "0.1.0"
USER_AGENT = f"PayForBitrix24/{VERSION}"

# Portals whose connections are kept; beyond it the ones not used for longest are closed.
HOSTS_KEPT = 200
# Connections kept to one host: a busy portal is called by every thread of a worker at once.
CONNECTIONS_KEPT = 20
# Bytes of an answer, unpacked. A list is a page of 50 rows: 250 KB where a row takes 5 KB. A batch
# of 50 lists is under 2 MiB, since this app selects the fields that it reads.
BODY_LIMIT = 2 * 1024 * 1024
BATCH_BODY_LIMIT = 4 * 1024 * 1024
# JSON values of an answer. Each costs up to 110 bytes of memory, where `{},` takes three in the
# text. A list has 50 rows of up to 200 fields, so 10,000; a batch of 50 lists has 100,000.
VALUES_LIMIT = 50_000
BATCH_VALUES_LIMIT = 250_000
# Received beside the body: headers, and what frames chunks.
_HEAD_BYTES = 512 * 1024
_CHUNK = 64 * 1024
# Requested, and the only ones that are unpacked: packed in several layers, a few bytes cost more.
_ENCODINGS = ("gzip", "deflate")

_UNSENT = (
    requests.ConnectTimeout,
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidHeader,  # A posted token may hold anything.
    UnicodeError,
)

# An incoming webhook's address is its secret: /rest/<user>/<code>/.
_WEBHOOK_CODE = re.compile(r"(/rest/[0-9]+/)[^/?#\s]+")

logger = logging.getLogger(__name__)


def shown(url: str) -> str:
    """The address as logs and errors may have it; whoever writes one down passes it through here.

    By its shape, wherever it comes from, so that no caller has to say that it holds a secret.
    """
    return _WEBHOOK_CODE.sub(r"\1***", url)


class _GuardedHTTPPool(HTTPConnectionPool):
    ConnectionCls = GuardedHTTPConnection


class _GuardedHTTPSPool(HTTPSConnectionPool):
    ConnectionCls = GuardedHTTPSConnection


class _GuardedAdapter(HTTPAdapter):
    """requests' own adapter, whose connections refuse addresses that are not to be called."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            "http": _GuardedHTTPPool,
            "https": _GuardedHTTPSPool,
        }


# Retries are decided in client.py, by someone who knows whether the call moves money.
ADAPTER = _GuardedAdapter(pool_connections=HOSTS_KEPT, pool_maxsize=CONNECTIONS_KEPT, max_retries=0)
_mounted: BaseAdapter = ADAPTER


def mounted_adapter() -> BaseAdapter:
    return _mounted


@contextmanager
def use_adapter(adapter: BaseAdapter) -> Iterator[None]:
    """Send everything through another adapter meanwhile, in all threads."""
    global _mounted
    before, _mounted = _mounted, adapter
    try:
        yield
    finally:
        _mounted = before


@dataclass(frozen=True)
class Reply:
    """What a server sent back, whatever it means; `url` is fit to be shown."""

    url: str
    status: int
    body: bytes
    values_limit: int = VALUES_LIMIT

    @property
    def is_redirect(self) -> bool:
        return 300 <= self.status < 400

    def json(self) -> dict[str, Any]:
        """Returns the JSON object. Raises what its `error` says; OutcomeUnknown for a body that is
        no JSON object, or holds more values than an answer has.

        `error` counts where it is there at all: Bitrix24 also sends 0 and "".
        https://apidocs.bitrix24.com/error-codes.html
        """
        if values_at_most(self.body) > self.values_limit:
            raise OutcomeUnknown(f"{self.url}: more than {self.values_limit} values")
        try:
            answer = clean_json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise OutcomeUnknown(f"{self.url}: HTTP {self.status}, not JSON") from error
        if not isinstance(answer, dict):
            raise OutcomeUnknown(f"{self.url}: HTTP {self.status}, not a JSON object")
        failure = error_in(answer, self.status)
        if failure is not None:
            raise failure
        if self.status >= 300:
            raise OutcomeUnknown(f"{self.url}: HTTP {self.status} without an error")
        return answer


def error_in(answer: Mapping[str, Any], status: int) -> B24Error | None:
    """The exception an answer stands for; the commands of a batch have answers of their own.

    A description that is not text says nothing: it counts as none.
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
    """POST a form to the OAuth server; raises as `post_json` does, but never PortalBusy."""
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
    """POST a JSON object, once. `timeout`: seconds to connect, seconds for the answer after that.

    Both together are the deadline of the whole exchange, headers included. `is_batch` permits the
    larger answer of a batch.

    Raises NeverSent if no connection was made (AddressForbidden: nor will be; PortalBusy: its
    portal has too many calls under way), OutcomeUnknown if one was made and no whole answer came
    back in time and in size.
    """
    body = json.dumps(params, default=_as_text).encode()
    with shares.of_portal(url):
        return _post(url, params, body, "application/json", token, timeout, is_batch=is_batch)


def _as_text(value: object) -> str:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in a call")


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
    """Send, and tell the receivers of `exchanged` what came of it."""
    exchange = Exchange(url, asked)
    try:
        reply = _send(url, data, content_type, token, timeout, is_batch=is_batch)
    except B24Error as error:
        exchange.failed(error)
        raise
    else:
        exchange.answered(reply.status, reply.body)
    finally:
        # Robust: a fault of theirs must not look like one of the call, which may have paid.
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
    # A session for each call: cookies and tokens of one portal or person never meet another's.
    # It is not closed, because closing it closes the shared adapter's connections.
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
            # The causes name the whole address, which a traceback would show.
            cause = error if shown(url) == url else None
            why = "the answer did not end in time" if limits.is_over else type(error).__name__
            raise kind(f"{shown(url)}: {why}") from cause
    return Reply(shown(url), response.status_code, body, values_limit)


class _Session(OAuth2Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """None: requests looks at a redirect even where it does not follow it, and then reads the
        whole body, however large."""


def _was_never_sent(error: Exception) -> bool:
    """Whether the request could not be written or no connection was made. Connections of our own
    adapter raise NeverSent themselves."""
    if isinstance(error, _UNSENT):
        return True
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, urllib3.exceptions.NewConnectionError)


def _body(response: requests.Response, limits: deadline.Limits, body_limit: int) -> bytes:
    """Returns the whole body, unpacked."""
    url, body = shown(response.url), bytearray()
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity", *_ENCODINGS):
        raise OutcomeUnknown(f"{url}: packed in a way that was not requested")
    while chunk := response.raw.read1(_CHUNK, decode_content=True):
        body += chunk
        if len(body) > body_limit:
            raise OutcomeUnknown(f"{url}: the answer is longer than {body_limit} bytes")
        if limits.is_over:
            raise OutcomeUnknown(f"{url}: the answer did not end in time")
    return bytes(body)
