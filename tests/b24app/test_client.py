"""Calls to a portal: which are retried, which never are, and which share a request."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from b24app import models
from b24app.errors import (
    AccessDenied,
    AddressForbidden,
    B24Error,
    BatchRefused,
    NeverSent,
    OutcomeUnknown,
    PortalMoved,
    QueryLimit,
    Refused,
    TokenExpired,
    TokenRejected,
)
from b24app.rest import client as client_module
from b24app.rest import transport
from b24app.rest.client import Answer, Batch, Client, Pending, Query, run_batches
from b24app.tokens import store as tokens
from b24app.tokens.clients import user_client
from sandbox.api.faults import Fault
from sandbox.server.adapter import SandboxAdapter
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.installing import begin_installation
from sandbox.world.world import Portal
from tests.b24app.rows import HOUR, calls, expire, installed, pair_of
from tests.b24app.servers import Telling

PAY = "sale.paysystem.pay.payment"
ENDPOINT = "https://alpha.example.com/rest/"


class HandedOut:
    """Credentials that return one token after another."""

    def __init__(self, *tokens: str) -> None:
        self.tokens = list(tokens)
        self.renewals = 0

    def access_token(self) -> str:
        return self.tokens[0]

    def renew(self, stale: str) -> str:
        assert stale == self.tokens[0]
        if len(self.tokens) == 1:
            raise TokenExpired("expired_token", "these do not renew", 401)
        self.renewals += 1
        self.tokens.pop(0)
        return self.tokens[0]


def token(sandbox: Sandbox, portal: Portal, user_id: int = seed.MANAGER) -> str:
    begin_installation(sandbox.world, portal, seed.OUR_CLIENT_ID).finished = True
    return sandbox.world.issue(seed.OUR_CLIENT_ID, portal.member_id, user_id).access


@pytest.fixture
def client(sandbox: Sandbox, alpha: Portal) -> Client:
    """Returns the manager's client on Alpha, with a token that is valid and not renewed."""
    return Client(f"{alpha.url}/rest/", HandedOut(token(sandbox, alpha)))


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Records the pauses between tries instead of waiting."""
    taken: list[float] = []
    monkeypatch.setattr(client_module, "pause", taken.append)
    return taken


def _user_id(answer: Answer) -> int:
    return int(answer.result["ID"])


def _payment_id(answer: Answer) -> int:
    number: int = answer.result["payment"]["id"]
    return number


PROFILE = Query("profile", _user_id)


def payment(payment_id: int) -> Query[int]:
    return Query("sale.payment.get", _payment_id, {"id": payment_id})


PAYMENT_COUNT = Query("sale.payment.list", lambda answer: answer.total)
PAY_SYSTEMS = Query("sale.paysystem.list", lambda answer: answer)  # a manager may not read them
REFUSAL_AS_ANSWER = Query(PAY, lambda _: "", {}, parse_refusal=lambda refused: refused.code)
PAYING = {"PAYMENT_ID": seed.PAYMENT, "PAY_SYSTEM_ID": seed.ACME_PAY}


def run(client: Client, *queries: Query[Any]) -> list[Pending[Any]]:
    """Runs these queries in one batch."""
    batch = client.batch()
    found = [batch.add(query) for query in queries]
    batch.run()
    return found


def values(found: list[Pending[Any]]) -> list[Any]:
    return [pending.get() for pending in found]


def sent(sandbox: Sandbox) -> list[str]:
    """Returns the methods of the requests, a batch as one."""
    return [call.method for call in sandbox.log]


def on_beta(sandbox: Sandbox, beta: Portal, user_id: int = seed.MANAGER) -> Client:
    return Client(f"{beta.url}/rest/", HandedOut(token(sandbox, beta, user_id)))


def telling(body: object, *, status: int = 200) -> tuple[Telling, Client]:
    return Telling(body, status=status), Client(ENDPOINT, HandedOut("a-token"))


# One read


def test_a_read_is_one_request(sandbox: Sandbox, client: Client) -> None:
    assert client.read(PROFILE) == seed.MANAGER
    assert sent(sandbox) == ["profile"]


def test_the_token_is_in_both_places_and_never_in_the_address(
    sandbox: Sandbox, client: Client
) -> None:
    client.read(PROFILE)

    assert sandbox.log[0].token_in == ("header", "body")


@pytest.mark.parametrize("ignored", ["ignore_bearer", "ignore_auth_param"])
def test_a_server_that_looks_in_one_place_only_is_served(
    sandbox: Sandbox, client: Client, ignored: str
) -> None:
    setattr(sandbox, ignored, True)

    assert client.read(PROFILE) == seed.MANAGER


def test_total_and_next_are_beside_the_result(client: Client) -> None:
    found = client.read(Query("sale.payment.list", lambda a: (a.total, a.next), {"start": 0}))

    assert found == (34, None)


@pytest.mark.parametrize("endpoint", ["https://alpha.example.com/rest", ENDPOINT])
def test_an_endpoint_is_a_folder(endpoint: str) -> None:
    server = Telling({"result": {"ID": "3"}})
    with transport.use_adapter(server):
        Client(endpoint, HandedOut("a-token")).read(PROFILE)

    assert [request.url for request in server.requests] == [f"{ENDPOINT}profile"]


def test_an_answer_may_be_of_unknown_shape(client: Client) -> None:
    def parse(answer: Answer) -> None:
        raise OutcomeUnknown("profile: not what was expected")

    with pytest.raises(OutcomeUnknown):
        client.read(Query("profile", parse))


@pytest.mark.parametrize("body", [{"time": {}}, {"result": 1, "error": ""}, {"error": 0}])
def test_an_answer_without_a_result_is_no_success(body: object) -> None:
    server, client = telling(body)
    with transport.use_adapter(server), pytest.raises(B24Error):
        client.read(PROFILE)


# Retries


def test_too_many_requests_are_asked_again_after_growing_pauses(
    sandbox: Sandbox, client: Client, pauses: list[float]
) -> None:
    sandbox.faults.add(Fault("query_limit", "profile", times=3))

    assert client.read(PROFILE) == seed.MANAGER
    assert calls(sandbox, "profile") == 4
    assert pauses == sorted(pauses)
    low, high = client_module.JITTER
    for taken, delay in zip(pauses, client_module.RETRY_DELAYS, strict=True):
        assert delay * low <= taken <= delay * high


@pytest.fixture
def unreachable(sandbox: Sandbox) -> Iterator[set[str]]:
    """The hosts to which no connection can be opened: Alpha's, until a test takes it out."""
    door = SandboxAdapter(sandbox)
    door.unreachable_hosts.add("alpha.example.com")
    with transport.use_adapter(door):
        yield door.unreachable_hosts


