"""Holds the state of the sandbox: portals, people, orders, payments, tokens.

The REST methods that read and change it are in `api/methods/`; `seed.py` builds its start. Take
`World.lock` before reading or changing anything.
"""

from __future__ import annotations

import itertools
import math
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Any

from sandbox.wire.loose import EAST
from sandbox.world.other_saves import OtherSave
from sandbox.world.removed import RemovedOAuth, RemovedRest
from sandbox.world.users import FIELD_SALES, HEAD_OFFICE, SALES
from sandbox.world.users import Role as Role
from sandbox.world.users import User as User

# CRM object types
DEAL, CONTACT, COMPANY, ORDER, SMART_INVOICE = 2, 3, 4, 14, 31

ACCESS_TOKEN_SECONDS = 3600
REFRESH_TOKEN_SECONDS = 180 * 24 * 3600
CODE_SECONDS = 30
DAY_SECONDS = 24 * 3600
# PAID_GRACE_PERIOD in the server's rest/lib/app.php.
PAID_GRACE_DAYS = 14


@dataclass
class Item:
    """A deal, an invoice, a company or a contact, whose title is its first and last name."""

    type_id: int
    id: int
    title: str
    responsible_id: int
    opportunity: Decimal
    currency: str
    company_id: int = 0
    contact_id: int = 0


@dataclass
class Handler:
    """A REST handler, registered by an application (or, with `app_id` empty, by a webhook)."""

    id: int
    code: str
    name: str
    app_id: str  # the client_id of the application
    sort: int = 100
    settings: dict[str, Any] = field(default_factory=dict)
    client_type: str = "b2c"


@dataclass
class PaySystem:
    id: int
    name: str
    action_file: str  # a REST handler's code, or a built-in one: cash, bill, paypal, ...
    person_type_id: int = 1
    active: bool = True
    registry: str = "ORDER"  # or CRM_INVOICE
    is_cash: str = "N"
    sort: int = 100
    description: str = ""
    xml_id: str = ""
    new_window: bool = False
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    # By payer type, for those that have their own settings.
    settings_of_payers: dict[int, dict[str, dict[str, Any]]] = field(default_factory=dict)


@dataclass
class Order:
    id: int
    account_number: str
    price: Decimal
    currency: str
    person_type_id: int = 1
    user_id: int = 0
    responsible_id: int = 1  # 0: no person; rights to the order depend on them alone
    canceled: bool = False
    locked_by: int | None = None  # who has it open in the shop's administration; no method asks
    date_insert: datetime = field(default_factory=lambda: datetime.now(UTC))
    # CRM objects the order is bound to: (type id, id). None means an order outside the CRM.
    bindings: list[tuple[int, int]] = field(default_factory=list)


@dataclass
class Payment:
    id: int
    order_id: int
    account_number: str
    sum: Decimal
    currency: str
    pay_system_id: int
    paid: bool = False
    date_paid: datetime | None = None
    emp_paid_id: int | None = None
    date_bill: datetime = field(default_factory=lambda: datetime.now(UTC))
    # PS_STATUS, PS_INVOICE_ID and the other PS_* fields, by their camelCase name in REST.
    provider_data: dict[str, Any] = field(default_factory=dict)
    company_id: int | None = None  # 0 after an update without it
    comments: str = ""
    times_paid: int = 0  # how often it changed to paid; a test proves by it that no one paid twice


@dataclass(frozen=True)
class TimelineComment:
    """A person's comment in the timeline of a CRM object; `owner` is its type and id."""

    id: int
    owner: tuple[int, int]
    author_id: int
    created: datetime
    text: str


@dataclass
class Application:
    """An application registered with the OAuth server."""

    client_id: str
    client_secret: str
    code: str  # equals client_id for a local application; "vendor.name" for one of the Marketplace
    title: str
    url: str
    install_url: str
    event_url: str
    scopes: tuple[str, ...]
    status: str = "L"  # of a new installation: see Installation.status


@dataclass
class Installation:
    """An application in one portal."""

    client_id: str
    id: int  # the portal's local id of the application: ID in app.info
    application_token: str
    version: int = 1
    # Local, Free, Paid, Demo, Trial, Subscription.
    status: str = "L"
    # When the trial, or what was paid for, ends.
    paid_until: float | None = None
    finished: bool = False
    removed: bool = False
    removed_at: float = 0.0
    allowed_users: frozenset[int] | None = None  # None: all people of the portal may use it
    placements: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    scopes: tuple[str, ...] = ()

    def days_left(self, now: float) -> int | None:
        """The whole days until it must be paid for; negative after that; None if it never ends."""
        if self.paid_until is None or self.status in "LF":
            return None
        return math.floor((self.paid_until - now) / DAY_SECONDS)

    def is_payment_expired(self, now: float) -> bool:
        days = self.days_left(now)
        return days is not None and days < 0

    def is_unpaid(self, now: float) -> bool:
        """Whether the OAuth server and the portal refuse its requests.

        A paid application still works for some days after its last paid day; a trial does not.
        """
        days = self.days_left(now)
        return days is not None and days < (-PAID_GRACE_DAYS if self.status == "P" else 0)


@dataclass
class Token:
    """One access token with the refresh token of its chain."""

    access: str
    refresh: str
    client_id: str
    member_id: str
    user_id: int
    scopes: tuple[str, ...]  # an update with new scopes does not change those of older tokens
    expires: float
    refresh_expires: float
    refresh_spent: bool = False
    revoked: bool = False
    acts_as: int | None = None  # the system user in place of the dismissed person


