"""Goes through the app's screens by names that are the same in every language."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from playwright.sync_api import FrameLocator

from tests.browser.visit import Visit

# A press that no layout can stop: what is measured is the layout, not the way to it.
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
        """From one of the main page's screens to another."""
        self.press(f"nav a[data-screen={name}]")

    def press(self, selector: str) -> None:
        """What brings another screen, or this one again."""
        self._wait(_READY)
        self.visit.frame().evaluate(_PRESS, selector)
        self._wait(_NEW_SCREEN)

    def part(self, selector: str, comes: str) -> None:
        """What brings a part of the screen, or a dialog: waits until `comes` is there."""
        self._wait(_READY)
        self.visit.frame().evaluate(_PRESS, selector)
        self._wait(f"() => document.querySelector({comes!r}) && {_IDLE}")

    def dialog(self, payment_id: int | str, url: str) -> None:
        """The button of a row whose address ends with `url`, and the dialog that it brings."""
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
