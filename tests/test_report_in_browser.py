"""The report in real Chromium: nothing asked for, nothing wrong, readable by eye, keyboard, screen reader and on paper.

Screenshots go to test-artefacts/report (not kept by git), to be looked at.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from benchmarks.report import MOST_BYTES, MOST_SECONDS, chromium, drawn, large_case, painted
from pipeline.report import LANGUAGES, language, render
from tests.test_report import ALL

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium; on Debian: apt-get install chromium"),
    pytest.mark.xdist_group("chromium"),
]
ARTEFACTS = Path(__file__).parents[1] / "test-artefacts" / "report"
SIZES = {"desktop": (1280, 800), "phone": (390, 844)}
QUESTIONS = ("answer", "next", "limits", "otherwise")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every outcome in English, and the fullest case in both languages."""
    folder = tmp_path_factory.mktemp("pages")
    verdict, background = large_case(folder, candidates=3, rows=240)
    made = {f"full-{code}": render(verdict, language(code), background) for code in LANGUAGES}
    made |= {name.replace(" ", "-"): render(document) for name, document in ALL.items()}
    for name, page in made.items():
        (folder / f"{name}.html").write_text(page, "utf-8")
    return {name: folder / f"{name}.html" for name in made}


class Seen:
    """A page with everything that it asked for and complained about."""

    def __init__(self, browser: Browser, path: Path, size: str = "desktop", **more: Any) -> None:
        width, height = SIZES[size]
        self.requests: list[str] = []
        self.said: list[str] = []
        self.page: Page = browser.new_page(viewport={"width": width, "height": height}, **more)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.goto(path.as_uri())
        self.address = path.as_uri()

    def shot(self, name: str, *, whole: bool = True) -> None:
        ARTEFACTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=ARTEFACTS / f"{name}.png", full_page=whole)

    def violations(self) -> list[str]:
        found = Axe().run(self.page).response["violations"]
        return [f"{one['id']}: {node['target']}" for one in found for node in one["nodes"]]


NAMES = ("full-en", "full-zh", *(name.replace(" ", "-") for name in ALL))


@pytest.mark.parametrize("name", NAMES)
def test_a_page_asks_for_nothing_and_complains_of_nothing(browser: Browser, pages: dict[str, Path], name: str) -> None:
    for size in SIZES:
        seen = Seen(browser, pages[name], size)
        assert seen.requests == [seen.address]
        assert seen.said == []
        wide = seen.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, size
        seen.shot(f"{name}-{size}")
        seen.page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", NAMES)
def test_contrast_headings_names_and_landmarks_are_right(
    browser: Browser, pages: dict[str, Path], name: str, scheme: str
) -> None:
    seen = Seen(browser, pages[name], color_scheme=scheme)
    assert seen.violations() == []
    if scheme == "dark":
        assert seen.page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(244, 246, 248)"
        seen.shot(f"{name}-dark")
    seen.page.close()


def test_axe_finds_what_is_wrong(browser: Browser, pages: dict[str, Path], tmp_path: Path) -> None:
    page = pages["identified"].read_text("utf-8")
    bad = page.replace("--soft: #4d5b6a", "--soft: #d0d0d0").replace("<h2 ", "<h5 ").replace("</h2>", "</h5>")
    (tmp_path / "bad.html").write_text(bad, "utf-8")
    seen = Seen(browser, tmp_path / "bad.html")
    found = {violation.split(":")[0] for violation in seen.violations()}
    assert {"color-contrast", "heading-order"} <= found
    seen.page.close()


@pytest.mark.parametrize("name", ["full-en", "full-zh", "identified", "lead", "not-ours"])
def test_the_first_screen_holds_the_answer_and_what_it_is_worth(
    browser: Browser, pages: dict[str, Path], name: str
) -> None:
    seen = Seen(browser, pages[name])
    for question in QUESTIONS:
        box = seen.page.locator(f"section[aria-labelledby={question}]").bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= SIZES["desktop"][1], question
    seen.shot(f"{name}-first-screen", whole=False)
    seen.page.close()
    phone = Seen(browser, pages[name], "phone")
    box = phone.page.locator("section[aria-labelledby=answer]").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= SIZES["phone"][1]
    phone.shot(f"{name}-first-screen-phone", whole=False)
    phone.page.close()


def test_every_wide_table_is_reached_and_scrolled_by_keyboard(browser: Browser, pages: dict[str, Path]) -> None:
    seen = Seen(browser, pages["full-en"], "phone")
    regions = seen.page.locator(".scroll").count()
    reached = []
    for _ in range(regions):
        seen.page.keyboard.press("Tab")
        reached.append(seen.page.evaluate("document.activeElement.getAttribute('aria-label')"))
    assert regions > 8
    assert all(reached)
    assert len(set(reached)) >= 8
    outline = seen.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    wide = seen.page.locator(".scroll").filter(has=seen.page.locator("text=SHA-256")).first
    wide.focus()
    seen.page.keyboard.press("ArrowRight")
    seen.page.wait_for_timeout(500)  # scrolling is smooth
    assert seen.page.evaluate("document.activeElement.scrollLeft") > 0
    seen.page.close()


def test_a_screen_reader_is_told_what_the_pictures_show(browser: Browser, pages: dict[str, Path]) -> None:
    seen = Seen(browser, pages["full-en"])
    tree = seen.page.locator("body").aria_snapshot()
    for said in (
        "banner", "main", "contentinfo", 'heading "What to do next" [level=2]', 'heading "Which rows each export held"',
        'img "30 of 240 rows"', 'columnheader "Rows it held"', 'rowheader "held"',
        'region "Table: Files of the sample"',
        'img "The probability that an innocent copy\'s score is at least so large falls from 1',
    ):  # fmt: skip
        assert said in tree, said
    assert seen.page.locator("svg:not([role=img])").count() == 0
    assert seen.page.locator("svg:not([aria-label])").count() == 0
    assert seen.page.evaluate("document.documentElement.lang") == "en"
    seen.page.close()


@pytest.mark.parametrize("name", ["full-en", "full-zh", "identified"])
def test_it_prints_on_paper_in_light_colours(browser: Browser, pages: dict[str, Path], name: str) -> None:
    seen = Seen(browser, pages[name], color_scheme="dark")
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    printed = seen.page.pdf(path=ARTEFACTS / f"{name}.pdf", format="A4", print_background=False)
    assert printed.startswith(b"%PDF")
    assert printed.count(b"/Type /Page\n") + printed.count(b"/Type /Page ") <= 12
    seen.page.emulate_media(media="print")
    seen.page.set_viewport_size({"width": 690, "height": 976})  # A4 without its margins, at 96 a inch
    assert seen.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert seen.page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    clipped = "[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth + 1).length"
    assert seen.page.evaluate(clipped) == 0
    seen.shot(f"{name}-print")
    seen.page.close()


def test_fifty_candidates_and_100000_rows_are_light_and_quick(browser: Browser, tmp_path: Path) -> None:
    verdict, background = large_case(tmp_path)
    page, seconds = drawn(verdict, background, "zh")
    (tmp_path / "large.html").write_text(page, "utf-8")
    assert len(page.encode()) < MOST_BYTES
    assert seconds < MOST_SECONDS
    assert painted(browser, tmp_path / "large.html") < MOST_SECONDS
