"""Events: api-reference/events/, api-reference/common/events/ and the server's rest/lib/event/."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from typing import Any
from urllib.parse import parse_qsl

import pytest

from sandbox.world import events, seed
from sandbox.world.installing import (
    begin_installation,
    finish_installation,
    pay,
    uninstall,
    update,
)
from sandbox.world.world import DAY_SECONDS, Delivery
from tests.sandbox.asking import Refusal, ask, by_webhook, refusal_in, refused
from tests.sandbox.wire import PAY, THE_PAYMENT, Wire, in_process

URL = "https://pay.example.com/event/"
SAVED = {"event": "OnPaymentEntitySaved", "handler": URL}
WAIT = 10  # seconds for another thread, far more than it needs


def bind(wire: Wire, *names: str, user: int = seed.ADMIN, **extra: Any) -> None:
    for name in names:
        params = {"event": name, "handler": URL, **extra}
        assert ask(wire, "event.bind", params, user=user) is True


def sent(wire: Wire) -> list[dict[str, Any]]:
    return [delivery.fields for delivery in wire.sandbox.world.outbox]


def names_sent(wire: Wire) -> list[str]:
    return [fields["event"] for fields in sent(wire)]


# What is sent


def test_a_saved_payment_is_sent_to_the_bound_handler() -> None:
    """sale/lib/rest/restmanager.php: only the id; api-reference/events/index.md: the envelope."""
    wire = in_process()
    bind(wire, "onPaymentEntitySaved")
    ask(wire, PAY, THE_PAYMENT, user=seed.MANAGER)
    [fields] = sent(wire)
    installation = wire.alpha.installations[seed.OUR_CLIENT_ID]
    assert fields["event"] == "ONPAYMENTENTITYSAVED"
    assert fields["data"] == {"FIELDS": {"ID": "271"}}
    assert fields["event_handler_id"].isdigit()
    assert fields["ts"].isdigit()
    auth = fields["auth"]
    assert auth["application_token"] == installation.application_token
    assert (auth["member_id"], auth["user_id"]) == (seed.ALPHA, str(seed.MANAGER))
    assert auth["domain"] == "alpha.example.com"
    assert auth["client_endpoint"] == "https://alpha.example.com/rest/"
    assert auth["server_endpoint"] == "https://oauth.bitrix.info/rest/"
    assert auth["expires_in"] == "3600"
    assert auth["scope"] == "crm,sale,pay_system,placement,user_brief"
    assert "refresh_token" not in auth


def test_the_token_in_an_event_is_of_the_person_who_caused_it() -> None:
    """api-reference/events/event-bind.md: auth_type 0 is the person who caused the event."""
    wire = in_process()
    bind(wire, "onPaymentEntitySaved")
    ask(wire, PAY, THE_PAYMENT, user=seed.MANAGER)
    token = wire.sandbox.world.tokens[sent(wire)[0]["auth"]["access_token"]]
    assert wire.call("profile", token=token).json()["result"]["ID"] == str(seed.MANAGER)


def test_a_handler_bound_to_a_person_gets_that_persons_token() -> None:
    """event-bind.md: auth_type."""
    wire = in_process()
    bind(wire, "onPaymentEntitySaved", auth_type=seed.SETTINGS_ADMIN)
    ask(wire, PAY, THE_PAYMENT, user=seed.MANAGER)
    assert sent(wire)[0]["auth"]["user_id"] == str(seed.SETTINGS_ADMIN)


@pytest.mark.parametrize(
    ("method", "params"),
    [
        (PAY, THE_PAYMENT),
        ("crm.item.payment.pay", {"id": seed.PAYMENT}),
        ("sale.payment.update", {"id": seed.PAYMENT, "fields": {"paySystemId": 11, "paid": "Y"}}),
    ],
)
def test_a_payment_sends_only_events_of_saving(method: str, params: dict[str, Any]) -> None:
    """sale/lib/rest/restmanager.php: the list of events; order events go with it."""
    wire = in_process()
    bind(wire, "OnPaymentEntitySaved", "OnOrderEntitySaved", "OnSaleOrderSaved")
    ask(wire, method, params, user=seed.ADMIN)
    assert names_sent(wire) == [
        "ONPAYMENTENTITYSAVED", "ONORDERENTITYSAVED", "ONSALEORDERSAVED",
    ]  # fmt: skip
    assert sent(wire)[2]["data"] == {"FIELDS": {"ID": "163", "XML_ID": "bx_163", "ACTION": "save"}}


def test_an_equal_value_sends_no_event() -> None:
    """main/lib entity: isChanged."""
    wire = in_process()
    bind(wire, "OnPaymentEntitySaved")
    ask(wire, "crm.item.payment.unpay", {"id": seed.PAYMENT}, user=seed.ADMIN)
    assert sent(wire) == []


def test_deleted_payment() -> None:
    """sale/lib/rest/restmanager.php: OnPaymentDeleted."""
    wire = in_process()
    bind(wire, "OnPaymentDeleted")
    ask(wire, "sale.payment.delete", {"id": seed.PAYMENT}, user=seed.ADMIN)
    assert sent(wire)[0]["data"] == {"FIELDS": {"ID": "271"}}


def test_no_event_is_sent_before_the_installation_is_finished() -> None:
    """settings/app-installation/installation-finish.md."""
    wire = in_process()
    bind(wire, "OnPaymentEntitySaved")
    wire.alpha.installations[seed.OUR_CLIENT_ID].finished = False
    ask(wire, PAY, THE_PAYMENT, user=seed.MANAGER)
    assert sent(wire) == []


def test_another_portals_handler_gets_no_event() -> None:
    """api-reference/events/index.md: a binding belongs to one portal."""
    wire = in_process()
    installation = wire.beta.installations[seed.OUR_CLIENT_ID]
    installation.events.append(
        {"id": 1, "event": "ONPAYMENTENTITYSAVED", "handler": URL, "auth_type": 0}
    )
    ask(wire, PAY, THE_PAYMENT, user=seed.MANAGER)
    assert sent(wire) == []


# Installation, update, removal


def test_the_event_of_an_installation_has_a_refresh_token() -> None:
    """api-reference/common/events/on-app-install.md."""
    wire = in_process()
    wire.alpha.installations[seed.OUR_CLIENT_ID].finished = False
    bind(wire, "OnAppInstall")
    finish_installation(wire.sandbox.world, wire.alpha, seed.OUR_CLIENT_ID, user_id=seed.ADMIN)
    [fields] = sent(wire)
    assert fields["data"] == {
        "VERSION": "1", "ACTIVE": "Y", "INSTALLED": "Y", "LANGUAGE_ID": "en",
    }  # fmt: skip
    token = wire.sandbox.world.tokens[fields["auth"]["access_token"]]
    assert fields["auth"]["refresh_token"] == token.refresh
    finish_installation(wire.sandbox.world, wire.alpha, seed.OUR_CLIENT_ID, user_id=seed.ADMIN)
    assert len(sent(wire)) == 1, "finishing twice is finishing once"


def test_an_update_sends_its_event_and_drops_the_binding_of_the_installation() -> None:
    """api-reference/common/events/on-app-update.md; UpdateApp in rest_util.php."""
    wire = in_process()
    bind(wire, "OnAppInstall")
    bind(wire, "OnAppUpdate")
    update(wire.sandbox.world, wire.alpha, seed.OUR_CLIENT_ID, user_id=seed.ADMIN)
    [fields] = sent(wire)
    assert fields["data"] == {"PREVIOUS_VERSION": "1", "VERSION": "2", "LANGUAGE_ID": "en"}
    assert "refresh_token" in fields["auth"]
    assert [row["event"] for row in ask(wire, "event.get", user=seed.ADMIN)] == ["ONAPPUPDATE"]
    assert ask(wire, "app.info", user=seed.ADMIN)["VERSION"] == 2


def test_a_payment_for_the_application_sends_its_event_without_a_token() -> None:
    """api-reference/common/events/on-app-payment.md."""
    wire = in_process()
    bind(wire, "OnAppPayment")
    until = wire.sandbox.world.now() + 28.5 * DAY_SECONDS
    pay(wire.sandbox.world, wire.alpha, seed.OUR_CLIENT_ID, until=until)
    [fields] = sent(wire)
    assert fields["data"] == {
        "CODE": seed.OUR_CLIENT_ID, "VERSION": "1", "STATUS": "P", "PAYMENT_EXPIRED": "N",
        "DAYS": "28",
    }  # fmt: skip
    assert "access_token" not in fields["auth"]


@pytest.mark.parametrize("clean", [True, False])
def test_the_event_of_a_removal_has_no_token(clean: bool) -> None:
    """api-reference/common/events/on-app-uninstall.md; sendAuth false in rest_provider.php."""
    wire = in_process()
    bind(wire, "OnAppUninstall")
    token = wire.token()
    world = wire.sandbox.world
    uninstall(world, wire.alpha, seed.OUR_CLIENT_ID, user_id=seed.ADMIN, clean=clean)
    [fields] = sent(wire)
    assert fields["data"] == {"LANGUAGE_ID": "en", "CLEAN": "1" if clean else "0"}
    assert fields["auth"].keys() == {
        "domain", "server_endpoint", "client_endpoint", "member_id", "application_token",
    }  # fmt: skip
    assert wire.call("profile", token=token).status_code == 401
    assert (seed.ACME_PAY in wire.alpha.pay_systems) is not clean, (
        "onRestAppDelete: only when clean"
    )
    assert seed.OTHER_PAY in wire.alpha.pay_systems


def test_a_token_from_before_a_removal_stays_revoked() -> None:
    """A new installation has a new id, application token and no bindings."""
    wire = in_process()
    world, old = wire.sandbox.world, wire.token()
    bind(wire, "OnAppUninstall")
    uninstall(world, wire.alpha, seed.OUR_CLIENT_ID, user_id=seed.ADMIN)
    begin_installation(world, wire.alpha, seed.OUR_CLIENT_ID)
    assert wire.call("profile", token=old).status_code == 401
    assert wire.call("event.get", token=wire.token(seed.ADMIN)).json()["result"] == []


# Binding


def test_bind_get_unbind() -> None:
    """event-bind.md, event-get.md: the name in capitals, auth_type a string, offline a number."""
    wire = in_process()
    bind(wire, "OnPaymentEntitySaved")
    assert ask(wire, "event.get", user=seed.ADMIN) == [
        {"event": "ONPAYMENTENTITYSAVED", "handler": URL, "auth_type": "0", "offline": 0}
    ]
    assert ask(wire, "event.unbind", SAVED, user=seed.ADMIN) == {"count": 1}
    assert ask(wire, "event.unbind", SAVED, user=seed.ADMIN) == {"count": 0}


def test_other_people_than_administrators_bind_for_themselves() -> None:
    """eventBind in rest/lib/api/event.php."""
    wire = in_process()
    bind(wire, "OnPaymentEntitySaved", user=seed.MANAGER)
    bind(wire, "OnPaymentEntitySaved")
    assert [row["auth_type"] for row in ask(wire, "event.get", user=seed.MANAGER)] == ["3"]
    assert [row["auth_type"] for row in ask(wire, "event.get", user=seed.ADMIN)] == ["3", "0"]
    as_text = {**SAVED, "auth_type": str(seed.MANAGER)}
    assert refused(wire, "event.unbind", as_text, user=seed.MANAGER).code == "ACCESS_DENIED"
    own = {**SAVED, "auth_type": seed.MANAGER}
    assert ask(wire, "event.unbind", own, user=seed.MANAGER) == {"count": 1}
    assert len(ask(wire, "event.get", user=seed.ADMIN)) == 1


def test_an_identical_binding_is_refused() -> None:
    """eventBind: EventTable's unique key."""
    wire = in_process()
    bind(wire, "OnPaymentEntitySaved")
    assert refused(wire, "event.bind", SAVED, user=seed.ADMIN) == Refusal(
        400, "ERROR_CORE", "Unable to set event handler: Handler already binded"
    )


