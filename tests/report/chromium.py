"""A headless Chromium for tests: what the page does when someone uses it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
DRIVER = "chromedriver"


def browser_and_driver() -> tuple[str, str]:
    """Give the programs, or skip the test, saying what is missing."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which(DRIVER)
    if browser is None or driver is None:
        lacks = " and ".join([name for name, path in (("Chromium", browser), (DRIVER, driver)) if path is None])
        reason = f"no {lacks} here; on Debian: apt-get install chromium chromium-driver"
        # CI says that it has them: a test that is left out there would be one that nobody runs.
        if os.environ.get("RISTRETTO_NEEDS_CHROMIUM"):
            pytest.fail(reason)
        pytest.skip(reason)
    return browser, driver


@contextmanager
def running() -> Iterator[Chrome]:
    """Run a browser without a window, which notes what it fetches and what its console says."""
    browser, driver = browser_and_driver()
    options = Options()
    options.binary_location = browser
    # Without a sandbox, as a test may run as root; no page but ours is opened.
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = Chrome(options=options, service=Service(driver))
    try:
        yield chrome
    finally:
        chrome.quit()


def screen(chrome: Chrome, width: int, height: int = 800, scheme: str = "light") -> None:
    """Set the size of the screen, pixels, and the colours that the user prefers."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    preferred = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", preferred)


def opened(chrome: Chrome, page: Path) -> None:
    """Open a page; what came before is forgotten."""
    for log in ("browser", "performance"):
        chrome.get_log(log)
    chrome.get(page.as_uri())


def complaints(chrome: Chrome) -> list[dict[str, Any]]:
    """Give what the console has said since the page was opened."""
    return list(chrome.get_log("browser"))


def fetched(chrome: Chrome) -> list[str]:
    """Give the addresses that were asked for since then, but for data that stand in the page itself."""
    events = [json.loads(entry["message"])["message"] for entry in chrome.get_log("performance")]
    asked = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    return [url for url in asked if urlsplit(url).scheme != "data"]
