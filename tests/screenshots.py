"""`make screenshots`: each screen in the sandbox's portal, and the pictures of the listing.

Into docs/images at 1280 and 390 pixels, into docs/marketplace/screenshots at 1280 × 720, and the
icon from its SVG. People, deals and sums are the sandbox's, all of them made up.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, FrameLocator, expect, sync_playwright

from sandbox.tools.app_process import ROOT
from sandbox.tools.demo import Stage, on_stage
from sandbox.world import seed
from tests.browser.conftest import FLAGS
from tests.browser.test_policy import opened, set_limit
from tests.browser.visit import Visit, install, press_pay, row_of
from tests.png import packed

IMAGES = ROOT / "docs" / "images"
LISTING = ROOT / "docs" / "marketplace"
DESK, PHONE = (1280, 720), (390, 844)
ICON_SIDE = 512
# What the sandbox adds to a portal's page, and what a phone has no room for.
_WITHOUT_PANEL = ".sandbox-panel, .panel { display: none !important }"
_ON_A_PHONE = f"{_WITHOUT_PANEL} .menu {{ display: none }} .page {{ margin: 0; padding: 0 }}"
_BUSY = ".htmx-request"


@dataclass(frozen=True)
class Shot:
    """A picture's name and caption, whose screen it is, how to reach it, its place in the
    listing."""

    name: str
    words: str
    user_id: int
    open: Callable[[Visit], FrameLocator]
    listing: int = 0
    language: str = "en"


def screen(name: str) -> Callable[[Visit], FrameLocator]:
    def opened(visit: Visit) -> FrameLocator:
        app = visit.main_page()
        if name != "unpaid":
            app.locator(f"nav a[data-screen={name}]").click()
        expect(app.locator(f"main[data-screen={name}]")).to_be_visible()
        return app

    return opened


def deal_tab(visit: Visit) -> FrameLocator:
    return visit.deal(seed.SEVERAL_DEAL)


def invoice_tab(visit: Visit) -> FrameLocator:
    return visit.invoice(seed.INVOICE)


def question(visit: Visit) -> FrameLocator:
    app = visit.deal(seed.USD_DEAL)
    press_pay(app, seed.USD_PAYMENT)
    return app


def several(visit: Visit) -> FrameLocator:
    """Ticks three payments, before any of them is paid."""
    app = visit.main_page()
    boxes = app.get_by_role("row").get_by_role("checkbox")
    expect(boxes.first).to_be_visible()
    for box in boxes.all()[:3]:
        box.check()
    app.get_by_role("button", name="Review selected").click()
    expect(app.locator("#run-start")).to_be_visible()
    return app


SHOTS = (
    Shot("deal-tab", "The tab of a deal", seed.MANAGER, deal_tab, listing=1),
    Shot("question", "What is asked before a payment", seed.MANAGER, question, listing=2),
    Shot("invoice-tab", "The tab of an invoice", seed.MANAGER, invoice_tab),
    Shot(
        "unpaid", "Unpaid payments, the app's own page", seed.MANAGER, screen("unpaid"), listing=3
    ),
    Shot("bulk", "Several at once, before anything is paid", seed.MANAGER, several),
    Shot("approvals", "Approvals", seed.ADMIN, screen("approvals")),
    Shot("history", "History", seed.ADMIN, screen("history"), listing=4),
    Shot("systems", "Payment systems", seed.ADMIN, screen("systems")),
    Shot("policy", "The administrator's rules", seed.ADMIN, screen("policy"), listing=5),
    Shot("german-tab", "The tab of a deal, in German", seed.MANAGER, deal_tab, language="de"),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.screenshots", description=__doc__)
    parser.add_argument("--only", nargs="*", help="names of pictures, and `icon`; else all")
    only = parser.parse_args().only
    chromium = (
        os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    )
    if chromium is None:
        sys.stderr.write("No Chromium here: install it, or set CHROMIUM to its path.\n")
        return 1
    shots = [shot for shot in SHOTS if not only or shot.name in only]
    with (
        on_stage(port=0, portal_ports=(0, 0), app_port=0, say=lambda _: None) as stage,
        sync_playwright() as playwright,
    ):
        for portal in stage.sandbox.world.portals.values():
            portal.bucket_size = 100_000  # many screens in few seconds
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        if not only or "icon" in only:
            draw_icon(browser)
        prepare(browser, stage)
        for shot in shots:
            take(browser, stage, shot)
        browser.close()
    write_page()
    return 0


def write_page() -> None:
    """Writes docs/screens.md from the pictures that exist."""
    parts = ["# The screens\n\nMade by `make screenshots` in the sandbox; all in it is made up.\n"]
    for shot in SHOTS:
        desk, phone = (f"{shot.name}-{width}.png" for width in (DESK[0], PHONE[0]))
        if not (IMAGES / desk).exists():
            continue
        part = f"\n## {shot.words}\n\n![{shot.words}, on a desktop](images/{desk})\n"
        if (IMAGES / phone).exists():
            part += (
                f'\n<img src="images/{phone}" alt="{shot.words}, on a phone" width="{PHONE[0]}">\n'
            )
        parts.append(part)
    (ROOT / "docs" / "screens.md").write_text("".join(parts), encoding="utf-8")


def prepare(browser: Browser, stage: Stage) -> None:
    """Sets a portal up: the app installed, some payments made, one approval requested."""
    with Visit.of(browser, stage.alpha, seed.ADMIN) as admin:
        install(admin)
        set_limit(opened(admin, "Rules"), "JPY", "100000")
    with Visit.of(browser, stage.alpha, seed.MANAGER) as manager:
        for deal_id, payment_id in (
            (seed.DEAL, seed.PAYMENT),
            (seed.SEVERAL_DEAL, seed.SEVERAL_PAYMENTS[2]),
            (seed.PLAIN_DEALS[0], seed.PLAIN_PAYMENTS[0]),
            (seed.PLAIN_DEALS[2], seed.PLAIN_PAYMENTS[6]),
        ):
            app = manager.deal(deal_id)
            press_pay(app, payment_id).get_by_role("button", name="Pay").click()
            expect(row_of(app, payment_id).locator("[data-state=paid]")).to_be_visible()
        app = manager.deal(seed.JPY_DEAL)
        asked = row_of(app, seed.JPY_PAYMENT)
        asked.get_by_role("button", name="Ask for approval").click()
        app.get_by_role("dialog").get_by_role("button", name="Ask for approval").click()
        expect(asked).to_contain_text("It has not been decided yet")


def take(browser: Browser, stage: Stage, shot: Shot) -> None:
    stage.alpha.language = shot.language
    for width, height in (DESK, PHONE):
        with Visit.of(browser, stage.alpha, shot.user_id) as visit:
            page = visit.page
            app = shot.open(visit)
            page.set_viewport_size({"width": width, "height": height})
            page.add_style_tag(content=_ON_A_PHONE if width == PHONE[0] else _WITHOUT_PANEL)
            expect(app.locator(_BUSY)).to_have_count(0)
            visit.frame().wait_for_function("() => document.fonts.status === 'loaded'")
            picture = packed(page.screenshot(animations="disabled", caret="hide"))
        save(IMAGES / f"{shot.name}-{width}.png", picture)
        if shot.listing and (width, height) == DESK:
            save(LISTING / "screenshots" / f"{shot.listing}-{shot.name}.png", picture)


def draw_icon(browser: Browser) -> None:
    page = browser.new_page(viewport={"width": ICON_SIDE, "height": ICON_SIDE})
    page.set_content(
        "<style>body { margin: 0 } svg { display: block }</style>"
        + (LISTING / "icon.svg").read_text(encoding="utf-8")
    )
    save(LISTING / "icon.png", packed(page.screenshot()))
    page.close()


def save(path: Path, picture: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(picture)
    sys.stdout.write(f"{path.relative_to(ROOT)}  {len(picture) // 1024} KiB\n")


if __name__ == "__main__":
    sys.exit(main())
