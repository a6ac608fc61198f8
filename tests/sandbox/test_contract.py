"""The sandbox and the app keep to the official method schemas; each difference has a reason."""

from __future__ import annotations

import inspect
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from b24app.rest import client as b24client
from b24app.tokens.clients import user_client
from payments import gateway
from payments.gateway import setup_reads, setup_writes
from payments.gateway.setup_types import Registry, Setting
from sandbox.api import rest
from sandbox.api.registry import METHODS, Method
from sandbox.server.app import Sandbox
from sandbox.tools.contract import NAMING, TABLE, paths, type_of
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.b24app.portal_posts import install
from tests.b24app.working import all_done
from tests.sandbox.enough import COMMENT, ENOUGH, EVENT, HANDLER, TAB
from tests.sandbox.wire import Wire, in_process

CONTRACT = tomllib.loads(TABLE.read_text())
DOCUMENTED: Mapping[str, Mapping[str, Mapping[str, str]]] = CONTRACT["methods"]
# Methods without a schema; FACTS of the documentation's pages are tested one by one.
WITHOUT_SCHEMA = {
    "app.info", "app.option.get", "app.option.set", "crm.orderentity.getfields",
    "crm.persontype.list", "event.get", "event.test", "events", "feature.get", "methods",
    "placement.bind", "profile", "sale.paysystem.handler.list", "scope", "server.time",
    "user.access", "user.admin", "user.current", "user.option.get", "user.option.set",
}  # fmt: skip

OPERATORS = "!=<>@%~?"
# A difference in what the app sends begins with this word.
SENT = "sent "


@pytest.fixture
def wire() -> Wire:
    """A portal with a comment, a bound event, a bound tab, and a handler without a pay system."""
    wire = in_process()
    _call(wire, "crm.timeline.comment.add", {"fields": COMMENT})
    _call(wire, "event.bind", {**EVENT, "auth_type": seed.ADMIN})
    _call(wire, "placement.bind", {**TAB, "TITLE": "Pay"})
    _call(wire, "sale.paysystem.handler.add", {**HANDLER, "CODE": "unused"})
    return wire