def test_an_event_of_a_missing_scope_is_refused() -> None:
    """eventBind searches the scopes of the token only."""
    wire = in_process()
    wire.alpha.installations[seed.OUR_CLIENT_ID].scopes = ("crm",)
    assert refused(wire, "event.bind", SAVED, user=seed.ADMIN).code == "ERROR_EVENT_NOT_FOUND"
    assert "ONPAYMENTENTITYSAVED" not in ask(wire, "events", user=seed.ADMIN)
    bind(wire, "OnAppInstall")


@pytest.mark.parametrize(
    "name",
    ["OnCrmDealAdd", "OnAppPayment", "OnSubscriptionRenew", "OnAppMethodConfirm", "OnOfflineEvent"],
)
def test_events_that_the_sandbox_does_not_send_can_be_bound(name: str) -> None:
    """rest_provider.php, event.php and events.md."""
    wire = in_process()
    bind(wire, name)
    assert name.upper() in ask(wire, "events", user=seed.ADMIN)


def test_the_offline_event_cannot_be_bound_offline() -> None:
    """event.php: disableOffline."""
    params = {"event": "OnOfflineEvent", "event_type": "offline"}
    assert refused(in_process(), "event.bind", params, user=seed.ADMIN) == Refusal(
        400, "ERROR_ARGUMENT", "Offline event cannot be registered for this event."
    )


