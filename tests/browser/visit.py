"""Drives one person's browser window in one portal, and fails on any error in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from playwright.sync_api import Browser, Frame, FrameLocator, Locator, Page, Response, expect

from sandbox.world.world import Portal

WIDTH, HEIGHT = 1280, 900
NARROW = "() => document.documentElement.scrollWidth <= document.documentElement.clientWidth"
# No test answers the print dialog, and it blocks its page while it is open.
NO_PRINTER = "window.print = () => { window.asked_to_print = true; };"
# The console line of the browser about an error response that a test expects.
_ABOUT_STATUS = "Failed to load resource: the server responded with a status of {}"


@dataclass
class Visit:
    page: Page
    portal: Portal
    troubles: list[str] = field(default_factory=list)
    expected: set[int] = field(default_factory=set)

    @classmethod
    @contextmanager
    def of(cls, browser: Browser, portal: Portal, user_id: int) -> Iterator[Visit]:
        """Signed in. At the end, nothing may have been written to the console as an error, no
        script have failed and no answer been an error, but for statuses in `expected`."""
        context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT})
        try:
            context.add_init_script(NO_PRINTER)
            visit = cls(context.new_page(), portal)
            visit._watch()
            visit._sign_in(user_id)
            yield visit
            assert not visit.troubles, visit.troubles
        finally:
            context.close()

    def _watch(self) -> None:
        self.page.on("pageerror", lambda error: self.troubles.append(f"script: {error}"))
        self.page.on(
            "console",
            lambda said: self._note(f"console: {said.text}") if said.type == "error" else None,
        )
        self.page.on("response", self._look_at)

    def _look_at(self, response: Response) -> None:
        if response.status >= 400 and response.status not in self.expected:
            self.troubles.append(f"{response.status} from {response.url}")

    def _note(self, trouble: str) -> None:
        if not any(_ABOUT_STATUS.format(status) in trouble for status in self.expected):
            self.troubles.append(trouble)

    def _sign_in(self, user_id: int) -> None:
        self.page.goto(f"{self.portal.url}/")
        self.page.locator(f"button[name=user_id][value='{user_id}']").click()

    def deal(self, deal_id: int) -> FrameLocator:
        """Opens the app's tab in the card of a deal."""
        self.page.goto(f"{self.portal.url}/crm/deal/details/{deal_id}/")
        return self.tab()

    def invoice(self, invoice_id: int) -> FrameLocator:
        self.page.goto(f"{self.portal.url}/crm/type/31/details/{invoice_id}/")
        return self.tab()

    def order(self, order_id: int) -> FrameLocator:
        self.page.goto(f"{self.portal.url}/shop/orders/details/{order_id}/")
        return self.tab()

    def company(self, company_id: int) -> FrameLocator:
        self.page.goto(f"{self.portal.url}/crm/company/details/{company_id}/")
        return self.tab()

    def from_list(self, path: str, title: str) -> FrameLocator:
        """Opens the app from the menu of a row: a slider over the list."""
        self.page.goto(f"{self.portal.url}{path}")
        row = self.page.get_by_role("row").filter(has_text=title)
        row.locator("summary").click()
        row.get_by_role("button", name="Pay…").click()
        slider = self.page.frame_locator("iframe.slider-page")
        app = slider.frame_locator("iframe.app-frame")
        expect(app.locator("body[data-session]")).to_be_attached()
        self.frame().wait_for_load_state()
        return app

    def tab(self) -> FrameLocator:
        self.page.get_by_role("navigation", name="Tabs").get_by_role("link").last.click()
        return self.app()

    def main_page(self) -> FrameLocator:
        self.page.get_by_role("link", name="Pay for Bitrix24").click()
        return self.app()

    def any_page(self) -> FrameLocator:
        """Returns the app's frame, also where it could not find out who opened it."""
        return self.page.frame_locator("iframe.app-frame")

    def app(self) -> FrameLocator:
        """Returns the app's frame, once its scripts run."""
        app = self.any_page()
        expect(app.locator("body[data-session]")).to_be_attached()
        self.frame().wait_for_load_state()
        return app

    def frame(self) -> Frame:
        """Finds the frame by the name that the portal gives it: host, protocol and session."""
        return next(frame for frame in self.page.frames if frame.name.count("|") == 2)

    def in_crm(self, payment_id: int) -> Locator:
        """Returns the payment as the portal's own page shows it, below the app's frame."""
        return self.page.locator(f"tbody[data-payments] tr[data-payment='{payment_id}']")


def install(visit: Visit) -> None:
    """Installs from the portal's list of applications, as an administrator does."""
    visit.page.goto(f"{visit.portal.url}/marketplace/")
    row = visit.page.get_by_role("row", name="Pay for Bitrix24")
    row.get_by_role("button", name="Install").click()
    # The portal reloads its page once the installation is finished.
    visit.page.wait_for_url("**install_finished=Y**")
    expect(visit.app().get_by_role("heading", name="Unpaid payments")).to_be_visible()


def row_of(app: FrameLocator, payment_id: int) -> Locator:
    return app.locator(f"tr[data-payment='{payment_id}']")


def choose_other_way(app: FrameLocator, payment_id: int, name: str) -> None:
    """Chooses another pay system by name, for a payment whose own one cannot be paid through."""
    row = row_of(app, payment_id)
    row.get_by_text("Pay by another system").click()
    row.get_by_role("combobox").select_option(label=name)


def press_pay(app: FrameLocator, payment_id: int) -> Locator:
    """Presses Pay in the row; returns the dialog."""
    row_of(app, payment_id).get_by_role("button", name="Pay").click()
    question = app.get_by_role("dialog")
    expect(question).to_be_visible()
    return question
