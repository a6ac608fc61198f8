"""Nothing is cut off or covered: every screen and dialog, in eight languages, at seven widths, with
the longest words and sums. And the frame is as high as what is in it."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from b24app.localization import languages
from sandbox.api.faults import BEFORE, Fault
from sandbox.tools.demo import Stage, on_stage
from sandbox.world import seed, worst
from tests.browser.fitting import Ruler
from tests.browser.test_history import hand_over
from tests.browser.visit import Visit, press_pay, row_of
from tests.browser.walk import Walk
from tests.soak import SOAK

# The first test of a process also waits until its portals are set up and used.
pytestmark = pytest.mark.timeout(600)

# The longest words, and the widest letters.
CODES = sorted(languages.BY_PORTALS_CODE) if SOAK else ["de", "ru"]
PAY, READ_BACK, KEPT = "sale.paysystem.pay.payment", "crm.item.payment.list", "sale.payment.get"
PAID, REFUSED, UNKNOWN = seed.PLAIN_PAYMENTS[0:3]
LONG_NOTE = worst.LONG_TEXT[:200]

# The colour scheme of the browser's own parts, and the colours of all elements.
COLOURS = """() => [
  getComputedStyle(document.documentElement).colorScheme,
  ...[...document.querySelectorAll("html, body *")].map((element) => {
    const { color, backgroundColor, borderTopColor } = getComputedStyle(element);
    return [color, backgroundColor, borderTopColor].join();
  }),
]"""
SUBMIT = "(selector) => document.querySelector(selector).requestSubmit()"
# Wide enough for any content: the difference is a scroll bar.
FITS = """() => {
  const { scrollWidth, clientWidth, scrollHeight, clientHeight } = document.documentElement;
  return scrollWidth <= clientWidth && scrollHeight <= clientHeight && innerWidth === clientWidth;
}"""

# The frame is exactly as high as its content.
FILLED = "() => innerHeight === Math.ceil(document.body.getBoundingClientRect().height)"


# A stage for this module alone: its portals are full of the longest words.
@pytest.fixture(scope="module")
def stage(chromium: str) -> Iterator[Stage]:
    with on_stage(port=0, portal_ports=(0, 0), app_port=0, say=lambda _: None) as up:
        for portal in up.sandbox.world.portals.values():
            portal.bucket_size = 100_000
            worst.worsen(portal)
        yield up


@pytest.fixture(scope="module")
def in_use(browser: Browser, stage: Stage, installed: None) -> None:
    """Makes payments in each state, a paused run, a request for approval, an attempt to decide
    on."""
    hand_over(
        stage,
        990_001,
        f"{worst.NUMBERS[0]}990001",
        pay_system_name=worst.SYSTEM_NAMES[0],
        sum=str(worst.SUMS["EUR"]),
        note=LONG_NOTE,
    )
    with Visit.of(browser, stage.alpha, seed.ADMIN) as admin:
        walk = Walk(admin)
        walk.main()
        for currency in ("JPY", "KWD"):
            walk.screen("policy")
            walk.app.locator("[name=limit_currency]").last.fill(currency)
            walk.app.locator("[name=limit_sum]").last.fill("1")
            walk.press("[data-save]")
        walk.screen("systems")
        walk.press("[hx-post$='provider/create/']")
    with Visit.of(browser, stage.alpha, seed.MANAGER) as manager:
        walk = Walk(manager)
        manager.deal(seed.JPY_DEAL)
        walk.dialog(seed.JPY_PAYMENT, "approvals/question/")
        walk.part("dialog .button-main", f"#settle-{seed.JPY_PAYMENT} .reason")
        manager.deal(seed.BUILT_IN_DEAL)
        walk.dialog(seed.ON_DELIVERY_PAYMENT, "mark/question/")
        walk.part("dialog .button-main", "[data-state=marked]")
        pay_each_way(walk, stage)
        pause_a_run(walk)


def pay_each_way(walk: Walk, stage: Stage) -> None:
    """Makes a paid, a refused and an unconfirmed payment in the rows of one deal."""
    faults = stage.sandbox.faults
    walk.visit.deal(seed.PLAIN_DEALS[0])

    def lose_reads() -> None:
        for method in (READ_BACK, KEPT):
            faults.add(Fault("drop", method=method, when=BEFORE, times=None))

    pay(walk, PAID, "paid")
    faults.add(Fault("true_without_payment", method=PAY))
    pay(walk, REFUSED, "refused")
    faults.add(Fault("drop", method=PAY, when=BEFORE, on_hit=lose_reads))
    pay(walk, UNKNOWN, "unknown")
    faults.clear()


def pay(walk: Walk, payment_id: int, state: str) -> None:
    walk.dialog(payment_id, "payments/question/")
    walk.part("dialog .button-main", f"#settle-{payment_id}[data-state={state}]")


def pause_a_run(walk: Walk) -> None:
    walk.main()
    walk.tick(seed.PLAIN_PAYMENTS[3:9])
    walk.press("[data-ticked]")
    walk.press("#run-start")
    # Leaves the run first, so that no step of it is on its way when it is paused.
    walk.main()
    walk.screen("bulk")
    walk.part("#run-stop", "[data-run=paused]")


@pytest.fixture(params=CODES)
def code(request: pytest.FixtureRequest, stage: Stage, in_use: None) -> Iterator[str]:
    """Sets both portals to a language during the test; returns the portal's code for it."""
    for portal in (stage.alpha, stage.beta):
        portal.language = request.param
    yield request.param
    for portal in (stage.alpha, stage.beta):
        portal.language = "en"