def _call(wire: Wire, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
    answer = wire.call(method, dict(params), token=wire.token(seed.ADMIN))
    assert answer.status_code < 500, answer.text
    envelope: dict[str, Any] = answer.json()
    return envelope


def test_every_method_of_the_sandbox_is_in_the_table_or_has_no_schema() -> None:
    played = {name for name in METHODS if not name.startswith("test.")}
    assert played - WITHOUT_SCHEMA == set(DOCUMENTED) == set(ENOUGH)
    assert played >= WITHOUT_SCHEMA


@pytest.mark.parametrize("method", DOCUMENTED)
def test_the_sandbox_answers_as_documented(wire: Wire, method: str) -> None:
    answer = _call(wire, method, ENOUGH[method])
    if "error" in answer:
        found = {f"refused as {answer['error']}"}
    else:
        found = set(_differences(answer["result"], DOCUMENTED[method].get("result", {})))
    found |= set(_accepted_without(method))
    assert found == {one for one in _explained(method) if not one.startswith(SENT)}


def _explained(method: str) -> set[str]:
    listed = CONTRACT["differences"].get(method, {})
    assert all(listed.values()), "each has its reason"
    return {one for each in listed for one in _expanded(each)}


def _expanded(difference: str) -> Iterator[str]:
    """Yields `a.b is missing` and `a.c is missing` for `a.{b,c} is missing`."""
    braces = re.fullmatch(r"(.*)\{(.*)\}(.*)", difference)
    if braces is None:
        yield difference
        return
    yield from (f"{braces[1]}{one}{braces[3]}" for one in braces[2].split(","))


def _differences(result: Any, documented: Mapping[str, str]) -> Iterator[str]:
    """Yields documented keys that the result lacks, and those of another type. A null fits all."""
    found = dict(paths(result))
    for path, kind in documented.items():
        if path in found and found[path] != kind and kind != "any":
            yield f"{path} is {found[path]}"
        elif path not in found and not _is_null(result, path):
            yield f"{path} is missing"


def _is_null(result: Any, path: str) -> bool:
    """Returns whether the value at this path, or above it, is null or an empty list."""
    value = result
    for step in path.removeprefix("result").replace("[]", ".[]").split(".")[1:]:
        if value is None or value == []:
            return True
        value = (
            value[0] if step == "[]" else value.get(step, ...) if isinstance(value, dict) else ...
        )
        if value is ...:
            return False
    return value is None or value == []


def _accepted_without(method: str) -> Iterator[str]:
    """Yields each required parameter that the sandbox does not demand, or refuses otherwise than
    `missing` in the table says."""
    for name, kind in DOCUMENTED[method].get("params", {}).items():
        if not kind.endswith("!"):
            continue
        answer = _call(in_process(), method, _without(ENOUGH[method], name))
        code = CONTRACT["missing"][_family(method)]["code"]
        if answer.get("error") is None:
            yield f"{name} is not demanded"
        elif str(answer["error"]) != code:
            yield f"{name} is refused as {answer['error']}"


def _without(params: Mapping[str, Any], name: str) -> dict[str, Any]:
    outer, _dot, inner = name.partition(".")
    kept = {key: value for key, value in params.items() if key != outer}
    if inner and isinstance(params.get(outer), dict):
        kept[outer] = {key: value for key, value in params[outer].items() if key != inner}
    return kept


def _family(method: str) -> str:
    """Returns the longest beginning of the method's name that has a section in `missing`."""
    families: Mapping[str, Any] = CONTRACT["missing"]
    return max((one for one in families if method.startswith(one)), key=len)


# What the app sends


@pytest.mark.django_db
def test_the_app_sends_what_is_documented(
    client: Client, sandbox: Sandbox, alpha: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    run = rest._Calls.run

    def recorded(calls: rest._Calls, method: Method, params: dict[str, Any]) -> Any:
        sent[method.name].append(params)
        return run(calls, method, params)

    monkeypatch.setattr(rest._Calls, "run", recorded)
    alpha.bucket_size = 1_000
    portal = install(client, sandbox, alpha)
    all_done()
    call_command("doctor", alpha.url.removeprefix("https://"), stdout=StringIO())
    _use_the_whole_gateway(user_client(portal, seed.ADMIN))
    assert set(sent) == _named_in_the_app()
    for method in sent.keys() & DOCUMENTED.keys():
        documented = DOCUMENTED[method].get("params", {})
        names = set(DOCUMENTED[method].get("columns", {}).get("names", "").split())
        found = {
            f"{SENT}{each}"
            for params in sent[method]
            for each in (*_wrong(params, documented), *_misnamed(params, names))
        }
        explained = {one for one in _explained(method) if one.startswith(SENT)}
        assert (method, found) == (method, explained)


def _use_the_whole_gateway(client: b24client.Client) -> None:
    deal, customer = gateway.Owner(gateway.DEAL, seed.DEAL), gateway.Owner(gateway.COMPANY, 61)
    queries: tuple[b24client.Query[Any], ...] = (
        gateway.readable_items(gateway.DEAL, [seed.DEAL]),
        gateway.cards(gateway.DEAL, [seed.DEAL]),
        gateway.customers(gateway.COMPANY, [seed.COMPANY]),
        gateway.deals_of(customer),
        gateway.order(seed.ORDER),
        gateway.orders([seed.ORDER]),
        gateway.orders_numbered("163"),
        gateway.order_links([seed.ORDER]),
        gateway.order_links_of(deal),
        gateway.pay_systems(),
        gateway.rest_handlers(),
        gateway.order_right(),
        gateway.may_read_order_of(seed.PAYMENT),
        gateway.payment(seed.PAYMENT),
        gateway.payments_of_item(deal),
        gateway.payments_of_order(seed.ORDER),
        gateway.payments_with_ids([seed.PAYMENT]),
        gateway.unpaid_payments(before=None),
        *gateway.unpaid_payments_numbered(["163"], before=None),
        gateway.comments_of(deal),
        gateway.user_names([seed.ADMIN]),
        setup_reads.pay_systems_in_detail(),
        setup_reads.handlers(),
        setup_reads.may_set_up(),
        setup_reads.person_types(Registry.ORDER),
        setup_reads.person_types(Registry.OLD_INVOICE),
        setup_reads.may_change(seed.ACME_PAY),
        setup_reads.count_unpaid_with(seed.ACME_PAY),
        setup_reads.settings(seed.ACME_PAY, person_type_id=0),
        setup_reads.settings_of_payment(seed.PAYMENT, pay_system_id=seed.ACME_PAY),
    )
    for query in queries:
        client.read(query)
    links, batch = gateway.order_links_of(deal), client.batch()
    batch.add(links)
    linked = batch.add(gateway.linked_order(links, 0))
    batch.run()
    assert linked.get().order.id
    gateway.change_pay_system(client, payment_id=seed.PAYMENT, pay_system_id=seed.DEMO_CARD_PAY)
    gateway.pay_payment(client, payment_id=seed.PAYMENT, pay_system_id=seed.DEMO_CARD_PAY)
    gateway.mark_payment(client, payment_id=seed.CASH_PAYMENT)
    gateway.unpay_payment(client, payment_id=seed.CASH_PAYMENT)
    gateway.add_comment(client, deal, "Paid")
    settings = {"CODES": {}, "FORM_DATA": {"ACTION_URI": "https://pay.example.com/form/"}}
    handler = setup_writes.add_handler(client, name="A", code="a", sort=1, settings=settings)
    setup_writes.update_handler(client, handler, {"NAME": "B", "SETTINGS": settings})
    system = setup_writes.add_pay_system(
        client, name="A", handler_code="a", person_type_id=1, registry=Registry.ORDER, active=True
    )
    fields = {"NAME": "B", "BX_REST_HANDLER": "a", "PERSON_TYPE_ID": 1}
    setup_writes.update_pay_system(client, system, fields)
    setup_writes.update_settings(
        client, seed.ACME_PAY, person_type_id=0, settings={"SHOP_ID": Setting("VALUE", "7")}
    )
    setup_writes.delete_pay_system(client, system)
    setup_writes.delete_handler(client, handler)


def test_the_whole_gateway_is_used() -> None:
    source = inspect.getsource(_use_the_whole_gateway)
    public = {
        f"{module.__name__.rpartition('.')[2]}.{name}"
        for module in (gateway, setup_reads, setup_writes)
        for name, member in vars(module).items()
        if inspect.isfunction(member) and not name.startswith("_")
        if module is gateway or member.__module__ == module.__name__
    }
    assert {name for name in public if f"{name}(" not in source} == set()


def _named_in_the_app() -> set[str]:
    """Returns the methods whose names are in the app's source, however they are called there."""
    root = TABLE.parents[1]
    source = "".join(
        path.read_text() for room in ("b24app", "payments") for path in (root / room).rglob("*.py")
    )
    named = {name.lower() for name in re.findall(r'"([a-z0-9.]+)"', source, re.IGNORECASE)}
    bound = {f"{kind}.bind" for kind in ("event", "placement")}
    return (named & METHODS.keys()) | bound


def _wrong(params: Mapping[str, Any], documented: Mapping[str, str]) -> Iterator[str]:
    """Yields what is sent and not documented, of another type, or required and not sent."""
    for name, value in _flat(params, documented):
        if name not in documented:
            yield f"{name}"
        elif not _fits(value, documented[name].removesuffix("!")):
            yield f"{name} as {type_of(value)}"
    there = {name for name, _value in _flat(params, documented)}
    for name, kind in documented.items():
        if kind.endswith("!") and name not in there and name.rpartition(".")[0] in {"", *there}:
            yield f"no {name}"


def _misnamed(params: Mapping[str, Any], columns: set[str]) -> Iterator[str]:
    """Yields the columns that `select`, `filter` and `order` name and no row has: the server
    ignores them without an error."""
    for name in [one for one in params if one.lower() in NAMING and columns]:
        given = params[name]
        for spelled in (
            given.values() if isinstance(given, dict) and name.lower() == "select" else given
        ):
            if (column := spelled.lstrip(OPERATORS)) not in columns:
                yield f"{name} {column}"


def _flat(params: Mapping[str, Any], documented: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    """Yields each parameter, and each field of one whose fields are documented."""
    for name, value in params.items():
        yield name, value
        if isinstance(value, dict) and any(one.startswith(f"{name}.") for one in documented):
            yield from ((f"{name}.{inner}", deep) for inner, deep in value.items())


def _fits(value: Any, kind: str) -> bool:
    if isinstance(value, str) and value.lstrip("-").isdigit() and kind == "integer":
        return True  # a batch sends texts only
    return kind in ("any", "number" if kind == "integer" else type_of(value)) or (
        kind == "integer" and type_of(value) == "number"
    )
