"""The page in headless Chromium: sorted by pointer and by keyboard, in both colour schemes, on a phone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from ristretto.report.page import read, render
from tests.report import chromium
from tests.report.page_data import result, sweep

HOSTILE = "<script>document.title = 'taken'</script>"


@pytest.fixture(scope="module")
def chrome() -> Iterator[Chrome]:
    with chromium.running() as browser:
        yield browser


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    data = result("zeta", "alpha", HOSTILE, "beta")
    # A table of sensitivities that no screen holds, with the width chosen at its far end.
    data["layers"][0]["formats"]["params"]["bw"] = 16
    data["sites"][0]["distortions"] = {str(width): 10.0**-width for width in range(1, 17)}
    files = {"R.json": data, "sweep.json": sweep()}
    for name, data in files.items():
        (folder / name).write_text(json.dumps(data), "utf-8")
    path = folder / "report.html"
    path.write_bytes(render(read([folder / name for name in files])))
    return path


@pytest.fixture
def view(chrome: Chrome, page: Path) -> Chrome:
    """The page, freshly opened on a desktop's screen."""
    chromium.screen(chrome, 1280)
    chromium.opened(chrome, page)
    return chrome


def heading(view: Chrome, text: str, table: str = "#layers") -> WebElement:
    """Give the button of the first heading with a text."""
    buttons = view.find_elements(By.CSS_SELECTOR, f"{table} thead button")
    return next(button for button in buttons if button.text == text)


def names(view: Chrome) -> list[str]:
    return [link.text for link in view.find_elements(By.CSS_SELECTOR, "#layers tbody th a")]


def sorting(button: WebElement) -> str | None:
    return button.find_element(By.XPATH, "..").get_attribute("aria-sort")


def run(view: Chrome, script: str) -> Any:
    return view.execute_script(f"return {script}")


def test_a_click_sorts_up_another_down_a_third_as_it_was(view: Chrome) -> None:
    first = ["zeta", "alpha", HOSTILE, "beta"]
    assert names(view) == first
    button = heading(view, "MACs")
    button.click()
    # The layers have 4000, 3000, 2000 and 1000 multiply-accumulates.
    assert names(view) == first[::-1]
    assert sorting(button) == "ascending"
    assert view.find_element(By.ID, "said").get_attribute("textContent") == (
        "Formats of each layer, and what they do: MACs, sorted upwards"
    )
    button.click()
    assert names(view) == first
    assert sorting(button) == "descending"
    by_name = heading(view, "Layer")
    by_name.click()
    assert names(view) == [HOSTILE, "alpha", "beta", "zeta"]
    assert (sorting(button), sorting(by_name)) == ("none", "ascending")
    by_name.click()
    by_name.click()
    assert names(view) == first
    assert sorting(by_name) == "none"


def test_each_column_sorts_by_its_own_numbers(view: Chrome) -> None:
    """Of every heading that sorts, the cells below it end up in order: a heading stands over the column it sorts."""
    found = view.execute_script("""
        const wrong = [];
        for (const details of document.querySelectorAll("details")) details.open = true;
        for (const table of document.querySelectorAll("table.sortable")) {
            for (const heading of table.querySelectorAll("th[aria-sort]")) {
                heading.querySelector("button").click();
                const middle = (box => (box.left + box.right) / 2)(heading.getBoundingClientRect());
                const cells = [...table.tBodies[0].rows].map(row => [...row.cells].find(cell => {
                    const box = cell.getBoundingClientRect();
                    return box.left <= middle && middle < box.right;
                }));
                const keys = cells.map(cell => cell.dataset.key ?? cell.textContent.trim());
                const numbers = keys.filter(key => key !== "").map(Number);
                const ordered = heading.dataset.sort !== "number"
                    || numbers.every((number, index) => !index || numbers[index - 1] <= number);
                if (!ordered) wrong.push([table.caption.textContent, heading.textContent, keys]);
            }
        }
        return wrong;
    """)
    assert found == []


