"""The pages build as a site without a broken link, and the site loads nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOADED = re.compile(
    r"<(?:script|link|img|iframe|source|object|embed|video|audio)\b[^>]*?"
    r"(?:src|href|srcset|data)=[\"']?((?:https?:)?//[^\"'\s>]+)"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr  # strict: a broken link or anchor is a failure
    return folder


def test_every_page_is_in_the_site(site: Path) -> None:
    pages = {p.relative_to(ROOT / "docs").with_suffix("") for p in (ROOT / "docs").rglob("*.md")}
    built = {p.relative_to(site).with_suffix("") for p in site.rglob("*.html")}
    assert pages <= built


def test_links_between_pages_lead_to_files(site: Path) -> None:
    for page in site.rglob("*.html"):
        if page.name == "404.html":  # its links are from the server's root
            continue
        for link in re.findall(r'(?:href|src)="([^"#]+)', page.read_text(encoding="utf-8")):
            if not re.match(r"[a-z]+:", link):
                assert (page.parent / link.partition("?")[0]).exists(), f"{page.name}: {link}"


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    loaded = {
        (page.name, url)
        for page in site.rglob("*.html")
        for url in LOADED.findall(page.read_text(encoding="utf-8"))
    }
    assert loaded == set()
    styles = [path.read_text(encoding="utf-8") for path in site.rglob("*.css")]
    assert [
        url for text in styles for url in re.findall(r"(?:url\(|@import )[\"']?https?:", text)
    ] == []
    # What the theme would fetch when a page has a diagram or names a repository.
    pages = "".join(page.read_text(encoding="utf-8") for page in site.rglob("*.html"))
    assert 'class="mermaid"' not in pages
    assert "md-source__repository" not in pages