@pytest.fixture
def ruler(code: str) -> Iterator[Ruler]:
    """Fails at the end of the test with all that was found."""
    ruler = Ruler()
    yield ruler
    if ruler.found:
        pytest.fail(f"in {code}: {ruler.report()}", pytrace=False)


def test_a_managers_tabs_and_their_questions_fit(ruler: Ruler, manager: Visit) -> None:
    walk = Walk(manager)
    manager.deal(seed.SEVERAL_DEAL)
    look(ruler, "tab", manager)
    first = seed.SEVERAL_PAYMENTS[0]
    walk.dialog(first, "payments/question/")
    look(ruler, "question", manager)
    walk.close()
    walk.app.locator(f"#system-{first} select").select_option(str(seed.OTHER_PAY))
    walk.dialog(first, "payments/question/")
    look(ruler, "question, another system", manager)
    manager.deal(seed.BUILT_IN_DEAL)
    look(ruler, "tab of what can be marked", manager)
    walk.dialog(seed.DOCUMENT_PAYMENT, "mark/question/")
    look(ruler, "question to mark", manager)
    manager.deal(seed.PLAIN_DEALS[0])
    look(ruler, "tab, paid, refused and not confirmed", manager)
    walk.dialog(PAID, "undo/question/")
    look(ruler, "question to undo", manager)
    manager.deal(seed.KWD_DEAL)
    look(ruler, "tab above the limit", manager)
    walk.dialog(seed.KWD_PAYMENT, "approvals/question/")
    look(ruler, "question to ask for approval", manager)
    manager.deal(seed.EMPTY_DEAL)
    look(ruler, "empty tab", manager)
    manager.invoice(seed.INVOICE)
    look(ruler, "invoice", manager)
    manager.order(seed.ORDER)
    look(ruler, "order", manager)
    manager.company(seed.COMPANY)
    look(ruler, "company", manager)


def test_a_managers_screens_fit(ruler: Ruler, manager: Visit) -> None:
    walk = Walk(manager)
    walk.main()
    look(ruler, "unpaid", manager)
    walk.tick([seed.USD_PAYMENT, seed.SHARED_PAYMENT])
    look(ruler, "unpaid, ticked", manager)
    walk.screen("approvals")
    look(ruler, "own requests", manager)
    walk.part("[hx-post$='approvals/decision/']", "dialog[open]")
    look(ruler, "question to withdraw", manager)
    walk.close()
    walk.screen("bulk")
    look(ruler, "run, paused", manager)
    walk.part("#run-stop", "[hx-post$='/stop/']")
    look(ruler, "run, to be stopped", manager)
    walk.screen("history")
    walk.unfold()
    look(ruler, "history", manager)


