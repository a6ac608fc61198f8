"""Every address of the app, called by people without the right to: nothing is shown, changed or
kept, and each refusal says why. An address that is not in the table below fails."""

from __future__ import annotations

import re
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.apps import apps
from django.test import Client
from django.urls import URLPattern, URLResolver, reverse
from django.utils import timezone
from django.utils.html import strip_tags

from b24app import models
from b24app.identity import session
from payments import urls
from payments.approvals.requests import ask
from payments.bulk.dry_run import draft_ticked
from payments.models import Approval, Attempt, Policy, Run
from payments.offer import seal
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.payments import attempts, stage
from tests.payments.frames import Frame

pytestmark = pytest.mark.django_db

GET, POST, BOTH = ("GET",), ("POST",), ("GET", "POST")
SHOWN, REFUSED_KINDS = 200, (400, 401, 403, 404, 405, 409, 413)

OFFER = {"offer": "{offer}", "pay_system_id": str(seed.ACME_PAY), "note": "Made-up reason"}
DECISION = {"approval": "{approval}", "decision": "approve", "note": "Made-up reason"}
WAITING = {"attempt": "{attempt}", "note": "Made-up reason"}
SYSTEM = {
    "name": "Taken over",
    "handler": seed.ACME_HANDLER,
    "payer": "ORDER:1",
    "active": "on",
    "xml_id": "taken-over",
}
SYSTEM_ID = {"pay_system_id": seed.ACME_PAY}


@dataclass(frozen=True)
class Address:
    """`stranger` is the status for a colleague who may see none of it. What reads no body does the
    same whatever is posted."""

    methods: tuple[str, ...]
    stranger: int
    fields: dict[str, str] = field(default_factory=dict)
    args: dict[str, Any] = field(default_factory=dict)
    reads_body: bool = True
    keeps: bool = False  # A list of the person's own, which says of each why it cannot be paid.


RUN = {"run_id": "{run}"}
TABLE = {
    "payments:list": Address(GET, SHOWN),
    "payments:unpaid": Address(GET, SHOWN),
    "payments:question": Address(POST, 404, OFFER),
    "payments:pay": Address(POST, 404, OFFER),
    "payments:mark-question": Address(POST, 404, OFFER),
    "payments:mark": Address(POST, 404, OFFER),
    "payments:undo-question": Address(POST, 404, OFFER),
    "payments:undo": Address(POST, 404, OFFER),
    "payments:check": Address(POST, 404, OFFER),
    "payments:approvals": Address(GET, SHOWN),
    "payments:approvals-waiting": Address(GET, SHOWN),
    "payments:approval-question": Address(POST, 404, OFFER),
    "payments:approval-ask": Address(POST, 404, OFFER),
    "payments:approval-decision": Address(POST, 409, DECISION),
    "payments:approval-decide": Address(POST, 409, DECISION),
    "payments:policy": Address(BOTH, 403, {"version": "0", "undo_hours": "1"}),
    "payments:history": Address(GET, SHOWN),
    "payments:history-found": Address(GET, SHOWN),
    "payments:history-more": Address(GET, 404, {"before": "{attempt}"}),
    "payments:history-export": Address(POST, SHOWN, reads_body=False),
    "payments:history-print": Address(POST, SHOWN, reads_body=False),
    "payments:waiting": Address(GET, SHOWN),
    "payments:waiting-check": Address(POST, 403, WAITING),
    "payments:waiting-close": Address(POST, 403, WAITING),
    "payments:bulk": Address(GET, SHOWN),
    "payments:bulk_dry_run": Address(POST, SHOWN, {"payment": str(seed.PAYMENT)}, keeps=True),
    "payments:bulk_run": Address(GET, 404, args=RUN),
    "payments:bulk_start": Address(POST, 404, {"kind": "pay"}, args=RUN),
    "payments:bulk_step": Address(POST, 404, args=RUN, reads_body=False),
    "payments:bulk_pause": Address(POST, 404, args=RUN, reads_body=False),
    "payments:bulk_resume": Address(POST, 404, args=RUN, reads_body=False),
    "payments:bulk_stop": Address(POST, 404, args=RUN, reads_body=False),
    "payments:systems": Address(GET, 403),
    "payments:system-new": Address(BOTH, 403, SYSTEM),
    "payments:system": Address(BOTH, 403, SYSTEM, SYSTEM_ID),
    "payments:system-switch": Address(POST, 403, {"on": "no"}, SYSTEM_ID),
    "payments:system-delete": Address(BOTH, 403, args=SYSTEM_ID, reads_body=False),
    "payments:system-settings": Address(BOTH, 403, {"payer": "0", "shown": "x"}, SYSTEM_ID),
    "payments:provider-create": Address(POST, 403, reads_body=False),
    "payments:provider-ask-removal": Address(GET, 403),
    "payments:provider-remove": Address(POST, 403, reads_body=False),
    "payments:handler-new": Address(BOTH, 403, {"name": "Mine", "code": "mine"}),
    "payments:handler": Address(BOTH, 403, {"name": "Mine"}, {"handler_id": 1}),
    "payments:handler-delete": Address(BOTH, 403, args={"handler_id": 1}, reads_body=False),
    "payments:effective": Address(POST, 403, {"payment_id": str(seed.PAYMENT)}, SYSTEM_ID),
}
# Without a session: these have another proof, with tests of their own.
OPEN = {
    "home": Address(("GET", "HEAD", "POST"), 400),
    "checkout": Address(POST, 400),
    "bill": Address(GET, 404, args={"sealed": "x"}),
}
EVERY = TABLE | OPEN
# Reads only: they change nothing in a portal.
_READS = re.compile(r"(batch|profile|app\.info|.*\.(get|list|fields|current|admin))")


