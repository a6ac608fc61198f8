"""The portal's side of the message protocol, tested with a stand-in page in the frame.

Answers come in order, so a test of silence sends a command with an answer afterwards. The commands
and their silences are those of the portal's applayout.js.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from sandbox.host.places import uri_of
from sandbox.server.ports import LOOPBACK
from sandbox.world import seed
from tests.browser.stand_in import (
    Hall,
    a_hall,
    a_page,
    answers,
    app_frame,
    asked,
    open_main_page,
    open_tab,
)


@pytest.fixture
def hall() -> Iterator[Hall]:
    with a_hall() as up:
        yield up


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with a_page(browser) as page:
        yield page


def test_the_frame_learns_where_and_for_whom_it_was_opened(hall: Hall, page: Page) -> None:
    """PROTOCOL is a number here, AUTH_EXPIRES text, the deal's id text."""
    frame = open_tab(hall, page)
    told = asked(frame, "getInitData")
    token = hall.sandbox.world.tokens[told.pop("AUTH_ID")]
    assert told.pop("REFRESH_ID") == token.refresh
    assert token.user_id == seed.MANAGER
    assert told == {
        "LANG": "en",
        "DOMAIN": hall.alpha.url.removeprefix("http://"),
        "PROTOCOL": 0,
        "PATH": "/rest",
        "AUTH_EXPIRES": "3600",
        "MEMBER_ID": seed.ALPHA,
        "FIRST_RUN": True,
        "IS_ADMIN": False,
        "INSTALL": False,
        "USER_OPTIONS": {},
        "APP_OPTIONS": {},
        "PLACEMENT": "CRM_DEAL_DETAIL_TAB",
        "PLACEMENT_OPTIONS": {
            "ID": str(seed.DEAL),
            "URI": uri_of(f"/crm/deal/details/{seed.DEAL}/"),
        },
    }


def test_unknown_denied_and_foreign_commands_get_no_answer(hall: Hall, page: Page) -> None:
    """In a tab, by a person who is no administrator; nor does the portal's script fail."""
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    frame = open_tab(hall, page)
    for message in (
        'noSuchCommand:{"a":1}:silent:${sid}',
        "constructor:silent:${sid}",
        'setTitle:{"title":"Mine"}:silent:${sid}',
        'setAppOption:{"name":"a","value":1}:silent:${sid}',
        'placementBindEvent:{"event":"Some::event"}:silent:${sid}',
        "getInitData:silent:00000000000000000000000000000000",
        "getInitData:silent",
        "",
    ):
        frame.evaluate(f"say(`{message}`)")
        assert asked(frame, "getInitData")["PLACEMENT"] == "CRM_DEAL_DETAIL_TAB"
        assert "silent" not in answers(frame), message
    assert failures == []
    assert page.inner_text("#page-title") == "Office chairs for the new floor"


def test_a_command_with_a_colon_travels_as_an_object(hall: Hall, page: Page) -> None:
    frame = open_tab(hall, page)
    frame.evaluate("say({ method: 'Some::command', params: '', callback: 'silent', appSid: sid })")
    frame.evaluate("say({ method: 'getInitData', params: '', callback: 'heard', appSid: sid })")
    assert frame.evaluate("answer('heard')")["MEMBER_ID"] == seed.ALPHA
    assert "silent" not in answers(frame)


def test_another_origin_is_not_heard_even_with_the_right_sid(hall: Hall, page: Page) -> None:
    frame = open_main_page(hall, page)
    frame.evaluate(
        """(address) => new Promise((ready) => {
          const intruder = document.createElement("iframe");
          window.addEventListener("message", ({ data }) => data === "ready" && ready());
          intruder.src = address;
          document.body.append(intruder);
        })""",
        f"http://{LOOPBACK}:{hall.app_port}/intruder",
    )
    frame.evaluate(
        """document.querySelector("iframe").contentWindow.postMessage(
          `setTitle:{"title":"Taken over"}:silent:${sid}`, "*")"""
    )
    # A round trip through the intruder's own event loop: by now its message has been delivered.
    page.frames[-1].evaluate("new Promise((done) => setTimeout(done, 0))")
    assert "PLACEMENT" in asked(frame, "getInitData")
    assert page.inner_text("#page-title") == "Pay for Bitrix24"


def test_refresh_gives_the_frame_a_chain_of_its_own(hall: Hall, page: Page) -> None:
    frame = open_tab(hall, page)
    before = asked(frame, "getInitData")
    told = asked(frame, "refreshAuth")
    assert told.keys() == {"AUTH_ID", "AUTH_EXPIRES", "REFRESH_ID"}
    assert told["AUTH_ID"] != before["AUTH_ID"]
    assert told["AUTH_EXPIRES"] == "3600"
    assert not hall.sandbox.world.tokens[before["AUTH_ID"]].revoked
    assert asked(frame, "getInitData")["AUTH_ID"] == told["AUTH_ID"]