def test_someone_who_may_not_pay_sees_all_of_it(ruler: Ruler, reader: Visit, stage: Stage) -> None:
    reader.deal(seed.SEVERAL_DEAL)
    look(ruler, "tab without the right", reader)
    walk = Walk(reader)
    walk.main()
    walk.screen("approvals")
    look(ruler, "approvals without the right", reader)


def test_an_administrators_screens_fit(ruler: Ruler, admin: Visit) -> None:
    walk = Walk(admin)
    walk.main()
    walk.part("#doctor button", "#doctor table")
    look(ruler, "unpaid and the set-up", admin)
    walk.press("[name=all]")
    look(ruler, "dry run", admin)
    walk.screen("approvals")
    look(ruler, "approvals", admin)
    for decision in ("approve", "decline"):
        walk.part(f"[hx-vals*='{decision}']", "dialog[open]")
        look(ruler, f"question to {decision}", admin)
        walk.close()
    walk.screen("history")
    walk.unfold()
    look(ruler, "history", admin)
    with admin.page.context.expect_page() as opened:
        admin.frame().evaluate(SUBMIT, "[action$='history/print/']")
    ruler.look("history on paper", opened.value)
    opened.value.close()
    walk.app.locator("[name=q]").fill("9999999")
    walk.part(".filter .button-main", "#found .empty")
    look(ruler, "history, nothing found", admin)
    walk.screen("policy")
    for name in ("which_systems", "undo_by", "bulk_by"):
        walk.app.locator(f"[name={name}]").last.check()
    look(ruler, "rules", admin)
    walk.app.locator("[name=undo_hours]").fill("9999")
    walk.app.locator("[name=limit_sum]").first.fill("x" * 24)
    walk.press("[data-save]")
    look(ruler, "rules, not stored", admin)


def test_the_screens_of_payment_systems_fit(ruler: Ruler, admin: Visit) -> None:
    walk = Walk(admin)
    acme = f"[data-system='{seed.ACME_PAY}']"
    ways = {
        "new system": "[hx-get$='systems/new/']",
        "system": f"{acme} [hx-get$='/{seed.ACME_PAY}/']",
        "deletion of a system": f"{acme} [hx-get$='/delete/']",
        "new handler": "[hx-get$='handlers/new/']",
        "handler": "[data-handler='1'] [hx-get$='/1/']",
        "deletion of a handler": "[data-handler='1'] [hx-get$='/delete/']",
        "removal of the provider": "[hx-get$='ask-removal/']",
        "settings": f"{acme} [hx-get$='/settings/']",
    }
    walk.main()
    walk.screen("systems")
    look(ruler, "payment systems", admin)
    for name, selector in ways.items():
        walk.press(selector)
        look(ruler, name, admin)
        if name == "settings":
            walk.app.locator("#payment-id").fill(str(seed.PAYMENT))
            walk.part("[hx-post$='/effective/'] button", "#effective > *")
            look(ruler, "what a payment is paid with", admin)
        elif name == "new system":
            walk.press("form.card .button-main")
            look(ruler, "new system, refused", admin)
        walk.press("[hx-get$='payments/systems/']")