@dataclass
class Scene:
    """Max has begun something of everything in alpha, and beta has the same ids."""

    sandbox: Sandbox
    alpha: Portal
    row: models.Portal
    client: Client
    offer: str
    run: Run
    approval: Approval
    attempt: Attempt

    def frame(self, user_id: int, portal: Portal | None = None) -> Frame:
        return Frame(self.client, self.sandbox, portal or self.alpha, user_id)

    def filled(self, values: dict[str, Any]) -> dict[str, Any]:
        known = {
            "{offer}": self.offer,
            "{run}": self.run.pk,
            "{approval}": self.approval.pk,
            "{attempt}": self.attempt.pk,
        }
        return {name: known.get(value, value) for name, value in values.items()}

    def path(self, name: str) -> str:
        return reverse(name, kwargs=self.filled(EVERY[name].args))

    def send(self, name: str, method: str, headers: dict[str, str], **more: Any) -> Any:
        """With the fields of the table, or the body that `more` has."""
        path = self.path(name)
        if method == "GET":
            return self.client.get(path, self.filled(EVERY[name].fields), headers=headers)
        if method == "POST" and not more:
            more = {"data": self.filled(EVERY[name].fields)}
        if method == "POST":
            return self.client.post(path, headers=headers, **more)
        return self.client.generic(method, path, headers=headers)


@pytest.fixture
def scene(sandbox: Sandbox, alpha: Portal, beta: Portal, client: Client) -> Scene:
    alpha.bucket_size = beta.bucket_size = 10_000  # The tests are faster than people.
    row = stage.install(sandbox, alpha)
    stage.install(sandbox, beta)
    Policy.objects.create(portal=row, limits={"EUR": "1000"})
    max_ = stage.person(sandbox, row, seed.MANAGER)
    offer = stage.offer_of(max_)
    # Its name is easy to recognise in any page.
    approval = ask(max_, offer, pay_system_id=seed.ACME_PAY, pay_system_name="Acme Pay")
    attempt = attempts.handed_over(
        row,
        payment_id=seed.CASH_PAYMENT,
        account_number="secret-of-max",
        order_id=166,
        owner_id=seed.CASH_DEAL,
        sum=Decimal("4711.11"),
    )
    run = draft_ticked(max_, [seed.PAYMENT, seed.USD_PAYMENT])
    return Scene(sandbox, alpha, row, client, seal(offer), run, approval, attempt)


def kept(portal: models.Portal | None = None) -> list[Any]:
    """All rows of the payments' tables, of one portal or of all."""
    found: list[Any] = []
    for model in apps.get_app_config("payments").get_models():
        rows = model._default_manager.order_by("pk")
        names = {each.name for each in model._meta.get_fields()}
        if portal is not None and "portal" in names:
            rows = rows.filter(portal=portal)
        elif portal is not None and "run" in names:
            rows = rows.filter(run__portal=portal)
        found.append((model.__name__, list(rows.values())))
    return found


def state(portal: Portal) -> Any:
    parts = (portal.payments, portal.orders, portal.pay_systems, portal.handlers, portal.comments)
    return deepcopy((*parts, portal.items))


def written(sandbox: Sandbox, since: int) -> list[str]:
    """Calls that could change something."""
    names = [name for call in sandbox.log[since:] for name in call.methods]
    return [name for name in names if not _READS.fullmatch(name)]