def test_what_was_never_sent_is_sent_again(
    client: Client, unreachable: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "pause", lambda _: unreachable.clear())

    assert client.read(PROFILE) == seed.MANAGER


@pytest.mark.usefixtures("unreachable")
def test_only_a_read_that_cannot_be_sent_is_tried_again(
    client: Client, pauses: list[float]
) -> None:
    with pytest.raises(NeverSent):
        client.read(PROFILE)
    assert len(pauses) == len(client_module.RETRY_DELAYS)

    pauses.clear()
    with pytest.raises(NeverSent):
        client.write(PAY, {})
    assert pauses == []


FAILURES = {
    "query_limit": QueryLimit,
    "expired_token": TokenExpired,
    "operation_limit": Refused,
    "drop": OutcomeUnknown,
    "status500": OutcomeUnknown,
    "html502": OutcomeUnknown,
    "broken_json": OutcomeUnknown,
    "redirect": PortalMoved,
    "cut": OutcomeUnknown,
}
TIMES_READ = {"query_limit": 1 + len(client_module.RETRY_DELAYS), "expired_token": 2}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("kind", "told"), FAILURES.items())
def test_a_read_is_asked_again_only_where_the_portal_asks_for_it(
    sandbox: Sandbox, alpha: Portal, pauses: list[float], kind: str, told: type[B24Error], when: str
) -> None:
    credentials = HandedOut(*(token(sandbox, alpha) for _ in range(5)))
    moved = "https://beta.example.com"
    sandbox.faults.add(Fault(kind, "profile", when=when, times=None, url=moved))

    with pytest.raises(told):
        Client(ENDPOINT, credentials).read(PROFILE)
    assert len(pauses) == (len(client_module.RETRY_DELAYS) if kind == "query_limit" else 0)
    assert credentials.renewals == (kind == "expired_token")
    assert [call.host for call in sandbox.log] == ["alpha.example.com"] * TIMES_READ.get(kind, 1)


def test_a_forbidden_address_is_not_tried_again(pauses: list[float]) -> None:
    with pytest.raises(AddressForbidden):
        Client("https://10.0.0.7/rest/", HandedOut("a-token")).read(PROFILE)
    assert pauses == []


