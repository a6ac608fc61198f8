"""Measures row 6: the first load of the deal tab in a real browser, with an empty cache."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from bench.report import Row, milliseconds
from bench.stage import Stage
from sandbox.tools.demo import on_stage
from sandbox.tools.smoke import Scenario
from sandbox.world import seed

LOADS, QUICK_LOADS = 7, 1
KILOBYTES = 60
FLAGS = [
    "--no-sandbox",  # CI runs as root, where Chromium's own sandbox cannot
    "--test-third-party-cookie-phaseout",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Runs at the start of each frame; `measure` reads the values after the rows appear.
_WATCH = """
window.benchShifts = [];
new PerformanceObserver((list) => {
  for (const { startTime, value } of list.getEntries()) benchShifts.push([startTime, value]);
}).observe({type: "layout-shift", buffered: true});
window.benchRows = null;
const look = () => {
  if (document.querySelector("tr[data-payment]")) {
    requestAnimationFrame(() => { window.benchRows = performance.now(); });
  } else { requestAnimationFrame(look); }
};
requestAnimationFrame(look);
"""
# A shift before the first paint is invisible: the lookup for rows forces an early layout.
_SHIFT = """() => {
  const paint = performance.getEntriesByName("first-contentful-paint")[0].startTime;
  return benchShifts.filter(([at]) => at > paint).reduce((sum, [, value]) => sum + value, 0);
}"""
_TRACED = ["devtools.timeline", "disabled-by-default-devtools.timeline", "toplevel"]


@dataclass
class Load:
    requests: list[str] = field(default_factory=list)
    sent: int = 0  # bytes over the wire, bodies and heads
    rows_at: float = 0.0
    main_thread: float = 0.0
    shift: float = 0.0
    rows_in_html: bool = False
    html: int = 0


def measure(stage: Stage) -> Row:
    row = Row(6, "First load in the browser")
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        row.notes.append("Not measured: no Chromium here (`apt-get install chromium`).")
        return row
    from playwright.sync_api import sync_playwright

    with (
        on_stage(port=0, portal_ports=(0, 0), app_port=0, say=_silent) as portals,
        sync_playwright() as playwright,
    ):
        if portals.app is None:
            raise RuntimeError("the app was not started")
        portals.alpha.bucket_size = portals.beta.bucket_size = 1_000_000
        _install(portals.portal_urls[0])
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        try:
            address = portals.portal_urls[0]
            loads = [
                _load(browser, address, portals.app_url)
                for _ in range(QUICK_LOADS if stage.quick else LOADS)
            ]
        finally:
            browser.close()
    _add_lines(row, loads)
    return row


def _silent(line: str) -> None:
    """Drops the messages of the demo."""


def _install(portal_url: str) -> None:
    Scenario(portal_url, "", _silent).install()


def _load(browser: Any, portal_url: str, app_url: str) -> Load:
    load = Load()
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    try:
        context.add_init_script(_WATCH)
        page = context.new_page()
        page.goto(f"{portal_url}/")
        page.locator(f"button[name=user_id][value='{seed.MANAGER}']").click()
        page.goto(f"{portal_url}/crm/deal/details/{seed.SEVERAL_DEAL}/")
        ours: list[Any] = []
        page.on("requestfinished", _noted(ours, app_url))
        browser.start_tracing(page=page, categories=_TRACED)
        page.get_by_role("navigation", name="Tabs").get_by_role("link").last.click()
        frame_element = page.frame_locator("iframe.app-frame")
        frame_element.locator("tr[data-payment]").first.wait_for()
        frame = next(frame for frame in page.frames if frame.url.startswith(app_url))
        frame.wait_for_load_state("networkidle")
        frame.wait_for_function("window.benchRows !== null")
        load.rows_at = frame.evaluate("window.benchRows") / 1000
        load.shift = frame.evaluate(_SHIFT)
        load.main_thread = _main_thread(json.loads(browser.stop_tracing()), app_url)
        for request in ours:
            sizes = request.sizes()
            load.requests.append(urlsplit(request.url).path)
            load.sent += sizes["responseBodySize"] + sizes["responseHeadersSize"]
        opening = next(request for request in ours if request.method == "POST")
        body = opening.response().body()
        load.rows_in_html = b"data-payment=" in body
        load.html = len(gzip.compress(body))
    finally:
        context.close()
    return load


def _noted(found: list[Any], app_url: str) -> Callable[[Any], None]:
    return lambda request: found.append(request) if request.url.startswith(app_url) else None


def _main_thread(trace: Any, app_url: str) -> float:
    """Returns the busy seconds of the main thread of the frame's process."""
    events = trace["traceEvents"]
    asking = {
        event["pid"]
        for event in events
        if event["name"] == "ResourceSendRequest"
        and event["args"]["data"].get("url", "").startswith(f"{app_url}/static/")
    }
    threads = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    spent = sum(
        event.get("dur", 0)
        for event in events
        if event["name"] == "RunTask"
        and event["pid"] in asking
        and (event["pid"], event["tid"]) in threads
    )
    return float(spent) / 1e6  # a trace counts microseconds


def _add_lines(row: Row, loads: list[Load]) -> None:
    sent = statistics.median(load.sent for load in loads)
    row.add(
        "of our own over the wire",
        f"{sent / 1024:.1f} KB in {statistics.median(len(load.requests) for load in loads):.0f} "
        "requests, heads included",
        goal=f"under {KILOBYTES} KB",
        met=sent < KILOBYTES * 1024,
    )
    row.add("of that, the page itself, compressed", f"{loads[0].html / 1024:.1f} KB")
    row.add(
        "rows in the first HTML response",
        "yes" if all(load.rows_in_html for load in loads) else "no",
        goal="yes",
        met=all(load.rows_in_html for load in loads),
    )
    row.add("time to rows on screen", milliseconds([load.rows_at for load in loads]))
    row.add("main thread at work", milliseconds([load.main_thread for load in loads]))
    shift = max(load.shift for load in loads)
    row.add("layout shift", f"{shift:.4f}", goal="none", met=shift == 0)
    row.notes.append(
        "The deal's tab in a Chromium with an empty cache, the portal and the app on this machine, "
        "the app behind no proxy. The time is counted from the frame's own navigation and holds "
        "the portal's response to the app."
    )
