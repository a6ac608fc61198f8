"""Checks rights and REST calls: D3 and D4 of the checklist."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from sandbox.tools import elements
from sandbox.tools.app_process import ROOT
from sandbox.tools.moderation.lines import Line, expect, found
from sandbox.tools.moderation.target import Target
from sandbox.world import seed

REFUSED = range(400, 500)
LISTING = ROOT / "docs" / "marketplace" / "README.md"
# Limits: attempts for one read, requests for one screen.
MOST_TRIES, MOST_REQUESTS = 4, 6
OPENINGS = 6
TWO_HOURS = 7200
FIVE_DAYS = "-5 days"
PAY = "sale.paysystem.pay.payment"
# The app's scopes and the methods that need them; `app.info` and some others need no scope.
_FAMILIES = {
    "crm": ("crm.",),
    "sale": ("sale.payment", "sale.order", "sale.persontype"),
    "pay_system": ("sale.paysystem.",),
    "placement": ("placement.",),
    "user_brief": ("user.get",),
}


def scopes_are_used(target: Target) -> str:
    """Checks, after the other lines, that some call needed each scope that the portal granted."""
    target.as_script(target.main_page(seed.ADMIN), "/payments/history/")
    asked = {
        method
        for call in target.calls()
        for method in (call["method"], *call["batch"])
        if call["member_id"] == seed.ALPHA
    }
    granted = set(target.opening(seed.MANAGER)["APPLICATION_SCOPE"].split(","))
    expect(granted == set(_FAMILIES), f"the portal granted what is documented, not {granted}")
    idle = [
        scope
        for scope, families in _FAMILIES.items()
        if not any(method.startswith(families) for method in asked)
    ]
    expect(not idle, f"every scope was needed in this run: {idle} was not")
    return f"{len(asked)} methods called in this run, each scope by at least one of them"


def widgets_are_those_declared(target: Target) -> str:
    declared = sorted(
        set(re.findall(r"CRM_[A-Z_]+_(?:TAB|MENU)", LISTING.read_text(encoding="utf-8")))
    )
    admin = target.visitor(seed.ADMIN)
    auth = admin.open_frame(target.application_page(admin)).auth
    bound = sorted(row["placement"] for row in admin.rest("placement.get", auth)["result"])
    expect(bound == declared, f"bound are the declared ones: {bound}, declared {declared}")
    return f"placement.get of the portal against docs/marketplace: {', '.join(bound)}"


def bad_input_is_refused_unasked(target: Target) -> str:
    page = target.tab(seed.MANAGER, seed.DEAL)
    row = page.payment_rows()[seed.PAYMENT]
    before = target.calls_so_far()
    bad: tuple[dict[str, str], ...] = (
        {},
        {"offer": "x", "pay_system_id": "1"},
        {**row.fields, "pay_system_id": "1; DROP TABLE payments"},
        {**row.fields, "offer": row.fields["offer"][:-1] + "!"},
    )
    for fields in bad:
        answer = page.post("/payments/pay/", fields)
        expect(answer.status_code in REFUSED, f"{fields} is refused, not {answer.status_code}")
    search = target.as_script(page, "/payments/", q="1" * 101)
    expect(search.status_code in REFUSED, f"a bad search is refused, not {search.status_code}")
    expect(target.calls_so_far() == before, "nothing was asked of Bitrix24 for it")
    forged = {**target.opening(seed.MANAGER), "AUTH_ID": "e" * 70}
    before = target.calls_so_far()
    target.open_with(forged)
    refused = [call for call in target.calls(since=before) if call["status"] in REFUSED]
    asked = [(call["host"], call["method"], call["batch"]) for call in refused]
    expect(asked, "Bitrix24 refused what was forged")
    expect(len(asked) == len({str(each) for each in asked}), f"nothing was asked twice: {asked}")
    return f"{len(bad) + 1} bad requests without a call; {len(asked)} refusals, none asked again"


def lists_are_cached_and_batched(target: Target) -> str:
    counts, requests = [], 0
    for _ in range(OPENINGS):  # each of several workers has its own cache
        before = target.calls_so_far()
        target.main_page(seed.MANAGER)
        calls = target.calls(since=before)
        requests = max(requests, len(calls))
        counts.append(sum(len(call["batch"]) or 1 for call in calls))
        expect(any(len(call["batch"]) > 1 for call in calls), "several questions go in one batch")
    expect(requests <= MOST_REQUESTS, f"a screen takes a few requests, not {requests}")
    first = target.first_questions
    expect(max(counts) < first, f"later openings ask less than the very first: {first}, {counts}")
    return (
        f"{OPENINGS} openings: at most {requests} requests; {first} questions, then {max(counts)}"
    )


def limits_are_waited_for(target: Target) -> str:
    visitor = target.visitor(seed.MANAGER)
    page = target.application_page(visitor)
    before = target.calls_so_far()
    with target.fault("query_limit", "batch", times=2):
        expect(visitor.open_frame(page).payment_rows(), "two 503 in a row are waited out")
    pauses = _pauses(target.calls(since=before))
    expect(pauses == sorted(pauses), f"each pause is longer than the one before: {pauses}")
    tab = target.main_page(seed.MANAGER)
    noted = len(target.security_log())
    before = target.calls_so_far()
    with target.fault("query_limit", "batch", times=50):
        answer = target.as_script(tab, "/payments/unpaid/")
    asked = [call for call in target.calls(since=before) if "query_limit" in call["faults"]]
    tries = max(len([c for c in asked if c["batch"] == each["batch"]]) for each in asked)
    expect(not answer.ok, f"a limit without an end is reported, not {answer.status_code}")
    expect(elements.read(answer.text).text, "in words")
    expect(tries <= MOST_TRIES, f"asking again has an end: {tries} times")
    target.wait(
        "limits are in the security log",
        lambda: sum("QueryLimit" in line for line in target.security_log()[noted:]) >= 1,
    )
    return f"503 twice (pauses {', '.join(f'{p:.1f}' for p in pauses)} s), 503 without end"


def _pauses(calls: list[dict[str, Any]]) -> list[float]:
    """Returns the last two pauses between attempts of the refused batches, in seconds."""
    struck = [call["at"] for call in calls if call["faults"]]
    last = next((call["at"] for call in reversed(calls) if not call["faults"]), None)
    moments = [*struck, *([last] if last else [])]
    return [later - earlier for earlier, later in pairwise(moments)][-2:]


def pay(target: Target, *, deal_id: int = seed.DEAL, payment_id: int = seed.PAYMENT) -> None:
    """Pays as a manager who presses twice; several lines check the result."""
    page = target.tab(seed.MANAGER, deal_id)
    row = page.payment_rows()[payment_id]
    asked = elements.read(page.post("/payments/question/", row.fields).text)
    form = found(asked.first("form"), f"the app asks before it pays, not {asked.text}")
    answers = [page.post(form.attributes["hx-post"], form.fields) for _ in range(2)]
    reply = elements.read(answers[0].text)
    expect(reply.first("td", data_state="paid") is not None, f"it is paid, not {reply.text}")


def calls_are_logged_and_masked(target: Target) -> str:
    target.wait(
        "the payment is in the log of calls",
        lambda: target.count("SELECT count(*) FROM b24app_restcall WHERE method = ?", PAY),
    )
    kept = target.rows("SELECT * FROM b24app_restcall")
    text = "\n".join(map(str, kept))
    leaked = [secret for secret in target.secrets if secret in text]
    expect(not leaked, f"no token is in it: {len(leaked)} are")
    # Names of the sandbox's people and deals.
    names = [name for name in _NAMES if name in text]
    expect(not names, f"no name is in it: {names}")
    target.rows(
        "UPDATE b24app_restcall SET at = datetime(at, ?) WHERE id IN "
        "(SELECT min(id) FROM b24app_restcall)",
        FIVE_DAYS,
    )
    before = len(kept)
    target.manage("prune")
    left = target.count("SELECT count(*) FROM b24app_restcall")
    expect(before - 1 <= left, f"prune keeps what is younger than three days: {left} of {before}")
    old = "SELECT count(*) FROM b24app_restcall WHERE at < datetime('now', '-4 days')"
    expect(not target.count(old), "and deletes what is older")
    return (
        f"{before} calls searched for {len(target.secrets)} secrets and {len(_NAMES)} names; pruned"
    )


_NAMES = ("Max Manager", "Ada Admin", "Rita Reader", "Office chairs", "Coffee machines")


def tokens_are_renewed_when_they_expire(target: Target) -> str:
    """Moves the sandbox's clock, so lines that pay or compare clocks must run before it."""
    early = [call for call in target.calls() if call["method"] == "oauth.token"]
    # The app checks each removal by one renewal at the OAuth server.
    removals = target.count(
        "SELECT count(*) FROM b24app_eventreceipt WHERE event = 'ONAPPUNINSTALL'"
    )
    count = f"{len(early)} times, with {removals} events of a removal"
    expect(len(early) <= removals, f"nothing else was renewed while tokens were good: {count}")
    page = target.main_page(seed.MANAGER)
    target.control("POST", "advance", data={"seconds": TWO_HOURS})
    before = target.calls_so_far()
    answer = target.as_script(page, "/payments/unpaid/")
    expect(answer.ok, f"an expired token is renewed on the way, not {answer.status_code}")
    renewed = [call for call in target.calls(since=before) if call["method"] == "oauth.token"]
    # The manager's own pair, and the portal's pair for the list.
    expect(1 <= len(renewed) <= 2, f"each pair was renewed once: {len(renewed)}")
    return "no renewal in the whole run; two hours later one for each pair that was needed"


LINES = (
    Line("D3.2", "widgets declared are the placements bound", widgets_are_those_declared),
    Line("D4.1", "invalid input is refused before any call; a 4xx response is never re-sent",
         bad_input_is_refused_unasked),
    Line("D4.2", "lists are cached within a session; series use batch",
         lists_are_cached_and_batched),
    Line("D4.3", "503 is waited for, longer each time, with an end; limit hits are logged",
         limits_are_waited_for,
         ("tests/b24app/test_client.py::"
          "test_too_many_requests_are_asked_again_after_growing_pauses",)),
    Line("D4.4", "calls are logged masked for three days, then pruned",
         calls_are_logged_and_masked),
    Line("D3.1", "every scope is documented and used", scopes_are_used),
    Line("D4.5", "no refresh by timer", tokens_are_renewed_when_they_expire),
)  # fmt: skip