def test_a_read_is_not_waited_for_as_long_as_a_write(sandbox: Sandbox, client: Client) -> None:
    sandbox.faults.add(Fault("delay", "profile", seconds=31))

    with pytest.raises(OutcomeUnknown):
        client.read(PROFILE)


# Tokens


def test_an_expired_token_is_renewed_once(sandbox: Sandbox, alpha: Portal) -> None:
    credentials = HandedOut(token(sandbox, alpha), token(sandbox, alpha))
    expire(sandbox, credentials.tokens[0])

    assert Client(ENDPOINT, credentials).read(PROFILE) == seed.MANAGER
    assert (credentials.renewals, calls(sandbox, "profile")) == (1, 2)


def test_a_token_cannot_be_renewed_twice_by_asking_again(sandbox: Sandbox, alpha: Portal) -> None:
    credentials = HandedOut(*(token(sandbox, alpha) for _ in range(5)))
    expired_again = Fault("expired_token", "profile")
    limited = Fault("query_limit", "profile", on_hit=lambda: sandbox.faults.add(expired_again))
    sandbox.faults.add(
        Fault("expired_token", "profile", on_hit=lambda: sandbox.faults.add(limited))
    )

    with pytest.raises(TokenExpired):
        Client(ENDPOINT, credentials).read(PROFILE)
    assert (credentials.renewals, calls(sandbox, "profile")) == (1, 3)


def test_the_servers_word_counts_where_nothing_can_be_renewed(
    sandbox: Sandbox, client: Client
) -> None:
    sandbox.world.tokens.clear()

    with pytest.raises(TokenRejected):
        client.read(PROFILE)


def stored_pair(sandbox: Sandbox, alpha: Portal, *, lives: timedelta = HOUR) -> models.UserToken:
    pair = pair_of(sandbox, alpha, seed.MANAGER, expires_in=lives)
    return tokens.store_user_pair(installed(sandbox, alpha), pair)


@pytest.mark.django_db(transaction=True)
def test_a_token_that_another_process_replaced_is_replaced_here_too(
    sandbox: Sandbox, alpha: Portal
) -> None:
    row = stored_pair(sandbox, alpha)
    early = user_client(row.portal, seed.MANAGER)
    tokens.StoredCredentials(row).renew(row.access)

    # The older access token died with the refresh token that came with it.
    assert early.read(PROFILE) == seed.MANAGER
    assert calls(sandbox, "oauth.token") == 1


@pytest.mark.django_db(transaction=True)
def test_a_stored_pair_is_renewed_when_the_portal_says_so(sandbox: Sandbox, alpha: Portal) -> None:
    row = stored_pair(sandbox, alpha)
    expire(sandbox, row.access)

    assert user_client(row.portal, seed.MANAGER).read(PROFILE) == seed.MANAGER
    assert sent(sandbox) == ["profile", "oauth.token", "profile"]


# Writes


def test_a_write_is_one_request(sandbox: Sandbox, alpha: Portal, client: Client) -> None:
    answer = client.write(PAY, PAYING)

    assert answer.result is True
    assert alpha.payments[seed.PAYMENT].times_paid == 1
    assert sent(sandbox) == [PAY]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("kind", "told"), FAILURES.items())
def test_a_write_is_never_sent_twice(
    sandbox: Sandbox, alpha: Portal, pauses: list[float], kind: str, told: type[B24Error], when: str
) -> None:
    credentials = HandedOut(token(sandbox, alpha), token(sandbox, alpha))
    sandbox.faults.add(Fault(kind, PAY, when=when))

    with pytest.raises(told):
        Client(ENDPOINT, credentials).write(PAY, PAYING)

    assert (calls(sandbox, PAY), credentials.renewals, pauses) == (1, 0, [])


def test_a_write_waits_until_the_cloud_has_cut_it_off() -> None:
    server, client = telling({"result": True})
    with transport.use_adapter(server):
        client.write(PAY, {})

    ((connect, answer),) = server.timeouts
    assert connect == 5
    assert answer > 60


@pytest.mark.django_db(transaction=True)
def test_a_token_about_to_expire_is_renewed_before_a_write(sandbox: Sandbox, alpha: Portal) -> None:
    row = stored_pair(sandbox, alpha, lives=timedelta(seconds=119))

    user_client(row.portal, seed.MANAGER).write(PAY, PAYING)

    assert sent(sandbox) == ["oauth.token", PAY]
    assert models.UserToken.objects.get().expires_at > timezone.now() + timedelta(minutes=59)