@dataclass(frozen=True)
class TokenVerdict:
    """A portal's cached answer of the OAuth server about a token."""

    is_valid: bool
    until: float


@dataclass(frozen=True)
class Delivery:
    """One event for one handler: the address, and the fields to POST, every leaf a string."""

    url: str
    fields: dict[str, Any]


@dataclass
class Webhook:
    user_id: int
    code: str
    scopes: tuple[str, ...]


@dataclass
class Portal:
    member_id: str
    url: str  # scheme://host[:port], no trailing slash
    title: str
    language: str = "en"
    zone: tzinfo = EAST  # the server's: PHP's default
    users: dict[int, User] = field(default_factory=dict)
    # Each department's parent; 0 for the highest.
    departments: dict[int, int] = field(
        default_factory=lambda: {HEAD_OFFICE: 0, SALES: HEAD_OFFICE, FIELD_SALES: SALES}
    )
    items: dict[tuple[int, int], Item] = field(default_factory=dict)
    handlers: dict[int, Handler] = field(default_factory=dict)
    pay_systems: dict[int, PaySystem] = field(default_factory=dict)
    orders: dict[int, Order] = field(default_factory=dict)
    payments: dict[int, Payment] = field(default_factory=dict)
    comments: list[TimelineComment] = field(default_factory=list)
    installations: dict[str, Installation] = field(default_factory=dict)  # by client_id
    webhooks: list[Webhook] = field(default_factory=list)
    # What applications store by app.option.set and user.option.set, by client_id and person.
    app_options: dict[str, dict[str, Any]] = field(default_factory=dict)
    user_options: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    # Switches between the replies of different builds and portals.
    older_build: bool = False
    sends_application_token: bool = True
    commercial_plan: bool = True
    deleted: bool = False
    # The portal's verdicts on tokens, kept for an hour; None where it asks the OAuth server always.
    token_cache: dict[str, TokenVerdict] | None = None
    removed_rest: RemovedRest = RemovedRest.APPLICATION_NOT_FOUND
    removed_oauth: RemovedOAuth = RemovedOAuth.NOT_INSTALLED
    other_saves: list[OtherSave] = field(default_factory=list)  # begun by others, not yet ended
    payment_save_fails: bool = False  # a changed payment is not saved: pay.payment only logs it
    batch_forbidden: frozenset[str] = frozenset()  # methods that a batch refuses
    bucket_size: int = 50
    bucket_drain: float = 2.0  # requests a second
    operating_limit: float = 420.0  # seconds that a method may run within ten minutes
    bans_for_operating: bool = False  # as the newest builds: five minutes, and `batch` counts
    seconds_of: dict[str, float] = field(default_factory=dict)  # how long calls of a method take

    def payments_of(self, type_id: int, item_id: int) -> list[Payment]:
        orders = {o.id for o in self.orders.values() if (type_id, item_id) in o.bindings}
        return [p for p in self.payments.values() if p.order_id in orders]

    def may_read(self, user: User, item: Item) -> bool:
        if user.role in (Role.EXTRANET, Role.DISMISSED):
            return False
        return user.is_admin or user.sees_all or item.responsible_id == user.id

    def may_update(self, user: User, item: Item) -> bool:
        return self.may_read(user, item) and user.may_change_items


class World:
    """The whole state of a sandbox. `advance()` moves its clock, so that tokens expire at will."""

    def __init__(self, oauth_url: str) -> None:
        self.oauth_url = oauth_url
        self.portals: dict[str, Portal] = {}  # by member_id
        self.applications: dict[str, Application] = {}  # by client_id
        self.tokens: dict[str, Token] = {}  # by access token
        self.codes: dict[str, Token] = {}  # authorization codes
        self.lock = threading.RLock()
        self.strict_rotation = True  # a refresh also kills the access token issued before it
        self.refresh_once = True  # a refresh token works once; the documentation does not say
        # Events for handlers collect in `outbox` until a Courier sets `send`.
        self.outbox: list[Delivery] = []
        self.send: Callable[[Delivery], None] | None = None
        self._offset = 0.0
        self._ids = itertools.count(1000)

    def now(self) -> float:
        return time.time() + self._offset

    def advance(self, seconds: float) -> None:
        self._offset += seconds

    def next_id(self) -> int:
        return next(self._ids)

    def portal_at(self, netloc: str) -> Portal | None:
        """Returns the portal at this host[:port], or None."""
        for portal in self.portals.values():
            if portal.url.split("://", 1)[1] == netloc:
                return portal
        return None

    def issue(
        self, client_id: str, member_id: str, user_id: int, *, acts_as: int | None = None
    ) -> Token:
        """Issues a new access and refresh token; each opening of a frame and each code gets one."""
        installation = self.portals[member_id].installations.get(client_id)
        token = Token(
            access=secrets.token_hex(35),
            refresh=secrets.token_hex(35),
            client_id=client_id,
            member_id=member_id,
            user_id=user_id,
            scopes=installation.scopes if installation else (),
            expires=self.now() + ACCESS_TOKEN_SECONDS,
            refresh_expires=self.now() + REFRESH_TOKEN_SECONDS,
            acts_as=acts_as,
        )
        self.tokens[token.access] = token
        return token
