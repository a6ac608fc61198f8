"""Gives a check access to the app, a portal, the app's log and its database."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import requests

from sandbox.tools.app_process import DATABASE, ROOT
from sandbox.tools.elements import Element
from sandbox.tools.visitor import SESSION_HEADER, TIMEOUT_SECONDS, AppPage, Unexpected, Visitor
from sandbox.world import seed

APPLICATION = "Pay for Bitrix24"
OTHER_APPLICATION = "Other Demo App"
# One thread sends events, another writes rows: that takes seconds on a busy machine.
PATIENCE_SECONDS = 20
_POLL_SECONDS = 0.1
_FRAME_PARAMETERS = {"PROTOCOL": "0", "LANG": "en", "APP_SID": "0" * 32}


@dataclass
class Target:
    app_url: str
    portal_urls: tuple[str, str]
    oauth_url: str
    folder: Path  # the app's log and database are in it
    environment: Mapping[str, str] = field(repr=False)
    # Every response of the app to a browser, and every secret that one could have contained.
    sent: list[str] = field(default_factory=list)
    secrets: set[str] = field(default_factory=set)
    # The number of REST methods that the very first opening of the main page called.
    first_questions: int = 0

    # ---- people at the portal

    def visitor(self, user_id: int, *, portal: int = 0) -> Visitor:
        visitor = Visitor(self.portal_urls[portal])
        visitor.app.hooks["response"].append(self._record)
        visitor.sign_in(user_id)
        return visitor

    def main_page(self, user_id: int) -> AppPage:
        visitor = self.visitor(user_id)
        return visitor.open_frame(self.application_page(visitor))

    def tab(self, user_id: int, deal_id: int) -> AppPage:
        visitor = self.visitor(user_id)
        card = visitor.page(f"/crm/deal/details/{deal_id}/")
        tabs = [a.attributes["href"] for a in card.all("a") if "?tab=" in a.attributes["href"]]
        if len(tabs) != 1:
            raise Unexpected(f"the card of deal {deal_id} has {len(tabs)} tabs of the app, not one")
        return visitor.open_frame(visitor.page(tabs[0]))

    def application_page(self, visitor: Visitor, title: str = APPLICATION) -> Element:
        links = [a for a in visitor.page("/crm/deal/").all("a") if a.text == title]
        if not links:
            raise Unexpected(f"{title} is not in the menu")
        return visitor.page(links[0].attributes["href"])

    def opening(self, user_id: int, *, portal: int = 0, title: str = APPLICATION) -> dict[str, str]:
        """Returns the fields that the portal would POST into an application's frame."""
        page = self.application_page(self.visitor(user_id, portal=portal), title)
        form = page.first("form", method="post")
        if form is None:
            raise Unexpected("the portal's page has no form for the frame")
        fields = form.fields
        self.keep_secrets(fields)
        return fields

    def keep_secrets(self, fields: Mapping[str, str]) -> None:
        for name in ("AUTH_ID", "REFRESH_ID", "APPLICATION_TOKEN"):
            if fields.get(name):
                self.secrets.add(fields[name])

    # ---- requests without a person

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False
            answer = session.request(
                method,
                f"{self.app_url}{path}",
                timeout=TIMEOUT_SECONDS,
                allow_redirects=False,
                **options,
            )
        self._record(answer)
        return answer

    def open_with(self, fields: Mapping[str, str], path: str = "/") -> requests.Response:
        """POSTs the form of a frame; an attacker can do so too."""
        domain = self.portal_urls[0].split("://", 1)[1]
        return self.request(
            "POST", path, params={"DOMAIN": domain, **_FRAME_PARAMETERS}, data=dict(fields)
        )

    def as_script(self, page: AppPage, path: str, **params: str) -> requests.Response:
        """GETs as the page's own script does."""
        headers = {SESSION_HEADER: page.session, "HX-Request": "true"}
        return self.request("GET", path, params=params, headers=headers)

    def event(
        self, name: str, token: str | None, *, member_id: str = seed.ALPHA, **fields: str
    ) -> requests.Response:
        """POSTs an event with this application_token to the app; `fields` by their full names."""
        body = {"event": name, "ts": str(time.time_ns()), "auth[member_id]": member_id, **fields}
        if token is not None:
            body["auth[application_token]"] = token
        return self.request("POST", "/event/", data=body)

    # ---- the sandbox's own records

    def control(self, method: str, path: str, **options: Any) -> Any:
        answer = requests.request(
            method, f"{self.oauth_url}/_sandbox/{path}", timeout=TIMEOUT_SECONDS, **options
        )
        return answer.json()

    def calls(self, *, since: int = 0) -> list[dict[str, Any]]:
        """Returns the log of REST calls to the portals and the OAuth server."""
        calls: list[dict[str, Any]] = self.control("GET", "log", params={"since": since})["calls"]
        return calls

    def calls_so_far(self) -> int:
        return int(self.control("GET", "log", params={"since": 0})["next"])

    @contextmanager
    def fault(self, kind: str, method: str, *, times: int) -> Iterator[None]:
        self.control("POST", "faults", data={"kind": kind, "method": method, "times": times})
        try:
            yield
        finally:
            self.control("DELETE", "faults")

    def questions(self, *, since: int) -> int:
        """Counts the REST methods that the app called, alone or in a batch."""
        return sum(len(call["batch"]) or 1 for call in self.calls(since=since))

    def times_paid(self, payment_id: int) -> int:
        params = {"portal": seed.ALPHA, "id": payment_id}
        return int(self.control("GET", "payment", params=params)["times_paid"])

    # ---- the app's log and database

    def log(self) -> str:
        return (self.folder / "app.log").read_text(encoding="utf-8", errors="replace")

    def security_log(self) -> list[str]:
        lines = [line for line in self.log().splitlines() if line.startswith("{")]
        entries = [json.loads(line) for line in lines]
        return [each["message"] for each in entries if each["logger"] == "b24app.security"]

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.folder / DATABASE, timeout=PATIENCE_SECONDS)) as database:
            rows = database.execute(sql, values).fetchall()
            database.commit()
        return rows

    def count(self, sql: str, *values: object) -> int:
        return int(self.rows(sql, *values)[0][0])

    def portal_tables(self) -> set[str]:
        """Returns the tables with a column `portal_id`."""
        rows = self.rows(
            "SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c "
            "WHERE m.type = 'table' AND c.name = 'portal_id'"
        )
        return {name for (name,) in rows}

    def manage(self, *arguments: str) -> str:
        """Runs a management command and returns its output. Raises Unexpected if it fails."""
        done = subprocess.run(  # noqa: S603 - our own manage.py
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=dict(self.environment),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Unexpected(f"manage.py {' '.join(arguments)} failed: {done.stderr[-500:]}")
        return done.stdout

    def wait(self, sentence: str, holds: Callable[[], object]) -> None:
        give_up = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            if time.monotonic() > give_up:
                raise Unexpected(f"expected that {sentence}, within {PATIENCE_SECONDS} seconds")
            time.sleep(_POLL_SECONDS)

    def _record(self, answer: requests.Response, **options: Any) -> None:
        self.sent.append(f"{answer.headers}\n{answer.text}")
        if isinstance(answer.request.body, str) and "AUTH_ID" in answer.request.body:
            self.keep_secrets(dict(parse_qsl(answer.request.body)))