# Batches


def test_one_query_in_a_batch_is_a_plain_call(sandbox: Sandbox, client: Client) -> None:
    assert values(run(client, PROFILE)) == [seed.MANAGER]
    assert sent(sandbox) == ["profile"]


def test_several_queries_are_one_request(sandbox: Sandbox, client: Client) -> None:
    found = run(client, PROFILE, *map(payment, seed.SEVERAL_PAYMENTS), PAYMENT_COUNT)

    assert values(found) == [seed.MANAGER, *seed.SEVERAL_PAYMENTS, 34]
    assert sent(sandbox) == ["batch"]


REFUSED: list[tuple[Query[Any], type[Refused], str]] = [
    (payment(1), Refused, "200640400001"),
    (PAY_SYSTEMS, AccessDenied, "ACCESS_DENIED"),
]


@pytest.mark.parametrize("beside", [(), (PROFILE,)], ids=["alone", "in a batch"])
def test_a_command_is_refused_alone_and_the_refusal_may_be_its_answer(
    client: Client, beside: tuple[Query[int], ...]
) -> None:
    for query, error, code in REFUSED:
        refused, *others = run(client, query, *beside)
        with pytest.raises(error) as told:
            refused.get()
        assert told.value.code == code
        assert values(others) == [seed.MANAGER] * len(beside)
    assert run(client, REFUSAL_AS_ANSWER, *beside)[0].get() == "ERROR_CHECK_FAILURE"


def test_more_than_fifty_go_in_several_requests(sandbox: Sandbox, client: Client) -> None:
    assert set(values(run(client, *[payment(seed.PAYMENT)] * 101))) == {seed.PAYMENT}
    assert sorted(len(call.batch) for call in sandbox.log) == [0, 50, 50]


def test_an_empty_batch_asks_nothing(sandbox: Sandbox, client: Client) -> None:
    run(client)

    assert sandbox.log == []


def test_a_batch_that_ran_is_not_asked_again(sandbox: Sandbox, client: Client) -> None:
    batch = client.batch()
    batch.add(PROFILE)
    batch.run()
    later = batch.add(payment(seed.PAYMENT))
    batch.run()

    assert later.get() == seed.PAYMENT
    assert sent(sandbox) == ["profile", "sale.payment.get"]


def test_a_value_is_not_there_before_the_batch_has_run(client: Client) -> None:
    pending = client.batch().add(PROFILE)

    with pytest.raises(RuntimeError):
        pending.get()


@pytest.mark.parametrize("kind", ["html502", "drop", "status500", "redirect"])
def test_an_error_of_the_whole_batch_is_everybodys(
    sandbox: Sandbox, client: Client, kind: str
) -> None:
    sandbox.faults.add(Fault(kind, "batch"))

    for pending in run(client, PROFILE, payment(seed.PAYMENT)):
        with pytest.raises(OutcomeUnknown):
            pending.get()
    assert calls(sandbox, "batch") == 1


def test_a_batch_is_asked_again_like_any_read(sandbox: Sandbox, client: Client) -> None:
    sandbox.faults.add(Fault("query_limit", "batch"))

    assert values(run(client, PROFILE, payment(seed.PAYMENT))) == [seed.MANAGER, seed.PAYMENT]
    assert calls(sandbox, "batch") == 2


def two_told(result: object) -> list[Answer | B24Error | None]:
    server, client = telling({"result": result})
    with transport.use_adapter(server):
        return [pending.outcome for pending in run(client, PROFILE, PROFILE)]


EMPTY: dict[str, Any] = {"result": [], "result_error": [], "result_total": [], "result_next": []}


def test_empty_parts_are_lists_and_filled_ones_are_objects() -> None:
    both = {**EMPTY, "result": {"q0": 1, "q1": []}, "result_total": {"q1": 0}}
    assert two_told(both) == [Answer(1), Answer([], total=0)]

    failure = {"error": "ACCESS_DENIED", "error_description": "Access denied!"}
    one, other = two_told({**EMPTY, "result": {"q1": None}, "result_error": {"q0": failure}})
    assert isinstance(one, AccessDenied)
    assert other == Answer(None)