@pytest.mark.parametrize(
    ("params", "listed"),
    [
        ({}, {"ONAPPTEST", "ONCRMDEALADD"}),
        ({"scope": ""}, {"ONAPPTEST"}),
        ({"SCOPE": "sale", "FULL": True}, {"ONORDERDELETED"}),
        ({"full": "1"}, {"ONAPPTEST", "ONCRMDEALADD", "ONORDERDELETED", "ONTASKADD"}),
        ({"full": "0"}, {"ONAPPTEST", "ONCRMDEALADD"}),
    ],
)
def test_events_are_listed_by_scope(params: dict[str, str], listed: set[str]) -> None:
    """event.php, eventsList: SCOPE overrides FULL, and both the scopes of the token."""
    wire = in_process()
    wire.alpha.installations[seed.OUR_CLIENT_ID].scopes = ("crm",)
    found = set(ask(wire, "events", params, user=seed.MANAGER))
    assert found & {"ONAPPTEST", "ONCRMDEALADD", "ONORDERDELETED", "ONTASKADD"} == listed


def test_an_offline_binding_is_listed_and_gets_no_events() -> None:
    """event-get.md; api-reference/events/offline-events.md."""
    wire = in_process()
    params = {"event": "OnPaymentEntitySaved", "event_type": "offline"}
    assert ask(wire, "event.bind", params, user=seed.ADMIN) is True
    assert ask(wire, "event.get", user=seed.ADMIN) == [
        {"event": "ONPAYMENTENTITYSAVED", "connector_id": "", "offline": 1}
    ]
    ask(wire, PAY, THE_PAYMENT, user=seed.MANAGER)
    assert sent(wire) == []
    assert ask(wire, "event.unbind", params, user=seed.ADMIN) == {"count": 1}


