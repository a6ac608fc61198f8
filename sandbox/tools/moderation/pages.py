"""Checks the pages: D6 of the checklist."""

from __future__ import annotations

import re
from urllib.parse import urljoin

from sandbox.tools import elements
from sandbox.tools.moderation.behaviour import REFUSED
from sandbox.tools.moderation.lines import Line, expect
from sandbox.tools.moderation.target import Target
from sandbox.world import seed

# Texts that only a developer should see.
_INSIDES = re.compile(
    r"Traceback|\bFile \"|DEBUG = True|OperationalError|IntegrityError|sqlite3?\.|psycopg|django\."
)


def every_link_leads_somewhere(target: Target) -> str:
    page = target.main_page(seed.ADMIN)
    expect(page.broken_assets() == [], "scripts and styles of the page load")
    images = [i.attributes.get("src", "") for i in page.tree.all("img")]
    expect(not [i for i in images if not i.startswith("data:") and not _loads(target, i)], "images")
    links = {
        element.attributes[name]
        for element in page.tree
        for name in ("hx-get", "href")
        if element.attributes.get(name, "").startswith("/")
    }
    dead = []
    for link in sorted(links):
        answer = target.as_script(page, link)
        if not answer.ok:
            dead.append(f"{link}: {answer.status_code}")
    expect(not dead, f"every link of the main page leads somewhere: {dead}")
    return f"{len(links)} links and requests of the main page; scroll bars and scripts in Chromium"


def _loads(target: Target, source: str) -> bool:
    path = urljoin(f"{target.app_url}/", source).removeprefix(target.app_url)
    return target.request("GET", path).ok


def errors_are_words(target: Target) -> str:
    page = target.main_page(seed.MANAGER)
    tried = {
        "404": target.request("GET", "/nowhere/"),
        "405": target.request("PUT", "/"),
        "400": target.request("POST", "/", data="%%%", headers={"Content-Type": "text/plain"}),
        "401": target.request("GET", "/payments/unpaid/"),
        "host": target.request("GET", "/", headers={"Host": "elsewhere.example.com"}),
    }
    for kind in ("status500", "html502", "broken_json", "drop"):
        with target.fault(kind, "batch", times=50):
            tried[kind] = target.as_script(page, "/payments/unpaid/")
    for name, answer in tried.items():
        # If Bitrix24 gives no usable response, the request was not at fault: 5xx.
        expected = REFUSED if name in ("404", "405", "400", "401", "host") else range(500, 600)
        expect(answer.status_code in expected, f"{name} has its status, not {answer.status_code}")
        expect(not _INSIDES.search(answer.text), f"{name} shows nothing of the server's insides")
        expect("utf-8" in answer.headers["Content-Type"].lower(), f"{name} is UTF-8")
        expect(elements.read(answer.text).text, f"{name} is in words")
    return f"{', '.join(tried)}: each a page or fragment with words, in UTF-8"


LINES = (
    Line("D6.1", "no scroll bars at 1280, no script errors, no dead links",
         every_link_leads_somewhere,
         ("tests/browser/test_layout.py::test_the_main_page_has_no_scroll_bar_at_1280",
          "tests/browser/test_layout.py::"
          "test_a_tab_has_no_scroll_bar_at_1280_even_with_a_question_open")),
    Line("D6.2", "no traceback or server text in any error page; UTF-8", errors_are_words),
)  # fmt: skip
