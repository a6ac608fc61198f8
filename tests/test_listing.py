"""The listing for the vendor's account keeps to the limits of the moderation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings

from b24app.install.bindings import PLACEMENTS
from b24app.install.installation import NEEDED_SCOPES
from tests.png import describe, packed

LANGUAGES = dict(settings.LANGUAGES)
LISTING = Path(__file__).resolve().parent.parent / "docs" / "marketplace"
FIELDS = (
    "Name", "Short description", "Full description", "Installation", "What's new", "Keywords",
)  # fmt: skip
ICON_SIDES = range(250, 651)
WIDTH, HEIGHT = 1280, 720
MOST_KEYWORDS, MOST_OF_A_KIND = 2000, 5


def texts(code: str) -> dict[str, str]:
    parts = re.split(r"^## (.+)\n\n", (LISTING / f"{code}.md").read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], map(str.strip, parts[2::2]), strict=True))


@pytest.mark.parametrize("code", LANGUAGES)
def test_each_language_has_every_text_within_its_limits(code: str) -> None:
    listing = texts(code)
    assert tuple(listing) == FIELDS
    assert all(listing.values())
    name, short = listing["Name"], listing["Short description"]
    assert "test" not in name.lower()
    assert len(re.findall(r"[.!?](?:\s|$)", short)) in (1, 2)
    assert "Pay for Bitrix24" not in short
    assert len(listing["Full description"]) > 600
    assert "500" in listing["Full description"]
    assert re.findall(r"^(\d)\.", listing["Installation"], re.MULTILINE) == ["1", "2", "3", "4"]
    keywords = listing["Keywords"]
    assert len(keywords) <= MOST_KEYWORDS
    assert "," in keywords
    assert not re.search("bitrix|битрикс", keywords, re.IGNORECASE)


def test_whats_new_is_of_the_present_version() -> None:
    project = (LISTING.parent.parent / "pyproject.toml").read_text()
    version = re.search(r'^version = "(.+)"', project, re.MULTILINE)
    assert version is not None
    for code in LANGUAGES:
        assert version[1] in texts(code)["What's new"], code


def test_nothing_in_it_leads_to_a_real_person() -> None:
    everything = "\n".join(path.read_text() for path in LISTING.glob("*.md"))
    assert not re.search(r"\+\d[\d ()-]{7,}", everything)
    assert all(mail.endswith("example.com") for mail in re.findall(r"\S+@\S+", everything))


def test_scopes_widgets_categories_and_tags_are_declared() -> None:
    readme = (LISTING / "README.md").read_text()
    assert re.findall(r"^\| `([a-z_]+)` \|", readme, re.MULTILINE) == list(NEEDED_SCOPES)
    assert set(re.findall(r"`(CRM_[A-Z_]+_(?:TAB|MENU))`", readme)) == set(PLACEMENTS)
    for row in ("categories", "tags"):
        line = re.search(rf"^\| {row} \| (.+) \|$", readme, re.MULTILINE)
        assert line is not None
        assert 1 <= len(line[1].split(",")) <= MOST_OF_A_KIND


def test_the_icon_is_square_and_opaque() -> None:
    icon = describe((LISTING / "icon.png").read_bytes())
    assert icon.width == icon.height
    assert icon.width in ICON_SIDES
    assert not icon.is_transparent


def test_screenshots_are_no_larger_than_allowed() -> None:
    pictures = sorted((LISTING / "screenshots").glob("*.png"))
    assert len(pictures) >= 3
    for path in pictures:
        picture = describe(path.read_bytes())
        assert picture.width <= WIDTH
        assert picture.height <= HEIGHT
        assert path.stat().st_size < 300 * 1024


def test_packing_changes_no_pixel_and_leaves_a_packed_one_alone() -> None:
    icon = (LISTING / "icon.png").read_bytes()
    assert packed(icon) == icon
    assert describe(packed(icon)) == describe(icon)
