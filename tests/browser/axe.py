"""Runs axe-core in a page or a frame: finds barriers for screen readers and keyboards."""

from __future__ import annotations

from dataclasses import dataclass, field

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Frame, Page

WIDTHS = {1280: 900, 390: 844}
# On a phone the portal shows the app without the menu around it.
PORTAL_ON_A_PHONE = (
    "@media (max-width: 500px) { .menu { display: none } .page { margin: 0; padding: 0 } }"
)
# Waits for transitions, whose colours would be measured; a progress bar never ends.
STILL = """() => Promise.all(document.getAnimations()
  .filter((one) => one.effect.getComputedTiming().endTime !== Infinity)
  .map((one) => one.finished.catch(() => {})))"""
# The portal fits its frame to the content, one message after the frame was made wide again.
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
RUN = """async () => {
  const { violations } = await axe.run(document, { resultTypes: ["violations"] });
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ html, any }) => [id, any[0]?.message ?? help, html].join(": ")));
}"""
# WCAG 1.4.11, which axe does not check: 3:1 between a field's or a button's edge, or its area, and
# what is around it. A quiet button has neither: it is text, and axe looks at that.
EDGES = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const over = (color, [red, green, blue]) => {
    canvas.fillStyle = `rgb(${red} ${green} ${blue})`;
    canvas.fillRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const behind = (element) => element
    ? over(getComputedStyle(element).backgroundColor, behind(element.parentElement))
    : [255, 255, 255];
  const luminance = (color) => color
    .map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, place) => sum + part * [0.2126, 0.7152, 0.0722][place], 0);
  const contrast = (one, other) => {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const fields = "input:not([type=hidden], [type=checkbox], [type=radio])";
  return [...document.querySelectorAll(`button:not(.button-quiet), select, textarea, ${fields}`)]
    .filter((element) => element.checkVisibility() && !element.disabled)
    .map((element) => {
      const around = behind(element.parentElement);
      const { borderTopColor, borderTopWidth, backgroundColor } = getComputedStyle(element);
      const area = over(backgroundColor, around);
      const edge = parseFloat(borderTopWidth) ? over(borderTopColor, area) : area;
      return [element, Math.max(contrast(edge, around), contrast(area, around))];
    })
    .filter(([, most]) => most < 3)
    .map(([element, most]) => `edge of ${most.toFixed(2)}:1: ${element.outerHTML.slice(0, 120)}`);
}"""


@dataclass
class Auditor:
    """Checks screens on a desktop and on a phone, and reports at the end what was found and
    where."""

    found: dict[str, list[str]] = field(default_factory=dict)
    looked: list[str] = field(default_factory=list)

    def look(self, name: str, page: Page, frame: Frame | None = None) -> None:
        """Checks `frame`, or the page itself if that is None. Restores the size and position
        afterwards, so that the next click hits its target."""
        at = frame or page.main_frame
        if frame is not None:
            page.add_style_tag(content=PORTAL_ON_A_PHONE)
        page.wait_for_load_state()  # A window opened a moment ago has no styles yet.
        for width, height in WIDTHS.items():
            page.set_viewport_size({"width": width, "height": height})
            at.evaluate(STILL)
            at.evaluate(f"() => {{ if (!window.axe) {{ {AXE_SCRIPT} }} }}")
            for violation in [*at.evaluate(RUN), *at.evaluate(EDGES)]:
                self.found.setdefault(violation, []).append(f"{name}, {width}")
        page.set_viewport_size({"width": 1280, "height": 900})
        page.evaluate(AT_REST)
        self.looked.append(name)

    def report(self) -> str:
        """Returns each violation once, with the screen where it was first seen."""
        return "\n".join(
            f"{violation}\n  {places[0]} and {len(places) - 1} more"
            for violation, places in self.found.items()
        )