def test_pages_outside_of_the_frame_and_pages_of_errors_fit(
    ruler: Ruler, manager: Visit, stage: Stage
) -> None:
    manager.expected |= {404, 504}
    manager.deal(seed.PLAIN_DEALS[2])
    address = urlsplit(manager.frame().url)
    app = f"{address.scheme}://{address.netloc}"
    page, language = manager.page, languages.of_portal(stage.alpha.language)
    for name in ("", "checkout/no-bill/", "legal/license/", "legal/privacy/"):
        page.goto(f"{app}/{name}?LANG={stage.alpha.language}&lang={language}")
        ruler.look(f"/{name}", page)
    stage.sandbox.faults.add(Fault("html502", method=READ_BACK, times=None))
    page.goto(f"{stage.alpha.url}/crm/deal/details/{seed.PLAIN_DEALS[2]}/")
    page.get_by_role("navigation", name="Tabs").get_by_role("link").last.click()
    expect(manager.any_page().locator("[data-retry]")).to_be_visible()
    look(ruler, "not opened", manager)
    stage.sandbox.faults.clear()


def test_the_installer_fits(ruler: Ruler, browser: Browser, stage: Stage) -> None:
    with Visit.of(browser, stage.beta, seed.ADMIN) as visit:
        visit.expected.add(504)
        # Another language has begun to install the app before.
        stage.beta.installations.pop(seed.OUR_CLIENT_ID, None)
        stage.sandbox.faults.add(Fault("html502", method="placement.get", times=None))
        visit.page.goto(f"{stage.beta.url}/marketplace/")
        visit.page.get_by_role("row", name="Pay for Bitrix24").get_by_role("button").click()
        expect(visit.app().locator("[data-again]")).to_be_visible()
        look(ruler, "installation", visit)
        stage.sandbox.faults.clear()


def look(ruler: Ruler, name: str, visit: Visit) -> None:
    ruler.look(name, visit.page, visit.frame())


def test_a_tab_has_no_scroll_bar_at_1280_even_with_a_question_open(manager: Visit) -> None:
    app = manager.deal(seed.SEVERAL_DEAL)
    expect(row_of(app, seed.SEVERAL_PAYMENTS[0])).to_be_visible()
    frame = manager.frame()
    frame.wait_for_function(FITS)
    # The longer question, which is higher than the frame was.
    row = row_of(app, seed.SEVERAL_PAYMENTS[0])
    row.get_by_role("combobox").select_option(str(seed.OTHER_PAY))
    question = press_pay(app, seed.SEVERAL_PAYMENTS[0])
    frame.wait_for_function(FITS)
    expect(question.get_by_role("button", name="Cancel")).to_be_in_viewport(ratio=1)


def test_the_main_page_has_no_scroll_bar_at_1280(manager: Visit) -> None:
    app = manager.main_page()
    expect(app.locator("tr[data-payment]").first).to_be_visible()
    manager.frame().wait_for_function(FITS)


def test_the_frame_is_as_high_as_the_screen_in_it_also_after_a_longer_one(manager: Visit) -> None:
    app = manager.main_page()
    expect(app.locator("tr[data-payment]").nth(10)).to_be_visible()
    frame = manager.frame()
    frame.wait_for_function(FILLED)
    long = frame.evaluate("innerHeight")
    app.get_by_role("link", name="Approvals").click()
    expect(app.get_by_role("heading", name="Approvals")).to_be_visible()
    frame.wait_for_function(FILLED)
    assert frame.evaluate("innerHeight") < long / 2


def test_a_screen_that_is_long_in_coming_is_seen_to_come(manager: Visit, stage: Stage) -> None:
    app = manager.main_page()
    held = stage.sandbox.faults.add(Fault("hold", method="batch"))
    app.get_by_role("link", name="Approvals").click()
    screen = app.locator("#screen")
    expect(screen).to_have_attribute("aria-busy", "true")
    held.release.set()
    expect(app.get_by_role("heading", name="Approvals")).to_be_visible()
    expect(screen).not_to_have_attribute("aria-busy", "true")


def test_the_app_stays_light_beside_the_portal_whatever_the_system_prefers(manager: Visit) -> None:
    manager.deal(seed.SEVERAL_DEAL)
    colours = []
    for scheme in ("light", "dark"):
        manager.page.emulate_media(color_scheme=scheme)
        colours.append(manager.frame().evaluate(COLOURS))
    assert colours[0] == colours[1]
    assert colours[0][0] == "light"
