"""The site that scripts/docs builds: whole, and without a network."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.report import chromium

ELSEWHERE = re.compile(r'<(?:script|img|iframe|source)[^>]* src="?(?:https?:)?//|<link[^>]* href="?(?:https?:)?//')
"""What a browser fetches when it shows a page."""


def build(project: Path, site: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", project / ".mkdocs.yml", "-d", site],
        capture_output=True,
        text=True,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
    )


@pytest.fixture(scope="module")
def site(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built in strict mode."""
    folder = tmp_path_factory.mktemp("site")
    done = build(repo, folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def copy(repo: Path, tmp_path: Path) -> Path:
    """A copy of the pages, to break."""
    shutil.copy(repo / ".mkdocs.yml", tmp_path)
    shutil.copytree(repo / "docs", tmp_path / "docs")
    return tmp_path


def test_every_page_is_in_it(repo: Path, site: Path) -> None:
    pages = {path.relative_to(repo / "docs").with_suffix(".html") for path in (repo / "docs").rglob("*.md")}
    assert len(pages) > 25
    assert pages <= {path.relative_to(site) for path in site.rglob("*.html")}


def test_every_decision_is_reached(repo: Path, site: Path) -> None:
    index = (site / "decisions.html").read_text("utf-8")
    for path in (repo / "docs" / "decisions").glob("*.md"):
        assert f'href="decisions/{path.stem}.html"' in index


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        assert not ELSEWHERE.search(page.read_text("utf-8")), page.relative_to(site)
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\(\W*(?:https?:)?//|@import", sheet.read_text("utf-8")), sheet.relative_to(site)


def test_the_search_knows_the_words(site: Path) -> None:
    found = json.loads((site / "search" / "search_index.json").read_text("utf-8"))["docs"]
    places = {entry["location"].partition("#")[0] for entry in found if "minifloat" in entry["text"]}
    assert {"number-formats.html", "vocabulary.html"} <= places
    # A page from the disk may not read JSON: the same index as a script.
    assert (site / "search" / "search_index.js").read_text("utf-8").startswith("var __index = {")
    assert "assets/iframe-worker.js" in (site / "index.html").read_text("utf-8")


def test_a_reader_without_a_network_finds_a_word(site: Path) -> None:
    with chromium.running() as chrome:
        chromium.screen(chrome, 1280)
        chromium.opened(chrome, site / "index.html")
        chrome.find_element(By.CSS_SELECTOR, ".md-search__input").send_keys("minifloat")
        found = WebDriverWait(chrome, 20).until(lambda it: it.find_elements(By.CSS_SELECTOR, ".md-search-result__link"))
        pages = {link.get_attribute("href").partition("?")[0] for link in found}
        assert (site / "number-formats.html").as_uri() in pages
        assert {url.partition(":")[0] for url in chromium.fetched(chrome)} <= {"file", "about", "blob"}
        assert chromium.complaints(chrome) == []


def test_what_leads_nowhere_stops_the_build(copy: Path) -> None:
    faults = [
        ("quickstart.md", "[gone](nowhere.md)", "'nowhere.md'"),
        ("quickstart.md", "[gone](cli.md#no-such-command)", "'#no-such-command'"),
        ("quickstart.md", "[here](#no-such-heading)", "'#no-such-heading'"),
        ("quickstart.md", "[root](/cli.md)", "absolute link"),
        ("lost.md", "# A page that no menu has", "lost.md"),
    ]
    for page, text, _ in faults:
        with (copy / "docs" / page).open("a", encoding="utf-8") as file:
            file.write(f"\n{text}\n")
    done = build(copy, copy / "site")
    assert done.returncode != 0
    for *_, reason in faults:
        assert done.stderr.count(reason) == 1, f"{reason} is not told once:\n{done.stderr}"
    # Each of them is one of the warnings that stop it.
    assert f"Aborted with {len(faults)} warnings in strict mode" in done.stdout + done.stderr, done.stderr