@pytest.mark.parametrize("method", ["event.bind", "event.unbind", "event.get", "event.test"])
def test_event_methods_refuse_webhooks(method: str) -> None:
    """AuthTypeException in rest/lib/api/event.php."""
    refusal = refusal_in(by_webhook(in_process(), method))
    assert (refusal.status, refusal.code) == (403, "WRONG_AUTH_TYPE")


def test_event_test_calls_the_handler() -> None:
    """api-reference/events/test-handler.md; eventTest returns 1."""
    wire = in_process()
    bind(wire, "OnAppTest")
    assert ask(wire, "event.test", {"any": "thing"}, user=seed.ADMIN) == 1
    assert sent(wire)[0]["data"] == {"QUERY": {"any": "thing"}, "LANGUAGE_ID": "en"}


# Delivery


Posted = Queue[tuple[str, str, str]]


@contextmanager
def a_handler(status: int = 200) -> Iterator[tuple[str, Posted]]:
    """Serves a handler of events; yields its address and its requests: path, content type, body."""
    posted: Posted = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            posted.put((self.path, self.headers["Content-Type"], body))
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Logs nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/event/?from=b24", posted
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def a_courier(wire: Wire) -> Iterator[events.Courier]:
    courier = events.Courier(wire.sandbox.world)
    try:
        yield courier
    finally:
        courier.stop()


def test_the_body_is_a_form_with_brackets() -> None:
    """api-reference/events/index.md: application/x-www-form-urlencoded, as PHP nests it."""
    fields = {"event": "X", "data": {"FIELDS": {"ID": "271"}}, "auth": {"domain": "a b&c"}}
    body = events.form_body(fields)
    assert body == b"event=X&data%5BFIELDS%5D%5BID%5D=271&auth%5Bdomain%5D=a+b%26c"


def test_the_courier_posts_each_event_once_even_after_an_error() -> None:
    """api-reference/events/index.md: there is no second attempt."""
    wire = in_process()
    with a_handler(status=500) as (url, posted), a_courier(wire) as courier:
        params = {"event": "OnPaymentEntitySaved", "handler": url}
        ask(wire, "event.bind", params, user=seed.ADMIN)
        ask(wire, PAY, THE_PAYMENT, user=seed.MANAGER)
        path, content_type, body = posted.get(timeout=WAIT)
        courier.stop()
        assert posted.empty()
    assert (path, content_type) == ("/event/?from=b24", "application/x-www-form-urlencoded")
    assert dict(parse_qsl(body))["data[FIELDS][ID]"] == "271"
    assert sent(wire) == []


def test_the_courier_continues_after_an_unreachable_handler() -> None:
    """api-reference/events/index.md: an event that cannot be delivered is lost."""
    wire = in_process()
    with a_handler() as (url, posted), a_courier(wire):
        for handler in ("http://127.0.0.1:1/", url):
            params = {"event": "OnPaymentEntitySaved", "handler": handler}
            ask(wire, "event.bind", params, user=seed.ADMIN)
        ask(wire, PAY, THE_PAYMENT, user=seed.MANAGER)
        assert posted.get(timeout=WAIT)


@pytest.mark.parametrize(
    "url", ["http://192.0.2.1/", "https://127.0.0.1/", "http://[2001:db8::1]/", "ftp://127.0.0.1/"]
)
def test_no_event_leaves_this_machine(url: str) -> None:
    """The sandbox's own rule: it never calls a handler on another machine."""
    with pytest.raises(ValueError, match="loopback"):
        events.post(Delivery(url, {"event": "X"}))