@pytest.mark.parametrize(
    "result", [EMPTY, {}, [], None, True, {"result": [1, 2]}, {"result": {"q7": 1}}]
)
def test_a_command_that_is_not_answered_has_no_known_outcome(result: object) -> None:
    for outcome in two_told(result):
        assert isinstance(outcome, OutcomeUnknown)


@pytest.mark.parametrize("failure", [{}, "denied", [], {"error": None}, {"error": {"code": 1}}])
def test_an_error_of_unknown_shape_is_not_taken_for_success(failure: object) -> None:
    one, other = two_told({"result": {"q0": 1, "q1": 2}, "result_error": {"q0": failure}})

    assert isinstance(one, OutcomeUnknown)
    assert other == Answer(2)


def test_a_command_refused_in_a_batch_is_asked_alone_and_next_time_beside_it(
    sandbox: Sandbox, alpha: Portal, client: Client
) -> None:
    alpha.batch_forbidden = frozenset({"sale.payment.get"})

    def ask(asker: Client) -> list[tuple[str, ...]]:
        sandbox.log.clear()
        found = run(asker, payment(seed.PAYMENT), PROFILE, PAYMENT_COUNT)
        assert values(found) == [seed.PAYMENT, seed.MANAGER, 34]
        return sorted(call.methods for call in sandbox.log)

    alone, together = ("sale.payment.get",), ("profile", "sale.payment.list")
    assert ask(client) == [alone, (*alone, *together)]
    assert ask(client) == [together, alone]
    # Another person of this portal knows it too.
    assert ask(Client(ENDPOINT, HandedOut(token(sandbox, alpha)))) == [together, alone]


def test_another_portal_may_allow_what_this_one_refuses(
    sandbox: Sandbox, alpha: Portal, beta: Portal, client: Client
) -> None:
    alpha.batch_forbidden = frozenset({"sale.payment.get"})
    for asker in (client, on_beta(sandbox, beta)):
        found = run(asker, payment(seed.PAYMENT), PROFILE)
        assert values(found) == [seed.PAYMENT, seed.MANAGER]

    assert [call.method for call in sandbox.log if call.host == "beta.example.com"] == ["batch"]


def test_a_command_refused_also_alone_is_refused() -> None:
    refusal = {"error": "ERROR_BATCH_METHOD_NOT_ALLOWED", "error_description": ""}
    server, client = telling(refusal, status=405)
    with transport.use_adapter(server):
        found = run(client, PROFILE, PROFILE)

    assert len(server.requests) == 3
    for pending in found:
        with pytest.raises(BatchRefused):
            pending.get()


def test_what_looks_like_a_reference_is_not_put_into_a_batch(
    sandbox: Sandbox, client: Client
) -> None:
    search = {"filter": {"accountNumber": "$result[q0][ID]"}}
    found = run(client, PROFILE, replace(PAYMENT_COUNT, params=search))

    assert values(found) == [seed.MANAGER, 0]
    assert sorted(sent(sandbox)) == ["profile", "sale.payment.list"]


# At the same time


@pytest.fixture
def meeting(sandbox: Sandbox) -> Iterator[list[Fault]]:
    """Holds every call on Alpha and on Beta until both have come."""
    holds: list[Fault] = []

    def arrived() -> None:
        if all(hold.hits for hold in holds):
            for hold in holds:
                hold.release.set()

    holds.extend(
        sandbox.faults.add(Fault("hold", host=host, on_hit=arrived))
        for host in ("alpha.example.com", "beta.example.com")
    )
    yield holds
    sandbox.faults.clear()


def test_batches_of_two_clients_run_at_the_same_time(
    sandbox: Sandbox, beta: Portal, client: Client, meeting: list[Fault]
) -> None:
    batches = Batch(client), Batch(on_beta(sandbox, beta, seed.ADMIN))
    found = [batch.add(PROFILE) for batch in batches]

    run_batches(*batches)

    assert [pending.get() for pending in found] == [seed.MANAGER, seed.ADMIN]
    assert all(hold.release.is_set() for hold in meeting)


def test_one_clients_failure_is_not_the_others(
    sandbox: Sandbox, beta: Portal, client: Client
) -> None:
    sandbox.faults.add(Fault("drop", host="beta.example.com"))
    batches = Batch(client), Batch(on_beta(sandbox, beta))
    here, gone = (batch.add(PROFILE) for batch in batches)

    run_batches(*batches)

    assert here.get() == seed.MANAGER
    with pytest.raises(OutcomeUnknown):
        gone.get()
