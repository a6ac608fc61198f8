"""Visits a portal over HTTP, without a browser, and opens the app's frame by its form."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin

import requests

from sandbox.tools import elements
from sandbox.tools.elements import Element

TIMEOUT_SECONDS = 30
SESSION_HEADER = "X-Frame-Session"


class Unexpected(Exception):
    """A page differs from what is expected; the message says how."""


@dataclass
class AppPage:
    """The page in the frame, and the session that its requests send."""

    address: str
    tree: Element
    session: str
    browser: requests.Session
    sid: str
    auth: str  # the frame's own access token, as the portal posted it

    def post(self, path: str, fields: dict[str, str]) -> requests.Response:
        """POSTs as the page's own script does, by htmx."""
        return self.browser.post(
            urljoin(self.address, path),
            data=fields,
            headers={
                SESSION_HEADER: self.session,
                "HX-Request": "true",
                "Origin": urljoin(self.address, "/").rstrip("/"),
            },
            timeout=TIMEOUT_SECONDS,
            allow_redirects=False,
        )

    def broken_assets(self) -> list[str]:
        """Returns the page's scripts and styles that do not load."""
        sources = [script.attributes.get("src") for script in self.tree.all("script")]
        sources += [link.attributes.get("href") for link in self.tree.all("link", rel="stylesheet")]
        addresses = [urljoin(self.address, source) for source in sources if source]
        return [
            address
            for address in addresses
            if not self.browser.get(address, timeout=TIMEOUT_SECONDS).ok
        ]

    def payment_rows(self) -> dict[int, Element]:
        return {
            int(row.attributes["data-payment"]): row
            for row in self.tree.all("tr")
            if "data-payment" in row.attributes
        }


@dataclass
class Visitor:
    """A person signed in to the portal. Requests to the app send no cookie of the portal."""

    portal_url: str
    # Trusted certificates for the app: True for the system's, or a file.
    app_certificates: bool | str = True
    portal: requests.Session = field(default_factory=requests.Session)
    app: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        # Everything is on this machine: use no proxy.
        self.portal.trust_env = self.app.trust_env = False
        self.app.verify = self.app_certificates

    def sign_in(self, user_id: int) -> None:
        self.submit("/sign-in/", {"user_id": str(user_id)})

    def page(self, path: str) -> Element:
        return self._tree(self.portal.get(self._address(path), timeout=TIMEOUT_SECONDS))

    def submit(self, path: str, fields: dict[str, str]) -> Element:
        return self._tree(
            self.portal.post(self._address(path), data=fields, timeout=TIMEOUT_SECONDS)
        )

    def ask(self, path: str, fields: dict[str, str]) -> Any:
        """POSTs to the portal as its own script does; returns the JSON reply."""
        response = self.portal.post(self._address(path), data=fields, timeout=TIMEOUT_SECONDS)
        return response.json()

    def open_frame(self, page: Element) -> AppPage:
        """POSTs the hidden form of a portal page to the app, as a browser does."""
        form, layout = page.first("form", method="post", target=_frame_name(page)), _layout(page)
        if form is None:
            raise Unexpected("the portal's page has no form for the application's frame")
        response = self.app.post(
            form.attributes["action"],
            data=form.fields,
            headers={"Origin": self.portal_url},
            timeout=TIMEOUT_SECONDS,
            allow_redirects=False,
        )
        if not response.ok:
            raise Unexpected(
                f"the app returned {response.status_code} to its opening: "
                f"{elements.read(response.text).text}"
            )
        if response.cookies:
            raise Unexpected("the app set a cookie in the frame")
        tree = elements.read(response.text)
        body = tree.having("data-session")
        return AppPage(
            address=response.url,
            tree=tree,
            session=body.attributes["data-session"] if body else "",
            browser=self.app,
            sid=str(layout["sid"]),
            auth=form.fields["AUTH_ID"],
        )

    def rest(self, method: str, auth: str, **parameters: object) -> Any:
        """Calls a REST method of the portal with this person's token."""
        response = self.portal.post(
            self._address(f"/rest/{method}"),
            json={**parameters, "auth": auth},
            timeout=TIMEOUT_SECONDS,
        )
        return response.json()

    def _address(self, path: str) -> str:
        return urljoin(f"{self.portal_url}/", path)

    def _tree(self, response: requests.Response) -> Element:
        if not response.ok:
            raise Unexpected(f"the portal returned {response.status_code} at {response.url}")
        return elements.read(response.text)


def _frame_name(page: Element) -> str:
    frame = page.first("iframe")
    if frame is None:
        raise Unexpected(f"the portal shows no frame: {page.text}")
    return frame.attributes["name"]


def _layout(page: Element) -> dict[str, Any]:
    script = page.first("script", id="layout")
    layout: dict[str, Any] = json.loads(script.text) if script else {}
    return layout