def test_a_refresh_that_fails_is_an_alert_and_no_answer(hall: Hall, page: Page) -> None:
    frame = open_tab(hall, page)
    hall.ours.allowed_users = frozenset()
    with page.expect_event("dialog") as alerted:
        page.on("dialog", lambda dialog: dialog.dismiss())
        frame.evaluate("say(`refreshAuth:silent:${sid}`)")
    assert "Reload the page" in alerted.value.message
    assert "PLACEMENT" in asked(frame, "getInitData")
    assert "silent" not in answers(frame)


def test_the_frame_grows_to_the_height_that_it_asks_for(hall: Hall, page: Page) -> None:
    frame = open_tab(hall, page)
    width = page.locator("iframe").bounding_box()
    told = asked(frame, "resizeWindow", {"width": 100, "height": 731})
    assert told["height"] == 731
    assert width is not None
    assert told["width"] == width["width"], "a card's tab keeps the width of the card"


def test_a_path_of_the_portal_opens_in_a_slider_and_tells_when_it_closes(
    hall: Hall, page: Page
) -> None:
    frame = open_main_page(hall, page)
    frame.evaluate(f'say(`openPath:{{"path":"/crm/deal/details/{seed.DEAL}/"}}:path:${{sid}}`)')
    slider = page.frame_locator("iframe.slider-page")
    slider.get_by_role("heading", name="Office chairs").wait_for()
    assert "path" not in answers(frame)
    page.get_by_role("button", name="Close").click()
    assert frame.evaluate("answer('path')") == {"result": "close"}


def test_other_paths_are_refused_with_a_code(hall: Hall, page: Page) -> None:
    frame = open_main_page(hall, page)
    for path in ("/", "/company/", "https://example.com/crm/deal/", "crm/deal/1/"):
        told = asked(frame, "openPath", {"path": path})
        assert told == {"result": "error", "errorCode": "PATH_NOT_AVAILABLE"}, path


def test_an_application_in_a_slider_closes_itself_and_may_not_resize(
    hall: Hall, page: Page
) -> None:
    frame = open_tab(hall, page)
    frame.evaluate('say(`openApplication:{"order":"163","bx24_width":600}:open:${sid}`)')
    slider = page.frame_locator("iframe.slider-page")
    slider.locator("iframe.app-frame:not(.app-loading)").wait_for()
    inner = page.frames[-1]
    told = asked(inner, "getInitData")
    assert (told["PLACEMENT"], told["PLACEMENT_OPTIONS"]) == ("DEFAULT", {"order": "163"})
    inner.evaluate('say(`resizeWindow:{"width":1,"height":1}:silent:${sid}`)')
    asked(inner, "getInitData")
    assert "silent" not in answers(inner)
    inner.evaluate("say(`closeApplication:close:${sid}`)")
    assert frame.evaluate("answer('open')") is None
    assert page.locator(".slider").count() == 0


def test_the_end_of_the_installation_reloads_the_page_and_answers_nothing(
    hall: Hall, page: Page
) -> None:
    hall.ours.finished = False
    frame = open_main_page(hall, page, user=seed.ADMIN)
    assert frame.url.startswith(f"http://localhost:{hall.app_port}/install/")
    assert asked(frame, "getInitData")["INSTALL"] is True
    frame.evaluate('say(`setInstallFinish:{"value":true}:silent:${sid}`)')
    page.wait_for_url("**install_finished=Y")
    assert hall.ours.finished
    after = app_frame(page)
    assert "/install/" not in after.url
    assert asked(after, "getInitData")["INSTALL"] is False


def test_the_interface_of_a_tab_and_of_the_main_page(hall: Hall, page: Page) -> None:
    tab = asked(open_tab(hall, page), "getInterface")
    assert tab == {"command": ["reloadData"], "event": []}
    main = asked(open_main_page(hall, page), "getInterface")
    assert main == {"command": [], "event": []}


def test_options_are_answered_and_kept(hall: Hall, page: Page) -> None:
    frame = open_main_page(hall, page, user=seed.ADMIN)
    mine = {"name": "rows", "value": {"a": 25}}
    assert asked(frame, "setUserOption", mine) == mine
    assert asked(frame, "setAppOption", {"name": "x", "value": "a:b"}) == {"x": "a:b"}
    told = asked(open_main_page(hall, page, user=seed.ADMIN), "getInitData")
    assert (told["USER_OPTIONS"], told["APP_OPTIONS"]) == ({"rows": {"a": 25}}, {"x": "a:b"})
