"""The screens in each language but English."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.utils import translation
from django.utils.translation import gettext
from playwright.sync_api import Browser, expect

from b24app.localization import languages
from sandbox.tools.demo import Stage
from sandbox.world import seed
from tests.browser.visit import Visit, row_of

CODES = sorted(set(languages.BY_PORTALS_CODE) - {"en"})


@pytest.fixture(params=CODES)
def foreign(
    request: pytest.FixtureRequest, browser: Browser, stage: Stage, installed: None
) -> Iterator[Visit]:
    """A manager whose portal speaks another language."""
    stage.alpha.language = request.param
    try:
        with (
            translation.override(languages.of_portal(request.param)),
            Visit.of(browser, stage.alpha, seed.MANAGER) as visit,
        ):
            yield visit
    finally:
        stage.alpha.language = "en"


def test_the_main_page_and_its_screens_speak_it(foreign: Visit) -> None:
    app = foreign.main_page()
    expect(app.locator("html")).to_have_attribute("lang", translation.get_language())
    expect(app.get_by_role("heading", name=gettext("Unpaid payments"))).to_be_visible()
    expect(app.locator("tr[data-payment]").first).to_be_visible()
    # What htmx fetches speaks as the page does.
    for name in ("History", "Approvals", "Several at once"):
        app.get_by_role("navigation").get_by_text(gettext(name)).click()
        expect(app.locator("#screen h1")).to_have_text(gettext(name))


def test_a_deals_tab_and_its_question_speak_it(foreign: Visit) -> None:
    app = foreign.deal(seed.SEVERAL_DEAL)
    row = row_of(app, seed.SEVERAL_PAYMENTS[0])
    row.get_by_role("button", name=gettext("Pay"), exact=True).click()
    question = app.get_by_role("dialog")
    expect(question.get_by_role("button", name=gettext("Cancel"))).to_be_visible()
