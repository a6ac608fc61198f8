"""Goes through the app's screens by selectors that are the same in every language."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from playwright.sync_api import FrameLocator

from tests.browser.visit import Visit

# Clicks by script: the way to a screen must not depend on the layout that is measured.
_PRESS = """(selector) => {
  document.getElementById("screen")?.setAttribute("data-before", "");
  document.querySelector(selector).click();
}"""
_IDLE = "!document.querySelector('.htmx-request')"
_NEW_SCREEN = f"() => document.querySelector('#screen:not([data-before])') && {_IDLE}"
_READY = f"() => document.body.dataset.session && {_IDLE}"


@dataclass(frozen=True)
class Walk:
    visit: Visit

    @property
    def app(self) -> FrameLocator:
        return self.visit.any_page()

    def main(self) -> None:
        self.visit.page.goto(f"{self.visit.portal.url}/crm/deal/")
        self.visit.main_page()

    def screen(self, name: str) -> None:
        """Clicks the main page's link to this screen, and waits for it."""
        self.press(f"nav a[data-screen={name}]")

    def press(self, selector: str) -> None:
        """Clicks, and waits for the next screen, which may be the same one again."""
        self._wait(_READY)
        self.visit.frame().evaluate(_PRESS, selector)
        self._wait(_NEW_SCREEN)

    def part(self, selector: str, comes: str) -> None:
        """Clicks, and waits until an element that matches `comes` is there."""
        self._wait(_READY)
        self.visit.frame().evaluate(_PRESS, selector)
        self._wait(f"() => document.querySelector({comes!r}) && {_IDLE}")

    def dialog(self, payment_id: int | str, url: str) -> None:
        """Clicks the row's button whose address ends with `url`, and waits for its dialog."""
        self.part(f"#settle-{payment_id} [hx-post$='{url}']", "dialog[open]")

    def close(self) -> None:
        self.visit.frame().evaluate(_PRESS, "dialog [data-close]")
        self._wait("() => !document.querySelector('dialog')")

    def unfold(self) -> None:
        self.visit.frame().evaluate(
            "() => document.querySelectorAll('details').forEach((one) => { one.open = true; })"
        )

    def tick(self, payment_ids: Iterable[int]) -> None:
        for payment_id in payment_ids:
            self.visit.frame().evaluate(_PRESS, f"tr[data-payment='{payment_id}'] .ticking input")

    def _wait(self, condition: str) -> None:
        self.visit.frame().wait_for_function(condition, timeout=60_000)
