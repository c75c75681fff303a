"""The console in Chromium while leads flow."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from tests.analytics_feed import REPS, SOURCES
from tests.console import Console, running_console

pytestmark = pytest.mark.browser

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run",
]  # fmt: skip
SIZES = {1280: 900, 390: 844}
HOSTILE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>' + "Wolfeschlegelstein" * 9
expect.set_options(timeout=20_000)  # the machine may be busy with other tests
LAYOUT = Path(__file__).with_name("layout.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def console(database: str) -> Iterator[Console]:
    with running_console(database) as running:
        yield running


@pytest.fixture(autouse=True)
def faults() -> Iterator[list[str]]:
    """Script errors and refused content on any page of a test, of which there may be none."""
    seen: list[str] = []
    yield seen
    assert seen == []


@pytest.fixture
def opened(browser: Browser, console: Console, faults: list[str]) -> Callable[..., Page]:
    """Opens a page of the console."""

    def open_page(path: str = "/", width: int = 1280, scheme: Literal["light", "dark"] = "light") -> Page:
        viewport: ViewportSize = {"width": width, "height": SIZES[width]}
        page = browser.new_context(viewport=viewport, color_scheme=scheme).new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.extend([message.text] if message.type == "error" else []))
        page.goto(console.url + path)
        return page

    return open_page


def test_the_figures_move_while_leads_flow(opened: Callable[..., Page], console: Console) -> None:
    page = opened()
    page.evaluate("window.neverReloaded = true")
    expect(page.locator("#today-n")).to_have_text("0")
    expect(page.locator("#latest")).to_contain_text("Waiting for the first lead")
    console.lags.update(qualify=0, router=31_500)
    console.leads(7)
    expect(page.locator("#today-n")).to_have_text("7")
    expect(page.locator("#speed-p50")).to_have_text(re.compile(r"^\d+ ms$"))
    for stage in ("intake", "qualify", "router", "analytics"):
        expect(page.locator(f"#rate-{stage}")).not_to_have_text("0.0")
    expect(page.locator("#latest summary").first).to_contain_text("Person Number7")
    expect(page.locator("#lag-router")).to_have_text("31,500 waiting")
    expect(page.locator("#stage-router")).to_have_attribute("data-level", "very-late")
    drawn = page.locator("#line-intake").get_attribute("d")
    (dead,) = console.leads(1)
    console.feed.take([dead.given_up()])
    expect(page.locator("#today-n")).to_have_text("8")
    expect(page.locator("#dead")).to_contain_text("handler_error")
    expect(page.locator("#dead")).to_contain_text("KeyError while deciding lead.received")
    expect(page.locator("#funnel tbody")).to_contain_text("web-form")
    expect(page.locator("#line-intake")).not_to_have_attribute("d", drawn or "")
    assert page.evaluate("window.neverReloaded")


def test_an_open_row_shows_its_reasons_and_stays_while_leads_flow(
    opened: Callable[..., Page], console: Console
) -> None:
    (lead,) = console.leads(1)
    page = opened()
    page.locator(f"#lead-{lead.lead_id} summary").click()
    console.leads(3)
    expect(page.locator("#today-n")).to_have_text("4")
    row = page.locator(f"#lead-{lead.lead_id}")
    expect(row.locator(".why")).to_contain_text("Ana Torres was next in turn in pool north")
    expect(page.locator(".paused")).to_be_visible()
    row.get_by_text("Full timeline").click()
    expect(page.locator(".timeline > li")).to_have_count(3)
    expect(page.locator(".timeline")).to_contain_text("qualify-1")


def test_an_address_leads_to_the_lead_and_into_no_url(opened: Callable[..., Page], console: Console) -> None:
    lead, _ = console.leads(2)
    page = opened()
    page.get_by_role("searchbox").fill(lead.email)
    page.get_by_role("button", name="Search").click()
    page.wait_for_url(f"**/leads/{lead.lead_id}")
    expect(page.locator("h1")).to_have_text(lead.name)


def test_the_page_speaks_spanish_and_keeps_to_it(opened: Callable[..., Page], console: Console) -> None:
    console.leads(1, rep=REPS[1])
    page = opened()
    page.get_by_role("link", name="Español").click()
    expect(page.locator("h2").first).to_have_text("Entrada")
    console.leads(1200)
    expect(page.locator("#today-n")).to_have_text("1.201")
    page.get_by_role("link", name="Embudo").click()
    expect(page.locator("h1")).to_have_text("Embudo")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", SIZES)
def test_nothing_overlaps_or_is_cut_off(
    opened: Callable[..., Page], console: Console, width: int, scheme: Literal["light", "dark"]
) -> None:
    for source in SOURCES:
        console.leads(3, source=source)
    odd = {"name": HOSTILE, "source": HOSTILE, "campaign": HOSTILE, "rep": ("rep-x", HOSTILE), "warmth": HOSTILE}
    (hostile,) = console.leads(1, **odd)
    console.feed.take([hostile.given_up(), hostile.outcome("lead.won", value=98_765_432.1)])
    console.lags.update(qualify=0, router=1_234_567, nurture=2_000, analytics=12)
    reports = (f"/reports/{name}" for name in ("funnel?by=source,owner", "speed", "submissions", "deadletters"))
    for path in ("/", "/?lang=es", f"/leads/{hostile.lead_id}", *reports):
        page = opened(path, width, scheme)
        if path == "/":
            expect(page.locator("#lag-router")).to_contain_text("1,234,567")
            page.locator("#latest summary").first.click()
        assert page.evaluate(LAYOUT) == [], f"{path} at {width} px"
        assert page.evaluate("window.hacked") is None
        page.context.close()
