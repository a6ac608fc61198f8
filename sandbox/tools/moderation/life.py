"""Checks the app's addresses and its installation: D1 and D2 of the checklist."""

from __future__ import annotations

from sandbox.tools import elements
from sandbox.tools.moderation.behaviour import pay
from sandbox.tools.moderation.lines import Line, expect, found
from sandbox.tools.moderation.target import APPLICATION, Target
from sandbox.tools.visitor import AppPage, Visitor
from sandbox.world import seed

REACHED = (200, 301, 302)
ADDRESSES = ("/", "/install/")
REFUSED = range(400, 500)


def addresses_respond_to_head(target: Target) -> str:
    for method in ("HEAD", "GET"):
        for path in ADDRESSES:
            status = target.request(method, path).status_code
            expect(status in REACHED, f"{method} {path} returns 200, 301 or 302, not {status}")
    return "HEAD and GET on the app's and the installer's address"


def posted_addresses_are_not_called(target: Target) -> str:
    """Checks a posted address; the tests of this line check certificates and plain http."""
    fields = {**target.opening(seed.MANAGER), "SERVER_ENDPOINT": "http://127.0.0.1:9/rest/"}
    fields["AUTH_ID"] = "0" * 70
    status = target.open_with(fields).status_code
    expect(
        status in REFUSED, f"an opening that names its own OAuth server is refused, not {status}"
    )
    return "an opening with an http address of its own as OAuth server; certificates by the tests"


def portal_may_frame(target: Target) -> str:
    fields = target.opening(seed.MANAGER)
    before = target.calls_so_far()
    answer = target.open_with(fields)
    target.first_questions = target.first_questions or target.questions(since=before)
    policy = answer.headers.get("Content-Security-Policy", "")
    expect(answer.ok, f"the frame opens, not {answer.status_code}")
    expect("X-Frame-Options" not in answer.headers, "no X-Frame-Options is sent")
    expect(
        f"frame-ancestors {target.portal_urls[0]}" in policy,
        f"frame-ancestors names the portal, which is not of bitrix24.*: {policy}",
    )
    return f"an opening; frame-ancestors names {target.portal_urls[0]}, a portal of one's own"


def installer_leads_on(target: Target) -> str:
    """Installs the app for the first time; the set-up fails once, then succeeds."""
    admin = target.visitor(seed.ADMIN)
    installer = _begin(target, admin)
    expect(installer.tree.text, "the installer's page is not empty")
    finish = found(installer.tree.having("data-finish-url"), "the installer sets up by itself")
    expect(installer.broken_assets() == [], "the installer's script is there")
    path = finish.attributes["data-finish-url"]
    with target.fault("status500", "event.bind", times=20):
        failed = installer.post(path, {})
    expect(not failed.ok, "a set-up that failed is not called finished")
    _expect_closed(target)
    done = installer.post(path, {})
    expect(done.json() == {"ok": True}, f"the set-up succeeds when tried again, not {done.text}")
    _finish(admin, installer)
    return "a set-up with a fault in the portal, then again; the page's own script by the test"


def _expect_closed(target: Target) -> None:
    fields = target.opening(seed.ADMIN)
    early = target.open_with(fields)
    expect(early.status_code in REFUSED, f"nothing opens before the end, not {early.status_code}")
    expect(elements.read(early.text).text, "and the page says why")


def install_delete_install(target: Target) -> str:
    admin = target.visitor(seed.ADMIN)
    for _ in range(2):
        admin.submit("/marketplace/remove/", {"client_id": seed.OUR_CLIENT_ID})
        target.wait("the app learns of its removal", lambda: not _pairs(target))
        installer = _begin(target, admin)
        finish = found(installer.tree.having("data-finish-url"), "the installer comes again")
        for _ in range(2):  # the second time everything is bound already
            done = installer.post(finish.attributes["data-finish-url"], {})
            expect(done.ok, f"the set-up succeeds, not {done.status_code} {done.text}")
        _finish(admin, installer)
        bound = admin.rest("placement.get", installer.auth)["result"]
        codes = [one["placement"] for one in bound]
        expect(len(codes) == len(set(codes)) >= 2, f"each place is bound once, not as in {codes}")
    return "install, delete, install, delete, install in one portal; the set-up pressed twice"


