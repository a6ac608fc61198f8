"""Security: D5 of the checklist."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor

from sandbox.tools.moderation.behaviour import PAY, REFUSED, pay
from sandbox.tools.moderation.lines import Line, expect
from sandbox.tools.moderation.stand import OTHER_APPLICATION, Stand
from sandbox.world import seed

BURST, BURST_SECONDS = 60, 10.0
FROM_ENVIRONMENT = ("SECRET_KEY", "B24_TOKEN_KEYS", "B24_CLIENT_SECRET")
# Every table that belongs to a portal, and the end of its rows; a removal ends all of them (D2.3).
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


def frames_are_proved(stand: Stand) -> str:
    genuine = stand.opening(seed.MANAGER)
    other = stand.opening(seed.MANAGER, title=OTHER_APPLICATION)
    foreign = stand.opening(seed.MANAGER, portal=1, title=OTHER_APPLICATION)
    pairs = stand.count("SELECT count(*) FROM b24app_usertoken")
    noted = len(stand.security_log())
    forged = {
        "a made-up token": {"AUTH_ID": "0" * 70},
        "another application's token": {"AUTH_ID": other["AUTH_ID"]},
        "another portal's token": {"AUTH_ID": foreign["AUTH_ID"]},
        "a portal that never installed the app": {"member_id": seed.BETA},
        "a portal that does not exist": {"member_id": "9" * 32},
    }
    for name, changes in forged.items():
        answer = stand.open_with({**genuine, **changes})
        expect(answer.status_code in REFUSED, f"{name} opens nothing, not {answer.status_code}")
        expect("data-payment" not in answer.text, f"{name} is shown no payment")
    kept = stand.count("SELECT count(*) FROM b24app_usertoken")
    expect(kept == pairs, "no token was stored for any of them")
    stand.wait(
        "each is in the security log",
        lambda: (
            sum("opening refused" in line for line in stand.security_log()[noted:]) >= len(forged)
        ),
    )
    return ", ".join(forged)


def events_are_proved(stand: Stand) -> str:
    genuine = stand.opening(seed.MANAGER)["APPLICATION_TOKEN"]
    before = stand.rows("SELECT count(*), max(id) FROM b24app_eventreceipt")
    calls = stand.calls_so_far()
    saved = {"data[FIELDS][ID]": str(seed.PAYMENT)}
    for name, token, member_id in (
        ("ONPAYMENTENTITYSAVED", genuine, "0" * 32),
        ("ONPAYMENTENTITYSAVED", None, seed.ALPHA),
        ("ONPAYMENTENTITYSAVED", "f" * 32, seed.ALPHA),
        ("ONAPPUNINSTALL", genuine, seed.BETA),
        ("ONAPPUNINSTALL", "", seed.ALPHA),
    ):
        answer = stand.event(name, token, member_id=member_id, **saved)
        expect(answer.status_code in REFUSED, f"{name} is refused, not {answer.status_code}")
        error = answer.json().get("error")
        expect(error == "invalid_application_token", f"it is called so, not {answer.text}")
    after = stand.rows("SELECT count(*), max(id) FROM b24app_eventreceipt")
    expect(after == before, "nothing was stored for them")
    expect(stand.calls_so_far() == calls, "and nothing asked")
    return "unknown portals; a missing, empty or wrong application_token: five events"


def browser_gets_no_secret(stand: Stand) -> str:
    secrets = stand.secrets | {stand.environment[name] for name in FROM_ENVIRONMENT}
    leaked = [text[:80] for text in stand.sent if any(secret in text for secret in secrets)]
    expect(not leaked, f"no answer holds one: {leaked}")
    expect(len(secrets) > len(FROM_ENVIRONMENT), "tokens were given out in this walk")
    expect(any("data-payment" in text for text in stand.sent), "and payments were shown")
    return f"{len(stand.sent)} answers searched for {len(secrets)} secrets"


def ids_are_numbers(stand: Stand) -> str:
    page = stand.main_page(seed.MANAGER)
    before = stand.calls_so_far()
    bad = ("-1", "0", "1 OR 1=1", "1.5", "../../etc/passwd", "9" * 40)
    for value in bad:
        answer = stand.as_script(page, "/payments/", before=value)
        expect(answer.status_code in REFUSED, f"before={value} is refused: {answer.status_code}")
        path = stand.as_script(page, f"/payments/runs/{value}/")
        expect(path.status_code in REFUSED, f"a run {value} is refused: {path.status_code}")
    expect(stand.calls_so_far() == before, "Bitrix24 was asked nothing for them")
    tab = {**stand.opening(seed.MANAGER), "PLACEMENT": "CRM_DEAL_DETAIL_TAB"}
    for value in bad:
        answer = stand.open_with({**tab, "PLACEMENT_OPTIONS": f'{{"ID":"{value}"}}'})
        expect(answer.status_code in REFUSED, f"a tab of {value}: {answer.status_code}")
    return f"{', '.join(bad)} as the place in a list, as a run and as a tab's deal"


def logs_are_masked(stand: Stand) -> str:
    seen = stand.tab(seed.MANAGER, seed.SEVERAL_DEAL).payment_rows()
    unpaid = seed.SEVERAL_PAYMENTS[0]
    reader = stand.tab(seed.READER, seed.SEVERAL_DEAL)
    forced = reader.post("/payments/pay/", seen[unpaid].fields)
    expect(forced.status_code in REFUSED, f"a forced payment is refused: {forced.status_code}")
    expect(not stand.times_paid(unpaid), "and not carried out")
    over = stand.request("GET", "/payments/unpaid/", headers={"X-Frame-Session": "forged"})
    expect(over.status_code == 401, f"a forged session is refused: {over.status_code}")
    log, secrets = stand.log(), stand.secrets | {stand.environment[n] for n in FROM_ENVIRONMENT}
    leaked = sum(secret in log for secret in secrets)
    expect(not leaked, f"no secret is in the log: {leaked} are")
    text = "\n".join(stand.security_log())
    missing = [
        word for word in ("opening refused", "event refused", "SessionExpired", "QueryLimit")
        if word not in text
    ]  # fmt: skip
    expect(not missing, f"failures, limits and denials are in the security log: {missing} are not")
    return (
        f"the log searched for {len(secrets)} secrets; {len(stand.security_log())} security lines"
    )


def events_are_queued(stand: Stand) -> str:
    paid_before = _payments_sent(stand)
    pay(stand)
    token = stand.opening(seed.MANAGER)["APPLICATION_TOKEN"]
    began = time.monotonic()
    with ThreadPoolExecutor(max_workers=8) as threads:
        answers = list(
            threads.map(
                lambda number: (
                    stand.event(
                        "ONPAYMENTENTITYSAVED", token, **{"data[FIELDS][ID]": str(number)}
                    ).status_code
                ),
                [_NOBODY_PAYS] * BURST,
            )
        )
    seconds = time.monotonic() - began
    expect(set(answers) == {200}, f"every event is taken: {set(answers)}")
    expect(seconds < BURST_SECONDS, f"within {BURST_SECONDS} seconds, not {seconds:.1f}")
    open_ = (
        "SELECT count(*) FROM b24app_eventreceipt "
        "WHERE json_extract(ids, '$.ID') = ? AND handled_at IS NULL"
    )
    stand.wait("each is worked afterwards", lambda: not stand.count(open_, _NOBODY_PAYS))
    sent = _payments_sent(stand) - paid_before
    expect(sent <= 1 == stand.times_paid(seed.PAYMENT), "one payment was sent, and one made")
    return f"{BURST} events in {seconds:.1f} s, all stored and worked; one payment, not sent again"


# The portal's own event about what is being paid may be put off until its payer has read it back.
_NOBODY_PAYS = seed.OWN_PAYMENT


def _payments_sent(stand: Stand) -> int:
    return sum(PAY in (call["method"], *call["batch"]) for call in stand.calls())


def everything_has_an_end(stand: Stand) -> str:
    tables = stand.portal_tables()
    expect(tables == set(RETENTION), f"each table's end is known: {tables ^ set(RETENTION)}")
    newest = stand.count("SELECT max(id) FROM b24app_eventreceipt WHERE handled_at IS NOT NULL")
    total = stand.count("SELECT count(*) FROM b24app_eventreceipt")
    stand.rows(
        "UPDATE b24app_eventreceipt SET received_at = datetime(received_at, '-91 days'), "
        "handled_at = datetime(handled_at, '-91 days') WHERE id = ?",
        newest,
    )
    said = stand.manage("prune")
    left = stand.count("SELECT count(*) FROM b24app_eventreceipt")
    expect(left == total - 1, f"prune deletes the receipt of 91 days ago alone: {total} to {left}")
    expect("History past its time" in said, f"prune looks at the history as well: {said}")
    return f"{len(tables)} tables; manage.py prune on an aged row; the history's end by the tests"


def drill(stand: Stand) -> str:
    page = stand.main_page(seed.MANAGER)
    stand.manage("rotate_keys")
    expect(stand.as_script(page, "/payments/unpaid/").ok, "after rotate_keys everything works")
    host = re.sub(r"^https?://", "", stand.portal_urls[0])
    stand.manage("revoke", host)
    pairs = stand.count("SELECT count(*) FROM b24app_usertoken")
    expect(not pairs, f"no token is left: {pairs}")
    status = stand.as_script(page, "/payments/unpaid/").status_code
    expect(status == 401, f"open pages are refused at once, not {status}")
    expect(stand.main_page(seed.ADMIN).payment_rows(), "an administrator's opening heals it")
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
