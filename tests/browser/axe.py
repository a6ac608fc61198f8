"""axe-core in a page or a frame of it: what stands in the way of whoever hears or cannot point."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Frame, Page

WIDTHS = {1280: 900, 390: 844}
# Every rule in the light, and in the dark those of colours: nothing else differs there.
SCHEMES: dict[Literal["light", "dark"], list[str]] = {"light": [], "dark": ["color-contrast"]}
# On a phone the portal shows the app without what is around it at a desk.
PORTAL_ON_A_PHONE = (
    "@media (max-width: 500px) { .menu { display: none } .page { margin: 0; padding: 0 } }"
)
# Colours that are on their way would be measured; a progress bar never ends.
STILL = """() => Promise.all(document.getAnimations()
  .filter((one) => one.effect.getComputedTiming().endTime !== Infinity)
  .map((one) => one.finished.catch(() => {})))"""
# The portal fits its frame to what is in it, a message later than that was made wide again.
AT_REST = """() => new Promise((done) => {
  let last = "", still = 0;
  const look = () => {
    const frames = [...document.querySelectorAll("iframe")];
    const now = JSON.stringify(frames.map((one) => one.getBoundingClientRect()));
    still = now === last ? still + 1 : 0;
    last = now;
    still === 10 ? done() : requestAnimationFrame(look);
  };
  look();
})"""
# Not by a script element, which the page's own policy forbids: the debugger may evaluate anyway.
RUN = """async (only) => {
  const runOnly = only.length ? { runOnly: only } : {};
  const { violations } = await axe.run(document, { resultTypes: ["violations"], ...runOnly });
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ html, any }) => [id, any[0]?.message ?? help, html].join(": ")));
}"""


@dataclass
class Auditor:
    """Looks at one thing after the other, in light and dark, at a desk and on a phone, and says at
    the end what was found and where."""

    found: dict[str, list[str]] = field(default_factory=dict)
    looked: list[str] = field(default_factory=list)

    def look(self, name: str, page: Page, frame: Frame | None = None) -> None:
        """`frame` is what is looked at, None the page itself. Afterwards all is at rest where it
        was before, so that what is pressed next is where the browser thinks it is."""
        at = frame or page.main_frame
        if frame is not None:
            page.add_style_tag(content=PORTAL_ON_A_PHONE)
        for width, height in WIDTHS.items():
            page.set_viewport_size({"width": width, "height": height})
            for scheme, only in SCHEMES.items():
                page.emulate_media(color_scheme=scheme)
                at.evaluate(STILL)
                at.evaluate(f"() => {{ if (!window.axe) {{ {AXE_SCRIPT} }} }}")
                for violation in at.evaluate(RUN, only):
                    self.found.setdefault(violation, []).append(f"{name}, {scheme}, {width}")
        page.set_viewport_size({"width": 1280, "height": 900})
        page.emulate_media(color_scheme="light")
        page.evaluate(AT_REST)
        self.looked.append(name)

    def report(self) -> str:
        """Each violation once, with where it was seen first."""
        return "\n".join(
            f"{violation}\n  {places[0]} and {len(places) - 1} more"
            for violation, places in self.found.items()
        )
