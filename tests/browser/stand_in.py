"""Serves a page in the app's place that does nothing by itself, to test the portal alone."""

from __future__ import annotations

import html
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from playwright.sync_api import Browser, Frame, Page

from sandbox.host.visit import cookie_name
from sandbox.server.app import Sandbox
from sandbox.server.ports import LOOPBACK, PortServers, running
from sandbox.world import seed
from sandbox.world.installing import begin_installation
from sandbox.world.world import Installation, Portal

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

# `said` sends as the SDK does and `answers` keeps what comes back; `BX24` is the portal's script.
_PAGE = """<!doctype html><title>Stand-in</title><body>
<script>
  const [host, secure, sid] = window.name.split("|");
  const portal = `${secure === "1" ? "https" : "http"}://${host}`;
  const answers = {};
  window.addEventListener("message", ({ origin, data }) => {
    if (origin !== portal) return;
    const colon = data.indexOf(":");
    answers[data.slice(0, colon)] = data.slice(colon + 1);
  });
  const say = (text) => window.parent.postMessage(text, portal);
  async function answer(id) {
    while (!(id in answers)) await new Promise((again) => setTimeout(again, 10));
    return answers[id] === "" ? null : JSON.parse(answers[id]);
  }
</script>
"""
_INTRUDER = """<!doctype html><title>Intruder</title><script>
  window.addEventListener("message", ({ data }) => window.top.postMessage(data, "*"));
  window.parent.postMessage("ready", "*");
</script>"""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Keeps requests out of a test's output."""


@dataclass(frozen=True)
class Hall:
    """The portals, and the stand-in page in the app's place."""

    sandbox: Sandbox
    app_port: int

    @property
    def alpha(self) -> Portal:
        return self.sandbox.world.portals[seed.ALPHA]

    @property
    def ours(self) -> Installation:
        return self.alpha.installations[seed.OUR_CLIENT_ID]


@contextmanager
def a_hall(sdk: bytes = b"") -> Iterator[Hall]:
    """Runs for one test; the stand-in is installed and has a tab in the deal's card.

    The stand-in serves the script `sdk` at /sdk.js.
    """
    servers = PortServers((0, 0, 0))
    urls = [f"http://{LOOPBACK}:{port}" for port in servers.ports]
    stand_in = make_server(
        LOOPBACK,
        0,
        _stand_in(f"{urls[0]}/api/v1/", sdk),
        server_class=_Server,
        handler_class=_Quiet,
    )
    thread = threading.Thread(target=stand_in.serve_forever)
    thread.start()
    app_url = f"http://localhost:{stand_in.server_port}"
    world = seed.demo_world(oauth_url=urls[0], portal_urls=(urls[1], urls[2]), app_url=app_url)
    hall = Hall(Sandbox(world), stand_in.server_port)
    installation = begin_installation(world, hall.alpha, seed.OUR_CLIENT_ID)
    installation.finished = True
    installation.placements.append(
        {"placement": "CRM_DEAL_DETAIL_TAB", "handler": f"{app_url}/", "title": "Stand-in"}
    )
    try:
        with running(hall.sandbox, servers):
            yield hall
    finally:
        stand_in.shutdown()
        thread.join()
        stand_in.server_close()


@contextmanager
def a_page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    yield context.new_page()
    context.close()


def open_tab(hall: Hall, page: Page) -> Frame:
    sign_in(hall, page, seed.MANAGER)
    page.goto(f"{hall.alpha.url}/crm/deal/details/{seed.DEAL}/?tab=rest_1")
    return app_frame(page)


def open_main_page(
    hall: Hall, page: Page, *, user: int = seed.MANAGER, script: bool = True
) -> Frame:
    sign_in(hall, page, user)
    page.goto(f"{hall.alpha.url}/marketplace/app/{hall.ours.id}/")
    return app_frame(page)


def sign_in(hall: Hall, page: Page, user: int) -> None:
    page.context.add_cookies(
        [{"name": cookie_name(hall.alpha), "value": str(user), "url": hall.alpha.url}]
    )


def app_frame(page: Page) -> Frame:
    element = page.wait_for_selector("iframe.app-frame:not(.app-loading)")
    frame = element.content_frame() if element else None
    assert frame is not None
    return frame


def asked(frame: Frame, command: str, params: dict[str, Any] | None = None) -> Any:
    """Returns the portal's answer to a command."""
    return frame.evaluate(
        """([command, params]) => {
          const id = `test${Math.random().toString(36).slice(2)}`;
          const text = params === null ? [] : [JSON.stringify(params)];
          say([command, ...text, id, sid].join(":"));
          return answer(id);
        }""",
        [command, params],
    )


def answers(frame: Frame) -> list[str]:
    return list(frame.evaluate("Object.keys(answers)"))


def scripted(frame: Frame, body: str) -> Any:
    """Runs `body` once the BX24 script is loaded into the page; it calls `done`."""
    return frame.evaluate(
        """(body) => new Promise((done) => {
          const run = () => new Function("done", body)(done);
          if (window.BX24) return run();
          const script = document.createElement("script");
          script.src = document.body.dataset.script;
          script.onload = run;
          document.head.append(script);
        })""",
        body,
    )


def _stand_in(script_url: str, sdk: bytes) -> Any:
    """Serves three pages: one that does nothing, one that interferes, one with the script alone;
    and another SDK."""
    pages = {
        "/intruder": _INTRUDER,
        "/script": f'<!doctype html><title>x</title><script src="{script_url}"></script>',
    }
    usual = _PAGE.replace("<body>", f'<body data-script="{html.escape(script_url)}">')

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        if environ["PATH_INFO"] == "/sdk.js":
            start_response("200 OK", [("Content-Type", "text/javascript; charset=utf-8")])
            return [sdk]
        start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
        return [pages.get(environ["PATH_INFO"], usual).encode()]

    return application
