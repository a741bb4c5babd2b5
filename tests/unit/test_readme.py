"""README is short, says nothing that a page does not reproduce, and uses the field's words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
WRITTEN = [page for page in PAGES if page.parent.name != "reference"]  # the others are generated
PAPERS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *WRITTEN]
LARGEST = 12_288  # bytes
LONGEST = 40  # words of a sentence
FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
FIGURE = re.compile(r"(?<![\w.])-?\d{1,3}(?:,\d{3})+(?:\.\d+)?|(?<![\w.])-?\d+\.\d+")
PRIVATE = re.compile(r"\b(chances?|peers?|levelled|stretch\w*|spread|origin)\b", re.IGNORECASE)


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def prose(path: Path) -> str:
    """The text without blocks, code, links' targets and comments; a table's row is a line."""
    text = FENCE.sub("", text_of(path))
    text = re.sub(r"<!--.*?-->|^    .*$", "", text, flags=re.MULTILINE)
    return re.sub(r"`[^`]*`", "code", re.sub(r"\]\([^)]*\)", "]", text))


def sentences(path: Path) -> list[str]:
    lines = prose(path).splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("|"))
    parts = re.split(r"\n\s*\n|\n\s*(?:[-#]+|\d+\.)\s", text)
    return [s for part in parts for s in re.split(r"(?<=[.!?:])[*)]*\s", " ".join(part.split()))]


def figures(text: str) -> set[str]:
    """Numbers with a fraction or a thousands separator, each with a leading zero."""
    return set(FIGURE.findall(re.sub(r"(?<![\d.])\.(?=\d)", "0.", text)))


def test_the_readme_is_one_page() -> None:
    assert len(text_of(ROOT / "README.md").encode()) <= LARGEST


@pytest.mark.parametrize("path", PAPERS, ids=lambda path: path.stem)
def test_no_sentence_has_to_be_read_twice(path: Path) -> None:
    assert [s for s in sentences(path) if len(s.split()) > LONGEST] == []


@pytest.mark.parametrize("path", PAPERS, ids=lambda path: path.stem)
def test_figures_have_a_leading_zero(path: Path) -> None:
    assert re.findall(r"(?<![\w.])[-+±<]?\.\d+", prose(path)) == []


@pytest.mark.parametrize("path", PAPERS, ids=lambda path: path.stem)
def test_words_are_the_fields(path: Path) -> None:
    assert PRIVATE.findall(prose(path)) == []


def test_a_page_reproduces_each_figure_of_the_readme() -> None:
    said = figures(text_of(ROOT / "README.md"))
    assert len(said) > 100
    assert said - figures("\n".join(text_of(page) for page in PAGES)) == set()


def test_the_readmes_demo_is_what_the_home_page_shows() -> None:
    """That page is run by `make figures`."""
    (block,) = re.findall(r"^\$ cva demo\n(.*?)^```$", text_of(ROOT / "README.md"), re.M | re.S)
    home = text_of(ROOT / "docs" / "index.md").splitlines()
    assert [line for line in block.splitlines() if line != "…" and line not in home] == []


def test_the_readmes_tables_are_rows_of_the_quality_page() -> None:
    names = {
        "MBG/NBD": "mbgnbd",
        "random forest": "random_forest",
        "ridge on logs": "ridge",
        "baseline rule": "baseline",
        "past spend": "past_spend",
        "last window": "last_window",
        "cva": "cva",
    }
    tables = re.findall(r"^\| \| Spearman .*?\n\n", text_of(ROOT / "README.md"), re.M | re.S)
    means = text_of(ROOT / "docs" / "quality.md").split("mean over the dates\n")[1:3]
    assert len(tables) == len(means) == 2
    for table, mean in zip(tables, means, strict=True):
        rows = [row.strip("|").split("|") for row in table.strip().splitlines()[2:]]
        assert len(rows) == 6
        for name, *cells in rows:
            line = re.findall(rf"^{names[name.strip()]} .*$", mean, re.MULTILINE)[0]
            shown = [float(x) for x in re.findall(r"[\d.]+", " ".join(cells))]
            printed = [float(x) for x in re.findall(r"[\d.]+", line)]
            assert shown == printed[: len(shown)], name


def test_the_marts_table_is_between_markers() -> None:
    text = text_of(ROOT / "README.md")
    assert text.count("<!-- marts -->\n| table | question |\n") == 1
    assert text.count("|\n<!-- /marts -->") == 1


def test_the_chinese_readme_is_one_screen() -> None:
    assert len(text_of(ROOT / "README.zh.md").splitlines()) <= 60
