"""Measures screens at seven widths: finds what is cut off, covered, or outside of its card."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Frame, Page

# Of the app's frame: 320 px is the least that WCAG asks for, 996 px what a portal on a laptop of
# 1280 px leaves to it.
WIDTHS = (320, 390, 640, 800, 996, 1280, 1920)
# Gives the whole window to the frame, so that the window's width is the frame's.
ONLY_THE_FRAME = """
  .menu, .panel, .sandbox-panel, .page-head { display: none !important }
  .page { margin: 0 !important; padding: 0 !important }
"""
_MEASURE = (Path(__file__).parent / "fitting.js").read_text(encoding="utf-8")


@dataclass
class Ruler:
    """Collects what does not fit, by the screen where it was seen."""

    found: dict[str, dict[str, list[int]]] = field(default_factory=dict)

    def look(self, name: str, page: Page, frame: Frame | None = None) -> None:
        """Measures `frame`, or `page` itself where there is no frame, at each width."""
        if frame is not None:
            page.add_style_tag(content=ONLY_THE_FRAME)
        page.wait_for_load_state()  # A window opened a moment ago has no styles yet.
        for width in WIDTHS:
            # A browser delays the layout of a frame that is out of sight.
            page.evaluate("() => scrollTo(0, 0)")
            page.set_viewport_size({"width": width, "height": 900})
            for sentence in (frame or page).evaluate(_MEASURE, width):
                self.found.setdefault(name, {}).setdefault(sentence, []).append(width)

    def report(self) -> str:
        """One paragraph a screen, one line an offender with the widths at which it was seen."""
        parts = []
        for name, sentences in self.found.items():
            lines = [f"  {sentence} {widths}" for sentence, widths in sentences.items()]
            parts.append("\n".join([f"{name}:", *lines]))
        total = sum(map(len, self.found.values()))
        return "\n".join([f"{total} offenders on {len(self.found)} screens", *parts])