def removal_forgets(target: Target) -> str:
    """Installs the app again at the end, for the next lines."""
    pay(target, deal_id=seed.USD_DEAL, payment_id=seed.USD_PAYMENT)
    page = target.main_page(seed.ADMIN)
    token = target.opening(seed.ADMIN)["APPLICATION_TOKEN"]
    ledger = "SELECT count(*) FROM payments_attempt"
    kept = target.count(ledger)
    expect(kept, "a payment was made before, which is in the ledger")
    forged = target.event("ONAPPUNINSTALL", token, **{"data[CLEAN]": "1"})
    expect(forged.ok, f"the claim is taken, not {forged.status_code}")
    target.manage("work_events")
    expect(_pairs(target), "no token was deleted for the claim, since the app is installed")
    expect(target.as_script(page, "/payments/unpaid/").ok, "and an open page goes on")
    target.open_with(target.opening(seed.MANAGER))  # ends that claim
    # End the pause before another claim is accepted.
    target.rows(
        "UPDATE b24app_removalclaim SET asked_at = NULL, claimed_at = '2001-01-01 00:00:00'"
    )
    admin = target.visitor(seed.ADMIN)
    admin.submit("/marketplace/remove/", {"client_id": seed.OUR_CLIENT_ID})
    target.wait("the app learns of its removal", lambda: not _pairs(target))
    late = target.as_script(page, "/payments/unpaid/")
    expect(late.status_code == 401, f"an open page is refused afterwards, not {late.status_code}")
    expect(target.count(ledger) == kept, "the ledger is kept for the grace time")
    # End the grace time of a removal with data.
    target.rows("UPDATE b24app_removalclaim SET with_data = 1, erase_after = '2001-01-01 00:00:00'")
    target.manage("prune")
    children = {"payments_comment", "payments_runrow"}
    left = {
        table: count
        for table in (target.portal_tables() | children) - _KEPT_WITHOUT_PEOPLE
        if (count := target.count(f"SELECT count(*) FROM {table}"))  # noqa: S608 - of the schema
    }
    expect(not left, f"no row of the portal is left: {left}")
    erased = target.rows("SELECT what, attempts FROM payments_erasure ORDER BY id DESC LIMIT 1")
    expect(erased == [("all", kept)], f"how far the ledger reached is kept, not {erased}")
    who = target.count("SELECT count(*) FROM b24app_restcall WHERE user_id IS NOT NULL")
    expect(not who, "the log of calls has no user")
    tomb = target.rows("SELECT application_token FROM b24app_portal")
    expect(tomb == [("",)], "only the portal's own row stays, without its secret")
    _install(target, admin)
    return "a forged removal, then one with its data, after a payment; every table's rows counted"


# Receipts hold ids of events; the log of calls is masked, and deleted after three days.
_KEPT_WITHOUT_PEOPLE = {"b24app_eventreceipt", "b24app_restcall"}


def forged_removal_is_refused(target: Target) -> str:
    pairs = _pairs(target)
    answer = target.event("ONAPPUNINSTALL", "f" * 32, **{"data[CLEAN]": "1"})
    expect(answer.status_code in REFUSED, f"it is refused, not {answer.status_code}")
    expect(answer.json()["error"] == "invalid_application_token", f"by name, not {answer.text}")
    expect(_pairs(target) == pairs > 0, "no token was deleted for it")
    target.wait(
        "the refusal is in the security log",
        lambda: any("event refused" in line for line in target.security_log()),
    )
    return "a removal with a made-up application_token: refused, logged, nothing deleted"


