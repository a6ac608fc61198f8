"""A person at a portal without a browser: its pages over HTTP, the frame as its form opens it."""

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
    """A page is not what it should be; the message says which and how."""


@dataclass
class AppPage:
    """What the frame shows, and the session that its requests carry."""

    address: str
    tree: Element
    session: str
    browser: requests.Session
    sid: str
    auth: str  # the frame's own access token, as the portal posted it

    def post(self, path: str, fields: dict[str, str]) -> requests.Response:
        """A request of the page's own script, as htmx makes it."""
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
        """Scripts and styles of the page that do not answer 200."""
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
    """Somebody signed in to the portal. The app's requests carry none of the portal's cookies."""

    portal_url: str
    # What the app's certificate is checked against: True, or a file.
    app_certificates: bool | str = True
    portal: requests.Session = field(default_factory=requests.Session)
    app: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        # Everything is on this machine: no proxy has a part in it.
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
        """What the portal's own script asks of the portal."""
        response = self.portal.post(self._address(path), data=fields, timeout=TIMEOUT_SECONDS)
        return response.json()

    def open_frame(self, page: Element) -> AppPage:
        """POST the hidden form of a portal page to the application, as the browser does."""
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
                f"the app answered {response.status_code} to its opening: "
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
        """A call to the portal's REST address with a token of this person's."""
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
            raise Unexpected(f"the portal answered {response.status_code} at {response.url}")
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
