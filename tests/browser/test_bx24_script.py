"""The script at /api/v1/, loaded by a stand-in page: sdk/bx24-js-sdk of the documentation."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from sandbox.host.places import uri_of
from sandbox.world import seed
from tests.browser.stand_in import (
    Hall,
    a_hall,
    a_page,
    open_main_page,
    open_tab,
    scripted,
)


@pytest.fixture
def hall() -> Iterator[Hall]:
    with a_hall() as up:
        yield up


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with a_page(browser) as page:
        yield page


def test_the_script_knows_the_place_and_the_person(hall: Hall, page: Page) -> None:
    frame = open_tab(hall, page)
    told = scripted(
        frame,
        """BX24.init(() => done({
          place: BX24.placement.info(), admin: BX24.isAdmin(), lang: BX24.getLang(),
          domain: BX24.getDomain(), member: BX24.getAuth().member_id,
        }))""",
    )
    assert told == {
        "place": {
            "placement": "CRM_DEAL_DETAIL_TAB",
            "options": {"ID": str(seed.DEAL), "URI": uri_of(f"/crm/deal/details/{seed.DEAL}/")},
        },
        "admin": False,
        "lang": "en",
        "domain": hall.alpha.url.removeprefix("http://"),
        "member": seed.ALPHA,
    }


def test_the_script_calls_rest_with_the_persons_token(hall: Hall, page: Page) -> None:
    frame = open_tab(hall, page)
    told = scripted(
        frame,
        "BX24.callMethod('profile', {}, (r) => done([r.data().ID, r.error(), r.more()]))",
    )
    assert told == [str(seed.MANAGER), None, False]
    assert hall.sandbox.log[-1].token_in == ("body",)


def test_the_script_refreshes_an_expired_token_by_itself(hall: Hall, page: Page) -> None:
    frame = open_tab(hall, page)
    scripted(frame, "BX24.init(done)")
    hall.sandbox.world.advance(3601)
    told = scripted(frame, "BX24.callMethod('profile', {}, (r) => done(r.data().ID))")
    assert told == str(seed.MANAGER)
    assert [call.status for call in hall.sandbox.log] == [401, 200]


def test_the_scripts_batch_tells_each_result_and_each_error(hall: Hall, page: Page) -> None:
    frame = open_tab(hall, page)
    told = scripted(
        frame,
        """BX24.callBatch(
          { me: ["profile"], bad: { method: "no.such", params: { a: { b: "c&d" } } } },
          (r) => done([r.me.data().ID, r.bad.error().ex.error]),
        )""",
    )
    assert told == [str(seed.MANAGER), "ERROR_METHOD_NOT_FOUND"]


def test_the_scripts_lists_have_a_next_page(hall: Hall, page: Page) -> None:
    seed.fill(hall.alpha, 60)
    frame = open_tab(hall, page)
    told = scripted(
        frame,
        """BX24.callMethod("crm.item.list", { entityTypeId: 2, order: { id: "ASC" } }, (first) => {
          const ids = first.data().items.map((item) => item.id);
          first.next((second) => done([ids.length, ids.includes(second.data().items[0].id)]));
        })""",
    )
    assert told == [50, False]


def test_install_finish_after_the_installation_does_nothing(hall: Hall, page: Page) -> None:
    frame = open_main_page(hall, page, user=seed.ADMIN)
    asked_for: list[str] = []
    page.on("request", lambda request: asked_for.append(request.url.rpartition("/")[2]))
    scripted(frame, "BX24.init(() => { BX24.installFinish(); BX24.refreshAuth(done); })")
    assert "refresh" in asked_for
    assert "installed" not in asked_for


def test_the_first_run_comes_before_everything_else_and_once(hall: Hall, page: Page) -> None:
    frame = open_main_page(hall, page, script=False)
    order = """
      const order = [];
      BX24.install(() => { order.push("install"); BX24.installFinish(); });
      BX24.init(() => { order.push("init"); done(order); });
    """
    assert scripted(frame, order) == ["install", "init"]
    again = open_main_page(hall, page, script=False)
    assert scripted(again, order) == ["init"]


def test_outside_a_frame_the_script_throws_and_leaves_nothing(hall: Hall, page: Page) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"http://localhost:{hall.app_port}/script")
    assert page.evaluate("BX24") is None
    assert errors == ["Unable to initialize Bitrix24 JS library!"]