def test_the_keyboard_sorts(view: Chrome) -> None:
    keys = ActionChains(view)
    keys.send_keys(Keys.TAB).perform()
    assert run(view, "document.activeElement.className") == "skip"
    keys.send_keys(Keys.ENTER).perform()
    assert run(view, "document.activeElement.id") == "main"
    target = heading(view, "MACs")
    for _ in range(80):
        keys.send_keys(Keys.TAB).perform()
        if view.switch_to.active_element == target:
            break
    assert view.switch_to.active_element == target
    outline = run(view, "getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    keys.send_keys(Keys.ENTER).perform()
    assert names(view) == ["beta", HOSTILE, "alpha", "zeta"]
    # The button is still where the keyboard is.
    assert view.switch_to.active_element == target
    keys.send_keys(Keys.SPACE).perform()
    assert names(view)[0] == "zeta"


def test_what_has_no_number_stands_last_either_way(chrome: Chrome, tmp_path: Path) -> None:
    data = result("a", "b", "c")
    data["layers"][0]["macs"] = None
    (tmp_path / "R.json").write_text(json.dumps(data), "utf-8")
    page = tmp_path / "report.html"
    page.write_bytes(render(read([tmp_path / "R.json"])))
    chromium.opened(chrome, page)
    button = heading(chrome, "MACs")
    for order in (["c", "b", "a"], ["b", "c", "a"], ["a", "b", "c"]):
        button.click()
        assert names(chrome) == order


def test_a_layer_leads_to_its_histograms(view: Chrome) -> None:
    view.find_element(By.LINK_TEXT, "beta").click()
    assert run(view, "location.hash") == "#layer-3"
    assert run(view, "document.querySelector(':target h3').textContent").startswith("beta")


def test_nothing_is_fetched_and_the_console_is_silent(view: Chrome, page: Path) -> None:
    heading(view, "MACs").click()
    assert chromium.fetched(view) == [page.as_uri()]
    assert chromium.complaints(view) == []
    assert view.title == "Small – ristretto report"  # noqa: RUF001 (a dash)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1280])
def test_the_page_fits_the_screen(chrome: Chrome, page: Path, width: int, scheme: str) -> None:
    chromium.screen(chrome, width, scheme=scheme)
    chromium.opened(chrome, page)
    for details in chrome.find_elements(By.TAG_NAME, "summary"):
        details.click()
    across, seen = run(chrome, "[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    # A phone would zoom out to what is too wide; elsewhere a scroll bar takes some pixels.
    assert across == seen
    assert width - 20 <= seen <= width
    assert chromium.complaints(chrome) == []
    ground = run(chrome, "getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(251, 249, 246)", "dark": "rgb(25, 23, 21)"}[scheme]


def test_what_is_wider_than_the_screen_scrolls_by_keyboard(chrome: Chrome, page: Path) -> None:
    chromium.screen(chrome, 360)
    chromium.opened(chrome, page)
    region = chrome.find_element(By.CSS_SELECTOR, "#layers .scroll")
    assert run(chrome, "document.querySelector('#layers .scroll').scrollWidth") > 360
    chrome.execute_script("arguments[0].focus()", region)
    for _ in range(5):
        ActionChains(chrome).send_keys(Keys.ARROW_RIGHT).perform()
    chrome.execute_async_script("requestAnimationFrame(() => setTimeout(arguments[0], 300))")
    assert run(chrome, "document.querySelector('#layers .scroll').scrollLeft") > 0


def test_without_scripts_all_is_there(chrome: Chrome, page: Path) -> None:
    chrome.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        chromium.opened(chrome, page)
        heads = chrome.find_elements(By.CSS_SELECTOR, "#layers thead th")
        assert [head.text for head in heads[:2]] == ["Layer", "Input"]
        assert not chrome.find_elements(By.CSS_SELECTOR, "thead button")
    finally:
        chrome.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
