"""Makes random requests for every door of the sandbox, from one seed."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit

from sandbox.api.altering import Verbatim, encoded
from sandbox.api.faults import Kind
from sandbox.api.registry import METHODS
from sandbox.api.unplayed import UNPLAYED
from sandbox.host.visit import cookie_name, memory_of
from sandbox.server.app import Sandbox
from sandbox.tools.contract import TABLE
from sandbox.world import seed
from sandbox.world.removed import RemovedOAuth, RemovedRest
from sandbox.world.world import DAY_SECONDS, Portal
from tests.sandbox.enough import ENOUGH, TAB

LONG = 5_000  # digits, characters and levels: more than Python converts or recurses into
USUAL = {
    **ENOUGH,
    "event.test": {"any": "x"},
    "feature.get": {"CODE": "x"},
    "app.option.set": {"options": {"a": "b"}},
    "user.option.set": {"options": {"a": "b"}},
    "app.option.get": {"option": "a"},
    "user.access": {"ACCESS": ["U1", "AU"]},
    "placement.bind": TAB,
    "crm.persontype.list": {},
}
# What these are given, they return.
KEEPING = (
    "app.option.set", "app.option.get", "user.option.set", "user.option.get",
    "sale.paysystem.settings.update", "sale.paysystem.settings.get",
    "sale.paysystem.handler.update", "sale.paysystem.handler.list", "sale.payment.update",
    "sale.payment.get", "placement.bind", "placement.get",
)  # fmt: skip
NAMES = (
    "id", "ID", "fields", "FIELDS", "filter", "select", "order", "start", "SORT", "ORDER", "cmd",
    "halt", "SCOPE", "FULL", "options", "auth", "access_token", "AUTH_TYPE", "EVENT_TYPE",
    "LANG_ALL", "USER_ID", "SETTINGS", "NAME", "", "\0", "a.b c", "a[", "=id", "!%@id", "0",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31, 2**63, -(2**64), 10**40, 0.5, -0.0, 1e300, 1e22,
    "", "0", "1", "Y", "N", "-1", "1e999", "-1e-999", "NaN", "Infinity", "sNaN", "9" * LONG,
    "\u0663", "\u00b2", "\0", "a\0b", "\ud800", "\U0001f4b6", "x" * LONG, "%" * 40, "%a" * 40,
    "\\", "$result[1]", "$result[0]", "x $result[1][0][ID]", "$result[2][payments][0]", "$total[1]",
    "$error[1]", "$result[\u00b2]", "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00", "2026-02-30", "2026-12-01T10:00:00Z", "24:00", "http://[",
    "https://pay.example.com:99999999/", "javascript:alert(1)", "https://\u2100.example.com/",
    "\r\nX: y", "<script>", "deal", "DESC", "online", "offline", "OnOfflineEvent",
    "CRM_DEAL_DETAIL_TAB", "Array", [], {}, [[]], {"0": "x"}, {"1": "x"}, {"a": {"b": ["c"]}},
    Verbatim("1e400"), Verbatim("-1e400"), Verbatim("NaN"), Verbatim("9" * LONG),
    Verbatim("[" * LONG + "]" * LONG), Verbatim("[" * 150 + "]" * 150),
    Verbatim("[" * 300 + "]" * 300), Verbatim('{"a":' * LONG), "[" * LONG,
    seed.PAYMENT, str(seed.PAYMENT), seed.PAID_PAYMENT, seed.CASH_PAYMENT, seed.DEAL, seed.ORDER,
    seed.ACME_PAY, seed.CASH, seed.INNER, seed.ACME_HANDLER,
)  # fmt: skip
OPERATORS = ("", "=", "!", "@", "%", ">", "<=", "!%", "?", "*=", "=%", "+")
_TABLE: dict[str, Any] = tomllib.loads(TABLE.read_text())["methods"]
PARAMS = {name: list(each.get("params", {})) for name, each in _TABLE.items()}
COLUMNS: dict[str, Sequence[str]] = {
    name: each["columns"]["names"].split() for name, each in _TABLE.items() if "columns" in each
}
SOME_COLUMNS = ("id", "ID", "paid", "sum", "datePaid", "date_bill", "NAME", "ownerId", "logic")
CONTENT_TYPES = (
    "application/json", "application/x-www-form-urlencoded", "Application/vnd.api+JSON; a=b",
    "multipart/form-data; boundary=xx", "multipart/form-data", "multipart/form-data; boundary=",
    "text/plain; charset=nothing", "", ";", "\xff", "application/json;" + "x" * LONG,
)  # fmt: skip
BODIES = (
    b"", b"{", b"[", b"null", b"5", b'"x"', b"\xff\xfe", b"\0", b"a=%", b"a=%zz&b[=1&[]=2&=3",
    b"--xx\r\n", b"--xx\r\nContent-Disposition: form-data; name=\"a\xff\"\r\n\r\n1\r\n--xx--",
    b"--xx\r\nContent-Disposition: form-data; name=\"a\"\r\nContent-Transfer-Encoding: base64"
    b"\r\n\r\n!\r\n--xx--", b"a" + b"[b]" * LONG + b"=1", b"a=1&" * LONG,
)  # fmt: skip
PAGES = (
    "/", "/sign-in/", "/crm/", "/crm/deal/", "/crm/deal/details/8061/", "/crm/type/31/",
    "/crm/type/31/list/", "/crm/type/31/details/502/", "/crm/type/2/menu/1000/8061/",
    "/crm/type/99999999999999999999/menu/1/1/", "/marketplace/", "/marketplace/install/",
    "/marketplace/remove/", "/marketplace/app/1000/", "/marketplace/app/" + "9" * LONG + "/",
    "/shop/orders/details/163/", "/crm/company/details/61/", "/crm/contact/details/71/",
    "/_host/payments", "/_host/panel", "/_host/panel/arm", "/_host/panel/disarm",
    "/_host/assets/portal.js", "/_host/assets/../../../etc/passwd", "/_host/assets/",
    "/_host/assets/\0", "/oauth/authorize", "/rest", "/api/v1/",
)  # fmt: skip
PATHS = (
    "/", "//", "/%", "/%ff%fe", "/%00", "/..", "/" * LONG, "/" + "a/" * LONG, "/rest",
    "/rest/", "/rest/a/b/c/d", "/rest/profile", "/rest/api", "/rest/api/", "/oauth/token/",
    "/_sandbox/", "/favicon.ico",
)  # fmt: skip
CONTROL = ("log", "faults", "payment", "advance", "bucket", "removal", "x", "")
ACTIONS = ("refresh", "launched", "installed", "user-option", "app-option", "x")


@dataclass(frozen=True)
class Sent:
    door: str  # the rules for its answer: rest, v3, oauth, page or control
    url: str  # of the server
    method: str
    target: str  # path and query as sent
    headers: dict[str, str]
    body: bytes


@dataclass
class Fuzzer:
    """Without `faults`, the control door is not asked for any: these can last a minute."""

    sandbox: Sandbox
    rng: random.Random
    faults: bool = True

    def __post_init__(self) -> None:
        for portal in self.sandbox.world.portals.values():
            portal.bucket_size = self.rng.choice((50, 10**6, 10**6, 10**6))
            portal.older_build = self.rng.random() < 0.3
            portal.bans_for_operating = self.rng.random() < 0.5
            portal.payment_save_fails = self.rng.random() < 0.1
            portal.commercial_plan = self.rng.random() < 0.95
            portal.deleted = self.rng.random() < 0.02
            portal.removed_rest = self.rng.choice(list(RemovedRest))
            portal.removed_oauth = self.rng.choice(list(RemovedOAuth))
            installation = portal.installations[seed.OUR_CLIENT_ID]
            installation.removed = self.rng.random() < 0.05
            installation.removed_at = self.sandbox.world.now()
            installation.status = self.rng.choice("LFPTDS")
            days = self.rng.choice((-20, -3, 30, 30, 30, 30))
            installation.paid_until = self.sandbox.world.now() + days * DAY_SECONDS
            portal.token_cache = self.rng.choice((None, {}))
            installation.finished = self.rng.random() < 0.9

    def request(self) -> Sent:
        doors: dict[Callable[[], Sent], int] = {
            self._call: 50,
            self._batch: 14,
            self._webhook: 10,
            self._token: 5,
            self._app_info: 3,
            self._authorize: 3,
            self._control: 6,
            self._page: 7,
            self._v3: 1,
            self._odd_path: 2,
        }
        return self.rng.choices(list(doors), list(doors.values()))[0]()

    # Parameters

    def value(self, depth: int = 0) -> Any:
        chance = self.rng.random()
        if depth < 3 and chance < 0.1:
            return [self.value(depth + 1) for _ in range(self.rng.randrange(4))]
        if depth < 3 and chance < 0.25:
            return {self._name(): self.value(depth + 1) for _ in range(self.rng.randrange(4))}
        return deepcopy(self.rng.choice(VALUES))

    def params(self, method: str) -> dict[str, Any]:
        params = deepcopy(USUAL.get(method, {}))
        for _ in range(self.rng.choice((0, 1, 1, 2, 5))):
            self._mutate(params, method)
        return params

    def _mutate(self, params: dict[str, Any], method: str = "") -> None:
        inner = [value for value in params.values() if isinstance(value, dict)]
        target = self.rng.choice([params, *inner])
        names = list(target) or [self._name()]
        match self.rng.randrange(8):
            case 0:
                target.pop(self.rng.choice(names), None)
            case 1:
                target[self._name(method)] = self.value()
            case 2 | 3:
                count = self.rng.randrange(3)
                listed: Any = {self._name(method): self.value(2) for _ in range(count)}
                name = self.rng.choice(
                    ("filter", "filter", "filter", "FILTER", "order", "select", "fields")
                )
                params[name] = list(listed) if name == "select" else listed
            case 4 | 5 if PARAMS.get(method):
                outer, _, inner = self.rng.choice(PARAMS[method]).partition(".")
                held = params.setdefault(outer, {}) if inner else params
                if isinstance(held, dict):
                    held[inner or outer] = self.value()
            case _:
                target[self.rng.choice(names)] = self.value()

    def _name(self, method: str = "") -> str:
        if self.rng.random() < 0.5:
            return self.rng.choice(OPERATORS) + self.rng.choice(COLUMNS.get(method, SOME_COLUMNS))
        return self.rng.choice(NAMES)

    def _method(self) -> str:
        odd: Sequence[str] = ("no.such", "batch", "", "a\0b", "9" * LONG, *UNPLAYED)
        groups: tuple[Sequence[str], ...] = (sorted(METHODS), KEEPING, odd)
        [names] = self.rng.choices(groups, (80, 15, 5))
        return self.rng.choice(names)

    # Doors

    def _call(self) -> Sent:
        portal, method = self._portal(), self._method()
        params = self.params(method)
        headers = {}
        token = self._access(portal)
        match self.rng.randrange(20):
            case 0:
                headers["Authorization"] = f"Bearer {token}"
            case 1:
                params["access_token"] = self.value()
            case _:
                params["auth"] = token
        return self._sent("rest", portal.url, f"/rest/{self._spelled(method)}", params, headers)

    def _webhook(self) -> Sent:
        portal, method = self._portal(), self._method()
        user = self.rng.choice((str(seed.ADMIN), "0", "9" * LONG, "\u0663"))
        code = self.rng.choice((seed.WEBHOOK_CODE, seed.WEBHOOK_CODE, "x", "\0"))
        path = f"/rest/{user}/{code}/{self._spelled(method)}"
        return self._sent("rest", portal.url, path, self.params(method))

    def _batch(self) -> Sent:
        portal = self._portal()
        commands = [self._command() for _ in range(self.rng.choice((0, 1, 3, 8, 52)))]
        cmd: Any = (
            commands
            if self.rng.random() < 0.5
            else {str(place): command for place, command in enumerate(commands, 1)}
        )
        if self.rng.random() < 0.1:
            cmd = self.value()
        params = {"cmd": cmd, "halt": self.rng.choice(VALUES), "auth": self._access(portal)}
        return self._sent("rest", portal.url, f"/rest/{self._spelled('batch')}", params)

    def _command(self) -> Any:
        if self.rng.random() < 0.1:
            return self.value()
        method = self._method()
        return f"{method}?{_query(self.params(method))}"

    def _token(self) -> Sent:
        world = self.sandbox.world
        issued = world.issue(seed.OUR_CLIENT_ID, seed.ALPHA, self._user())
        params: dict[str, Any] = {
            "grant_type": self.rng.choice(("refresh_token", "authorization_code", "x")),
            "client_id": seed.OUR_CLIENT_ID,
            "client_secret": seed.OUR_SECRET,
            "refresh_token": issued.refresh,
            "code": self.rng.choice(("x", *world.codes)),
        }
        if self.rng.random() < 0.5:
            self._mutate(params)
        return self._sent("oauth", world.oauth_url, "/oauth/token/", params)

    def _app_info(self) -> Sent:
        params = {"auth": self._access(self._portal())}
        return self._sent("rest", self.sandbox.world.oauth_url, "/rest/app.info", params)

    def _authorize(self) -> Sent:
        portal = self._portal()
        params = {"client_id": seed.OUR_CLIENT_ID, "state": self.value(), "as": self._user()}
        if self.rng.random() < 0.5:
            self._mutate(params)
        return self._sent("page", portal.url, "/oauth/authorize/", params)

    def _control(self) -> Sent:
        name = self.rng.choice(CONTROL)
        method = self.rng.choice(("GET", "POST", "DELETE"))
        kind = self.rng.choice((*Kind, "x"))
        params = {
            "log": {"since": "0"},
            "faults": {"kind": kind, "method": self._method(), "times": 1},
            "payment": {"portal": seed.ALPHA, "id": str(seed.PAYMENT)},
            "advance": {"seconds": "1"},
            "bucket": {"size": "1000000"},
            "removal": {"portal": seed.ALPHA},
        }.get(name, {})
        if params and self.rng.random() < 0.6:
            params[self.rng.choice(list(params))] = self.value()
        if name == "faults" and not self.faults:
            method = "GET"
        return self._sent(
            "control", self.sandbox.world.oauth_url, f"/_sandbox/{name}", params, method=method
        )

    def _page(self) -> Sent:
        portal = self._portal()
        path = self.rng.choice(PAGES)
        cookie = self.rng.choice(
            (*(str(self._user()) for _ in range(6)), "9" * LONG, "\u00b2", "\xff")
        )
        layouts = list(memory_of(self.sandbox.world).layouts.values())
        if layouts and self.rng.random() < 0.3:
            layout = self.rng.choice(layouts)
            path = f"/_host/layout/{layout.sid}/{self.rng.choice(ACTIONS)}"
            cookie = str(layout.user_id)
        params = {name: self.value() for name in ("name", "value", "tab", "user_id", "ids", "kind")}
        headers = {"Cookie": f"{cookie_name(portal)}={cookie}"}
        method = self.rng.choice(("GET", "GET", "POST"))
        return self._sent("page", portal.url, path, params, headers, method=method)

    def _v3(self) -> Sent:
        portal = self._portal()
        path = self.rng.choice(("profile", f"1/{seed.WEBHOOK_CODE}/profile", "", "\0", "a/b/c/d"))
        return self._sent("v3", portal.url, f"/rest/api/{path}", {"auth": self.value()})

    def _odd_path(self) -> Sent:
        server = self.rng.choice((self._portal().url, self.sandbox.world.oauth_url))
        method = self.rng.choice(("GET", "POST", "HEAD", "PUT", "OPTIONS"))
        return Sent("any", server, method, self.rng.choice(PATHS), {}, b"")

    # What doors share

    def _portal(self) -> Portal:
        return self.rng.choice(list(self.sandbox.world.portals.values()))

    def _user(self) -> int:
        if self.rng.random() < 0.6:
            return seed.ADMIN
        return int(
            self.rng.choice((seed.MANAGER, seed.MANAGER, seed.OWN_MANAGER, seed.READER, *range(9)))
        )

    def _access(self, portal: Portal) -> Any:
        if self.rng.random() < 0.03:
            return self.value()
        client_id = seed.OTHER_CLIENT_ID if self.rng.random() < 0.02 else seed.OUR_CLIENT_ID
        token = self.sandbox.world.issue(client_id, portal.member_id, self._user())
        if self.rng.random() < 0.02:
            token.expires = 0
        return token.access

    def _spelled(self, method: str) -> str:
        odd = (f"{method}.json", f"{method}/", method.upper(), f"/{method}", f"{method}.xml")
        return self.rng.choice(odd) if self.rng.random() < 0.1 else method

    def _sent(
        self,
        door: str,
        url: str,
        path: str,
        params: dict[str, Any],
        headers: dict[str, str] | None = None,
        method: str = "",
    ) -> Sent:
        headers, body, query = dict(headers or {}), b"", ""
        method = method or ("GET" if self.rng.random() < 0.1 else "POST")
        form = self.rng.random()
        if method == "GET":
            query = _query(params)
        elif form < 0.55:
            headers["Content-Type"], body = "application/json", encoded(params)
        elif form < 0.8:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            body = _query(params).encode()
        elif form < 0.9:
            headers["Content-Type"] = "multipart/form-data; boundary=xx"
            body = b"".join(map(_part, _flat(params))) + b"--xx--\r\n"
        else:
            headers["Content-Type"] = self.rng.choice(CONTENT_TYPES)
            body = self.rng.choice((*BODIES, encoded(params), _query(params).encode()))
            query = _query({"auth": params.get("auth")})
        safe = quote(path, safe="/%", errors="surrogatepass")
        return Sent(door, url, method, f"{safe}?{query}" if query else safe, headers, body)


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for name, inner in items:
            yield from _flat(inner, f"{prefix}[{name}]" if prefix else str(name))
    else:
        yield prefix, "" if value is None else str(value)


def _query(params: dict[str, Any]) -> str:
    return "&".join(
        f"{quote_plus(name, errors='surrogatepass')}={quote_plus(value, errors='surrogatepass')}"
        for name, value in _flat(params)
    )


def _part(pair: tuple[str, str]) -> bytes:
    name, value = (text.encode(errors="surrogatepass") for text in pair)
    return b'--xx\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (name, value)


def netloc(sent: Sent) -> str:
    return urlsplit(sent.url).netloc