def assert_refused(answer: Any, status: int | tuple[int, ...], what: str) -> None:
    wanted = status if isinstance(status, tuple) else (status,)
    text = content_of(answer)
    assert answer.status_code in wanted, (what, text)
    assert len(strip_tags(text).split()) > 5, f"{what}: a refusal says why"


def content_of(answer: Any) -> str:
    body: bytes = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return body.decode()


def hidden_words_in(answer: Any, *more: str) -> list[str]:
    text = content_of(answer).replace("\xa0", " ")
    return [word for word in ("secret-of-max", "4711.11", "4 711.11", *more) if word in text]


def takes_one_of_the_apps_ids(name: str) -> bool:
    """The portals share the ids of what Bitrix24 has; what the app made has ids of its own."""
    one = EVERY[name]
    return any(str(value).startswith("{") for value in (*one.fields.values(), *one.args.values()))


def named_in(patterns: Any, namespace: str = "") -> set[str]:
    found: set[str] = set()
    for one in patterns:
        if isinstance(one, URLResolver):
            inner = f"{namespace}{one.namespace}:" if one.namespace else namespace
            found |= named_in(one.url_patterns, inner)
        else:
            assert isinstance(one, URLPattern)
            assert one.name, f"{one.pattern} has no name"
            found.add(f"{namespace}{one.name}")
    return found


def each(table: dict[str, Address]) -> list[tuple[str, str]]:
    return [(name, method) for name, one in table.items() for method in one.methods]


def test_every_address_is_in_the_table() -> None:
    assert named_in(urls.urlpatterns) == set(EVERY)


# ---- without a session


def no_session(scene: Scene) -> str:
    return ""


def forged(scene: Scene) -> str:
    value = session.issue(stage.person(scene.sandbox, scene.row, seed.ADMIN))
    return value[:-3] + "AAA"


def expired(scene: Scene) -> str:
    person = stage.person(scene.sandbox, scene.row, seed.ADMIN)
    return session.sign(person, issued_at=timezone.now() - session.LIFETIME - timedelta(seconds=1))


def of_a_portal_without_the_app(scene: Scene) -> str:
    value = session.issue(stage.person(scene.sandbox, scene.row, seed.ADMIN))
    models.Portal.objects.filter(pk=scene.row.pk).update(uninstalled_at=timezone.now())
    return value


def ended(scene: Scene) -> str:
    value = session.issue(stage.person(scene.sandbox, scene.row, seed.ADMIN))
    models.Portal.objects.filter(pk=scene.row.pk).update(
        session_generation=scene.row.session_generation + 1
    )
    return value


@pytest.mark.parametrize(
    "carried", [no_session, forged, expired, of_a_portal_without_the_app, ended]
)
def test_without_a_session_nothing_is_asked_or_kept(scene: Scene, carried: Any) -> None:
    value = carried(scene)
    before, since = kept(), len(scene.sandbox.log)
    for name, method in each(TABLE):
        answer = scene.send(name, method, {"x-frame-session": value, "hx-request": "true"})
        assert_refused(answer, 401, name)
    assert len(scene.sandbox.log) == since
    assert kept() == before


# ---- a session, but not for this


def test_a_colleague_sees_and_does_nothing_of_it(scene: Scene) -> None:
    frame = scene.frame(seed.OWN_MANAGER)
    portal, since = state(scene.alpha), len(scene.sandbox.log)
    for name, method in each(TABLE):
        before = kept()
        answer = scene.send(name, method, frame.headers())
        if TABLE[name].stranger == SHOWN:
            assert answer.status_code == SHOWN, name
            assert not hidden_words_in(answer, "12 500", "12500", "163/1", "Office chairs"), name
        else:
            assert_refused(answer, TABLE[name].stranger, name)
        if not TABLE[name].keeps:
            assert kept() == before, name
        assert not written(scene.sandbox, since), name
    assert state(scene.alpha) == portal


def test_badges_tell_a_colleague_no_more_than_a_number(scene: Scene) -> None:
    headers = scene.frame(seed.OWN_MANAGER).headers()
    assert content_of(scene.send("payments:waiting", "GET", headers)) == ""
    # Filtering them for this person would cost a call to the portal each time.
    assert content_of(scene.send("payments:approvals-waiting", "GET", headers)) == "1"


