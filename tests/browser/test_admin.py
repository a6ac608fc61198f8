"""The publisher's admin in a real browser: login, lists and pages under the app's policies."""

from __future__ import annotations

import os
import subprocess
import sys

from playwright.sync_api import Browser, expect

from sandbox.tools.demo import Stage
from sandbox.world import seed

PASSWORD = "not-a-common-password"


def make_account(stage: Stage) -> None:
    assert stage.app is not None
    subprocess.run(
        [sys.executable, "manage.py", "createsuperuser", "--noinput", "--username", "publisher"],
        env={
            **os.environ,
            "DATABASE_URL": f"sqlite:///{stage.app.log.parent / 'db.sqlite3'}",
            "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
            "DJANGO_SUPERUSER_EMAIL": "publisher@example.com",
            "DJANGO_SETTINGS_MODULE": "b24app.settings",
        },
        check=True,
        capture_output=True,
    )


def test_the_publisher_signs_in_and_looks_at_a_portal(
    browser: Browser, stage: Stage, installed: None
) -> None:
    make_account(stage)
    page = browser.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    # Browsers ask every site for one; the admin has none.
    page.route("**/favicon.ico", lambda route: route.fulfill(status=204))
    page.goto(f"{stage.app_url}/admin/")
    page.get_by_label("Username").fill("publisher")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("button", name="Log out")).to_be_visible()
    page.get_by_role("link", name="Portals").first.click()
    page.get_by_role("link", name=stage.alpha.url.removeprefix("http://")).click()
    expect(page.locator("#content")).to_contain_text(f"user {seed.ADMIN}, serves the portal")
    page.close()
    assert not said
