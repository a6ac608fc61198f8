"""Checks security: D5 of the checklist."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor

from sandbox.tools.moderation.behaviour import PAY, REFUSED, pay
from sandbox.tools.moderation.lines import Line, expect
from sandbox.tools.moderation.target import OTHER_APPLICATION, Target
from sandbox.world import seed

BURST, BURST_SECONDS = 60, 10.0
FROM_ENVIRONMENT = ("SECRET_KEY", "B24_TOKEN_KEYS", "B24_CLIENT_SECRET")
# Every table with rows of a portal, and when they are deleted; a removal deletes all (D2.3).
RETENTION = {
    "b24app_usertoken": "with the portal",
    "b24app_eventreceipt": "90 days, manage.py prune",
    "b24app_failedproof": "an hour, manage.py prune; one row a portal, no people",
    "b24app_removalclaim": "B24_REMOVAL_GRACE_DAYS, manage.py prune; one row a portal, no people",
    "b24app_restcall": "B24_REST_LOG_DAYS, manage.py prune",
    "payments_attempt": "B24_HISTORY_DAYS, manage.py prune",
    "payments_entry": "B24_HISTORY_DAYS, manage.py prune",
    "payments_approval": "B24_HISTORY_DAYS, manage.py prune",
    "payments_run": "100 days, manage.py prune",
    "payments_policy": "with the portal",
}


def frames_are_proved(target: Target) -> str:
    genuine = target.opening(seed.MANAGER)
    other = target.opening(seed.MANAGER, title=OTHER_APPLICATION)
    foreign = target.opening(seed.MANAGER, portal=1, title=OTHER_APPLICATION)
    pairs = target.count("SELECT count(*) FROM b24app_usertoken")
    noted = len(target.security_log())
    forged = {
        "a made-up token": {"AUTH_ID": "0" * 70},
        "another application's token": {"AUTH_ID": other["AUTH_ID"]},
        "another portal's token": {"AUTH_ID": foreign["AUTH_ID"]},
        "a portal that never installed the app": {"member_id": seed.BETA},
        "a portal that does not exist": {"member_id": "9" * 32},
    }
    for name, changes in forged.items():
        answer = target.open_with({**genuine, **changes})
        expect(answer.status_code in REFUSED, f"{name} opens nothing, not {answer.status_code}")
        expect("data-payment" not in answer.text, f"{name} is shown no payment")
    kept = target.count("SELECT count(*) FROM b24app_usertoken")
    expect(kept == pairs, "no token was stored for any of them")
    target.wait(
        "each is in the security log",
        lambda: (
            sum("opening refused" in line for line in target.security_log()[noted:]) >= len(forged)
        ),
    )
    return ", ".join(forged)


def events_are_proved(target: Target) -> str:
    genuine = target.opening(seed.MANAGER)["APPLICATION_TOKEN"]
    before = target.rows("SELECT count(*), max(id) FROM b24app_eventreceipt")
    calls = target.calls_so_far()
    saved = {"data[FIELDS][ID]": str(seed.PAYMENT)}
    for name, token, member_id in (
        ("ONPAYMENTENTITYSAVED", genuine, "0" * 32),
        ("ONPAYMENTENTITYSAVED", None, seed.ALPHA),
        ("ONPAYMENTENTITYSAVED", "f" * 32, seed.ALPHA),
        ("ONAPPUNINSTALL", genuine, seed.BETA),
        ("ONAPPUNINSTALL", "", seed.ALPHA),
    ):
        answer = target.event(name, token, member_id=member_id, **saved)
        expect(answer.status_code in REFUSED, f"{name} is refused, not {answer.status_code}")
        error = answer.json().get("error")
        expect(error == "invalid_application_token", f"it is called so, not {answer.text}")
    after = target.rows("SELECT count(*), max(id) FROM b24app_eventreceipt")
    expect(after == before, "nothing was stored for them")
    expect(target.calls_so_far() == calls, "and nothing asked")
    return "unknown portals; a missing, empty or wrong application_token: five events"


def browser_gets_no_secret(target: Target) -> str:
    secrets = target.secrets | {target.environment[name] for name in FROM_ENVIRONMENT}
    leaked = [text[:80] for text in target.sent if any(secret in text for secret in secrets)]
    expect(not leaked, f"no response contains one: {leaked}")
    expect(len(secrets) > len(FROM_ENVIRONMENT), "tokens were issued in this run")
    expect(any("data-payment" in text for text in target.sent), "and payments were shown")
    return f"{len(target.sent)} answers searched for {len(secrets)} secrets"


def ids_are_numbers(target: Target) -> str:
    page = target.main_page(seed.MANAGER)
    before = target.calls_so_far()
    bad = ("-1", "0", "1 OR 1=1", "1.5", "../../etc/passwd", "9" * 40)
    for value in bad:
        answer = target.as_script(page, "/payments/", before=value)
        expect(answer.status_code in REFUSED, f"before={value} is refused: {answer.status_code}")
        path = target.as_script(page, f"/payments/runs/{value}/")
        expect(path.status_code in REFUSED, f"a run {value} is refused: {path.status_code}")
    expect(target.calls_so_far() == before, "Bitrix24 was asked nothing for them")
    tab = {**target.opening(seed.MANAGER), "PLACEMENT": "CRM_DEAL_DETAIL_TAB"}
    for value in bad:
        answer = target.open_with({**tab, "PLACEMENT_OPTIONS": f'{{"ID":"{value}"}}'})
        expect(answer.status_code in REFUSED, f"a tab of {value}: {answer.status_code}")
    return f"{', '.join(bad)} as the place in a list, as a run and as a tab's deal"


def logs_are_masked(target: Target) -> str:
    seen = target.tab(seed.MANAGER, seed.SEVERAL_DEAL).payment_rows()
    unpaid = seed.SEVERAL_PAYMENTS[0]
    reader = target.tab(seed.READER, seed.SEVERAL_DEAL)
    forced = reader.post("/payments/pay/", seen[unpaid].fields)
    expect(forced.status_code in REFUSED, f"a forced payment is refused: {forced.status_code}")
    expect(not target.times_paid(unpaid), "and not carried out")
    over = target.request("GET", "/payments/unpaid/", headers={"X-Frame-Session": "forged"})
    expect(over.status_code == 401, f"a forged session is refused: {over.status_code}")
    log, secrets = target.log(), target.secrets | {target.environment[n] for n in FROM_ENVIRONMENT}
    leaked = sum(secret in log for secret in secrets)
    expect(not leaked, f"no secret is in the log: {leaked} are")
    text = "\n".join(target.security_log())
    missing = [
        word for word in ("opening refused", "event refused", "SessionExpired", "QueryLimit")
        if word not in text
    ]  # fmt: skip
    expect(not missing, f"failures, limits and denials are in the security log: {missing} are not")
    return (
        f"the log searched for {len(secrets)} secrets; {len(target.security_log())} security lines"
    )


def events_are_queued(target: Target) -> str:
    paid_before = _payments_sent(target)
    pay(target)
    token = target.opening(seed.MANAGER)["APPLICATION_TOKEN"]
    began = time.monotonic()
    with ThreadPoolExecutor(max_workers=8) as threads:
        answers = list(
            threads.map(
                lambda number: (
                    target.event(
                        "ONPAYMENTENTITYSAVED", token, **{"data[FIELDS][ID]": str(number)}
                    ).status_code
                ),
                [_UNPAID] * BURST,
            )
        )
    seconds = time.monotonic() - began
    expect(set(answers) == {200}, f"every event is taken: {set(answers)}")
    expect(seconds < BURST_SECONDS, f"within {BURST_SECONDS} seconds, not {seconds:.1f}")
    open_ = (
        "SELECT count(*) FROM b24app_eventreceipt "
        "WHERE json_extract(ids, '$.ID') = ? AND handled_at IS NULL"
    )
    target.wait("each is worked afterwards", lambda: not target.count(open_, _UNPAID))
    sent = _payments_sent(target) - paid_before
    expect(sent <= 1 == target.times_paid(seed.PAYMENT), "one payment was sent, and one made")
    return f"{BURST} events in {seconds:.1f} s, all stored and worked; one payment, not sent again"


# A payment that this run does not pay: the app may delay an event of one that is being paid.
_UNPAID = seed.OWN_PAYMENT


def _payments_sent(target: Target) -> int:
    return sum(PAY in (call["method"], *call["batch"]) for call in target.calls())


def everything_has_an_end(target: Target) -> str:
    tables = target.portal_tables()
    expect(tables == set(RETENTION), f"each table's end is known: {tables ^ set(RETENTION)}")
    newest = target.count("SELECT max(id) FROM b24app_eventreceipt WHERE handled_at IS NOT NULL")
    total = target.count("SELECT count(*) FROM b24app_eventreceipt")
    target.rows(
        "UPDATE b24app_eventreceipt SET received_at = datetime(received_at, '-91 days'), "
        "handled_at = datetime(handled_at, '-91 days') WHERE id = ?",
        newest,
    )
    said = target.manage("prune")
    left = target.count("SELECT count(*) FROM b24app_eventreceipt")
    expect(left == total - 1, f"prune deletes the receipt of 91 days ago alone: {total} to {left}")
    expect("History past its time" in said, f"prune looks at the history as well: {said}")
    return f"{len(tables)} tables; manage.py prune on an aged row; the history's end by the tests"


def drill(target: Target) -> str:
    page = target.main_page(seed.MANAGER)
    target.manage("rotate_keys")
    expect(target.as_script(page, "/payments/unpaid/").ok, "after rotate_keys everything works")
    host = re.sub(r"^https?://", "", target.portal_urls[0])
    target.manage("revoke", host)
    pairs = target.count("SELECT count(*) FROM b24app_usertoken")
    expect(not pairs, f"no token is left: {pairs}")
    status = target.as_script(page, "/payments/unpaid/").status_code
    expect(status == 401, f"open pages are refused at once, not {status}")
    expect(target.main_page(seed.ADMIN).payment_rows(), "an administrator's opening restores it")
    return "rotate_keys and revoke against the running app, then an administrator's opening"


_RETENTION = "tests/payments/test_retention.py::"
LINES = (
    Line("D5.1", "a frame's token is proved: alive, this app's, this portal's", frames_are_proved),
    Line("D5.2", "an event without proof is refused without effect", events_are_proved),
    Line("D5.4", "ids are positive integers", ids_are_numbers),
    Line("D5.5", "tokens are masked in logs; failures, limits and denials are logged",
         logs_are_masked),
    Line("D5.6", "events are stored before they are worked; own writes trigger nothing",
         events_are_queued),
    Line("D5.7", "every table with data of people has an end", everything_has_an_end,
         (f"{_RETENTION}test_what_is_past_its_time_goes_and_the_rest_can_be_checked",)),
    Line("D5.8", "one command revokes a portal's tokens, one rotates keys", drill),
    Line("D5.3", "no secret in any answer to the browser", browser_gets_no_secret,
         ("tests/flows/test_secrets.py::test_no_secret_can_be_read_after_a_whole_walk",)),
)  # fmt: skip