def application_token_is_renewed(target: Target) -> str:
    fields = target.opening(seed.ADMIN)
    genuine, new = fields["APPLICATION_TOKEN"], "5" * 32
    target.secrets.add(new)
    vouched = {"auth[access_token]": fields["AUTH_ID"]}
    reply = target.event("ONAPPUPDATE", new, **vouched)
    expect(reply.ok, f"an update event brings a new one, not {reply.status_code}")
    saved = {"data[FIELDS][ID]": str(seed.PAYMENT)}
    old = target.event("ONPAYMENTENTITYSAVED", genuine, **saved)
    expect(old.status_code in REFUSED, f"the old one proves nothing now, not {old.status_code}")
    expect(target.event("ONPAYMENTENTITYSAVED", new, **saved).ok, "the new one does")
    expect(target.open_with(fields).ok, "an administrator opens the app")
    expect(target.event("ONPAYMENTENTITYSAVED", genuine, **saved).ok, "the frame renewed it")
    return "an update event, then an administrator's opening; each proved by an event afterwards"


def both_kinds_of_people(target: Target) -> str:
    for user_id in (seed.ADMIN, seed.MANAGER, seed.READER):
        page = target.main_page(user_id)
        expect(page.session and page.payment_rows(), f"user {user_id} is shown payments")
        expect(page.broken_assets() == [], "every script and style loads")
    return "the main page as administrator, manager and reader; before the end see D2.1"


def no_login_is_asked_for(target: Target) -> str:
    expect(any("data-payment" in text for text in target.sent), "this run was shown payments")
    pages = [elements.read(text) for text in target.sent]
    pages.append(elements.read(target.request("GET", "/oauth/start/").text))
    for page in pages:
        asked = page.first("input", type="password") or page.having("autocomplete-password")
        expect(asked is None, "no page has a field for a password")
        logins = [f for f in page.all("input") if f.attributes.get("name") in ("login", "password")]
        expect(not logins, "no page has a field for a login")
    return f"{len(pages)} pages and fragments of this run"


def _pairs(target: Target) -> int:
    return target.count("SELECT count(*) FROM b24app_usertoken")


def _begin(target: Target, admin: Visitor) -> AppPage:
    page = admin.submit("/marketplace/install/", {"client_id": seed.OUR_CLIENT_ID})
    return admin.open_frame(page)


def _finish(admin: Visitor, installer: AppPage) -> None:
    reply = admin.ask(f"/_host/layout/{installer.sid}/installed", {"value": "Y"})
    expect(reply == {"result": True}, "the portal takes the end of the installation")


def _install(target: Target, admin: Visitor) -> None:
    installer = _begin(target, admin)
    done = installer.post("/install/finish/", {})
    expect(done.ok, f"{APPLICATION} is installed, not {done.status_code}")
    _finish(admin, installer)


_TLS = "tests/b24app/test_transport.py::"
LINES = (
    Line("D1.1", "HEAD on both addresses returns 200, 301 or 302", addresses_respond_to_head),
    Line(
        "D2.1",
        "the installer is never empty, leads on by itself, finishes once and only after success",
        installer_leads_on,
        ("tests/browser/test_install.py::"
         "test_an_administrator_installs_and_each_failure_on_the_way_can_be_tried_again",),
    ),
    Line(
        "D1.2",
        "https only outbound, certificate and host name verified, no switch outside tests",
        posted_addresses_are_not_called,
        (f"{_TLS}test_a_server_with_the_wrong_certificate_was_never_sent_to",
         f"{_TLS}test_http_is_for_this_machine_and_only_when_allowed"),
    ),
    Line("D1.3", "the page may be framed by this portal, also a self-hosted one", portal_may_frame),
    Line("D2.2", "install, delete, install passes on one portal", install_delete_install),
    Line("D2.3", "a removal leaves no tokens and no data", removal_forgets),
    Line("D2.4", "a removal with a wrong application_token is rejected and logged",
         forged_removal_is_refused),
    Line("D2.5", "update event and frame renew the application_token",
         application_token_is_renewed),
    Line("D2.6", "works as administrator and as ordinary user; before the end a clear page",
         both_kinds_of_people),
    Line("D2.8", "no field asks for a Bitrix24 login or password", no_login_is_asked_for),
)  # fmt: skip
