"""The report in a real browser, without a network: nothing fails to load, nothing sticks out, on a phone and a desk."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from marl_pr_common.report import ReportContext, write_report
from marl_pr_common.report.figures import WIDTH
from tests.report.tables import study

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
SIZES = {"phone": (375, 812), "390": (390, 844), "desk": (1280, 900)}
# What sticks out of the page or scrolls in it: tables, figures and code included.
STICKS_OUT = """() => [...document.querySelectorAll("body *")].filter(
  item => item.getBoundingClientRect().right > innerWidth + 0.5 || item.matches(".scroll, .plot, pre")
    && item.scrollWidth > item.clientWidth + 1).map(item => item.outerHTML.slice(0, 80))"""


def launch(play):
    """A Chromium: the system's, or else playwright's own."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
    own = Path(play.chromium.executable_path)
    if found is None and not own.is_file():
        pytest.skip("no Chromium: neither on PATH nor playwright's own (playwright install chromium)")
    return play.chromium.launch(executable_path=found, args=["--no-sandbox"])


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as play:
        chromium = launch(play)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    context = ReportContext(
        title="ALongTitleWithoutAnySpace" * 4,
        labels={"td3_pr": "An arm whose name is rather long, as names of arms sometimes are"},
        command="marl-pr study quick.yaml " + "--an-option with-a-value " * 12,
        config_text="key: " + "value" * 60,
        notes=["a/path/that/cannot/be/broken/" * 8],
        sweep={"kappa": {"td3": 0.0, "td3_pr": 0.5}},
        thresholds={"Pendulum-v1": 15.0},
        provenance={"git": {"commit": "0123456789" * 4}, "versions": {"numpy": "2.4.6"}},
    )
    return write_report(study(10), tmp_path_factory.mktemp("browser"), context)


@pytest.fixture(params=[(size, scheme) for size in SIZES for scheme in ("light", "dark")], ids="-".join)
def page(request, browser, report):
    """The open report, with what the browser said and asked for."""
    size, scheme = request.param
    width, height = SIZES[size]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, offline=True)
    page = context.new_page()
    page.said, page.asked, page.scheme = [], [], scheme
    page.on("console", lambda message: page.said.append(message.text))
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.on("requestfailed", lambda request: page.said.append(f"failed: {request.url[:80]}"))
    page.on("request", lambda request: page.asked.append(request.url))
    page.goto(report.as_uri())
    yield page
    context.close()


def luminance(page, selector, key):
    """Relative luminance of a CSS colour, as WCAG defines it."""
    colour = page.eval_on_selector(selector, f"item => getComputedStyle(item).{key}")
    parts = [float(part) / 255 for part in colour.strip("rgba()").split(",")[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.few(1)
def test_the_page_is_whole_and_fits(page, report):
    page.eval_on_selector_all("details", "items => items.forEach(item => item.open = true)")
    assert page.said == []
    assert [url for url in page.asked if not url.startswith("data:")] == [report.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    assert page.evaluate(STICKS_OUT) == []
    widths = page.eval_on_selector_all("img", "items => items.map(item => item.naturalWidth)")
    assert len(widths) == 7
    assert min(widths) > 0
    for name in (
        "What came out",
        "Figures",
        "Numbers on Hopper-v5",
        "The effect of sharing the budget",
        "How it was made",
    ):
        assert page.get_by_role("heading", name=name, level=2).is_visible()


@pytest.mark.few(1)
def test_the_scheme_is_followed_and_figures_stay_on_white(page):
    text, ground = luminance(page, "body", "color"), luminance(page, "body", "backgroundColor")
    assert (text > ground) == (page.scheme == "dark")
    for selector in ("body", "h2", ".note", "thead th", "summary"):
        low, high = sorted([luminance(page, selector, "color"), ground])
        assert (high + 0.05) / (low + 0.05) >= 4.5  # WCAG 2, level AA
    assert luminance(page, ".plot", "backgroundColor") == pytest.approx(1.0)


@pytest.mark.few(1)
def test_text_in_figures_is_readable_on_a_phone(page):
    """9 points: no smaller than 8 pixels, however narrow the screen."""
    page.eval_on_selector_all("details", "items => items.forEach(item => item.open = true)")
    widths = page.eval_on_selector_all("img", "items => items.map(item => item.clientWidth)")
    assert min(widths) / (WIDTH * 72) * 9 >= 8
