"""Runs the official JavaScript SDK, unchanged, inside a portal's frame in Chromium.

tests/sandbox/test_jssdk.py runs it in Node.js.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Frame, Page

from sandbox.host.places import uri_of
from sandbox.world import seed
from tests.browser.stand_in import Hall, a_hall, a_page, open_main_page, open_tab
from tests.sandbox import jssdk_package


@pytest.fixture(scope="module")
def sdk() -> bytes:
    return (jssdk_package.installed() / jssdk_package.IN_BROWSERS).read_bytes()


@pytest.fixture
def hall(sdk: bytes) -> Iterator[Hall]:
    with a_hall(sdk) as up:
        yield up


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with a_page(browser) as page:
        yield page


def run(frame: Frame, body: str) -> Any:
    """Loads the SDK into the frame once, and returns what `body` makes of its `b24`."""
    return frame.evaluate(
        """async (body) => {
          if (!window.B24Js) await new Promise((loaded, failed) => {
            const script = document.createElement("script");
            script.src = "/sdk.js";
            script.onload = loaded;
            script.onerror = failed;
            document.head.append(script);
          });
          const b24 = await B24Js.initializeB24Frame();
          return new Function("b24", `return (async () => { ${body} })()`)(b24);
        }""",
        body,
    )


def test_it_shakes_hands_and_knows_place_and_person(hall: Hall, page: Page) -> None:
    told = run(
        open_tab(hall, page),
        """return {
          place: b24.placement.placement, options: b24.placement.options,
          admin: b24.auth.isAdmin, lang: b24.getLang(), origin: b24.getTargetOrigin(),
          member: b24.auth.getAuthData().member_id, installs: b24.isInstallMode,
          can: await b24.placement.getInterface(),
        }""",
    )
    assert told == {
        "place": "CRM_DEAL_DETAIL_TAB",
        "options": {"ID": str(seed.DEAL), "URI": uri_of(f"/crm/deal/details/{seed.DEAL}/")},
        "admin": False,
        "lang": "en",
        "origin": hall.alpha.url,
        "member": seed.ALPHA,
        "installs": False,
        "can": {"command": ["reloadData"], "event": []},
    }


def test_it_calls_and_batches_with_the_persons_token(hall: Hall, page: Page) -> None:
    told = run(
        open_tab(hall, page),
        """
        const one = await b24.actions.v2.call.make({ method: "profile" });
        const get = "sale.payment.get";
        const calls = { pay: [get, { id: 271 }], bad: [get, { id: 1 }] };
        const all = await b24.actions.v2.batch.make({ calls, options: { isHaltOnError: false } });
        return [one.getData().result.ID, all.getData().pay.payment.id,
          [...all.errors].map(([key, error]) => [key, error.code])];
        """,
    )
    assert told == [str(seed.MANAGER), seed.PAYMENT, [["bad", "200640400001"]]]
    assert {call.user_id for call in hall.sandbox.log} == {seed.MANAGER}


def test_it_keeps_the_code_of_a_refusal(hall: Hall, page: Page) -> None:
    told = run(
        open_tab(hall, page),
        """
        const wrong = { method: "sale.payment.get", params: { id: 1 } };
        try { await b24.actions.v2.call.make(wrong); }
        catch (error) { return [error.code, error.status]; }
        """,
    )
    assert told == ["200640400001", 400]


def test_it_renews_an_expired_token_through_the_portals_page(hall: Hall, page: Page) -> None:
    frame = open_tab(hall, page)
    run(frame, "")
    hall.sandbox.world.advance(3601)
    told = run(
        frame,
        "return (await b24.actions.v2.call.make({ method: 'profile' })).getData().result.ID",
    )
    assert told == str(seed.MANAGER)
    assert [call.error for call in hall.sandbox.log] == ["expired_token", None]


def test_its_helper_loads_application_person_and_options(hall: Hall, page: Page) -> None:
    """In one batch that halts: a method that the portal does not have would end it."""
    told = run(
        open_main_page(hall, page, user=seed.ADMIN),
        """
        const { App, Profile, AppOptions, UserOptions } = B24Js.LoadDataType;
        const kinds = [App, Profile, AppOptions, UserOptions];
        const helper = await B24Js.useB24Helper().initB24Helper(b24, kinds);
        await helper.userOptions.save({ rows: "25" });
        const stored = await b24.actions.v2.call.make({ method: "user.option.get" });
        return [helper.appInfo.data.code, helper.profileInfo.data.isAdmin,
          helper.licenseInfo.data.licenseType, stored.getData().result];
        """,
    )
    assert told == [seed.OUR_CLIENT_ID, True, "ent250", {"rows": "25"}]


def test_it_stores_options_and_finishes_the_installation(hall: Hall, page: Page) -> None:
    hall.ours.finished = False
    frame = open_main_page(hall, page, user=seed.ADMIN)
    run(frame, "await b24.options.appSet('rows', '25'); b24.installFinish();")
    page.wait_for_url("**install_finished=Y")
    assert hall.ours.finished
    after = open_main_page(hall, page, user=seed.ADMIN)
    assert run(after, "return [b24.options.appGet('rows'), b24.isInstallMode]") == ["25", False]