@pytest.mark.parametrize("user_id", [seed.ADMIN, seed.MANAGER])
def test_a_person_of_another_portal_with_the_same_ids(
    scene: Scene, beta: Portal, user_id: int
) -> None:
    """They may do what they like at home, and nothing of it reaches the first portal."""
    frame = scene.frame(user_id, beta)
    before, portal = kept(scene.row), state(scene.alpha)
    for name, method in each(TABLE):
        since = len(scene.sandbox.log)
        answer = scene.send(name, method, frame.headers())
        if takes_one_of_the_apps_ids(name):
            assert_refused(answer, (403, 404), name)
        elif answer.status_code != SHOWN:
            assert_refused(answer, REFUSED_KINDS, name)
        assert not hidden_words_in(answer, "12 500"), name
        asked = scene.sandbox.log[since:]
        assert {call.member_id for call in asked} <= {seed.BETA, ""}, name
        assert not [call for call in asked if stage.PAY in call.methods], name
        assert kept(scene.row) == before, name
    assert state(scene.alpha) == portal


# ---- requests that no page sends


def test_other_http_methods_are_refused(scene: Scene) -> None:
    headers = scene.frame(seed.ADMIN).headers()
    before, since = kept(), len(scene.sandbox.log)
    every = {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
    for name, address in EVERY.items():
        for method in every - set(address.methods):
            answer = scene.send(name, method, headers)
            assert_refused(answer, 405, f"{method} {name}")
            assert answer["Allow"] == ", ".join(address.methods)
    assert len(scene.sandbox.log) == since
    assert kept() == before


FORM = "application/x-www-form-urlencoded"
# Shown again, with a message beside the field.
FORMS = {
    f"payments:{name}"
    for name in ("policy", "system", "system-new", "system-settings", "handler", "handler-new")
}
# Every field that these addresses read.
NAMES = re.findall(
    r"\S+",
    """
    offer pay_system_id note approval decision attempt payment payment_id q name code payer shown on
    version xml_id handler kind portal proof member_id BX_SYSTEM_PARAMS[SUM] user system outcome
    first last number before
""",
)
GARBAGE: dict[str, dict[str, Any]] = {
    "nothing": {"data": b"", "content_type": FORM},
    "bytes": {"data": bytes(range(256)) * 4, "content_type": FORM},
    "json": {"data": b'{"offer": 1, "payment": [271]}', "content_type": "application/json"},
    "not json": {"data": b"{", "content_type": "application/json"},
    "no multipart": {"data": b"--x\r\n", "content_type": "multipart/form-data; boundary=x"},
    "no boundary": {"data": b"x", "content_type": "multipart/form-data"},
    "too many": {"data": "&".join(f"a{n}=1" for n in range(2_000)), "content_type": FORM},
    "huge": {"data": "offer=" + "x" * 70_000, "content_type": FORM},
    "zeros": {"data": "&".join(f"{name}=%00" for name in NAMES), "content_type": FORM},
}


@pytest.mark.parametrize(
    "name", [name for name, one in EVERY.items() if "POST" in one.methods and one.reads_body]
)
def test_garbage_changes_nothing(scene: Scene, name: str) -> None:
    before, since, portal = kept(), len(scene.sandbox.log), state(scene.alpha)
    for user_id in (seed.ADMIN, seed.MANAGER):
        headers = scene.frame(user_id).headers()
        for body, sent in GARBAGE.items():
            answer = scene.send(name, "POST", headers, **sent)
            if answer.status_code == SHOWN and name in FORMS:
                assert re.search(r"field-error|message-alert|problem", content_of(answer)), body
            else:
                assert_refused(answer, REFUSED_KINDS, body)
    assert not written(scene.sandbox, since)
    assert state(scene.alpha) == portal
    assert kept() == before


JUNK = ("\0", "-1", "x" * 5_000, "9" * 30, "\N{CYRILLIC SMALL LETTER ZHE}")


@pytest.mark.parametrize("name", EVERY)
def test_one_field_of_garbage_breaks_nothing(scene: Scene, name: str) -> None:
    """Beside good ones, which lead past the first check."""
    address, path = EVERY[name], scene.path(name)
    fields = scene.filled(address.fields)
    headers = scene.frame(seed.MANAGER).headers()
    for method in set(address.methods) & set(BOTH):
        send = scene.client.get if method == "GET" else scene.client.post
        for wrong in (*fields, *(("before", "q", "number", "first") if method == "GET" else ())):
            for junk in JUNK:
                answer = send(path, {**fields, wrong: junk}, headers=headers)
                if answer.status_code != SHOWN:
                    assert_refused(answer, REFUSED_KINDS, f"{wrong}={junk[:9]}")
