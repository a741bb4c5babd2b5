"""Sections and figures as one HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from cva_sql.cli.report.style import style_sheet
from cva_sql.cli.report.svg import Paint, drawn


@dataclass(frozen=True)
class Section:
    """A part of the page. `sentence` is what it says; `blocks` are HTML, made safe already.

    `left_out` is what is missing and what to run; such a section has no blocks.
    """

    name: str
    title: str
    sentence: str
    blocks: tuple[str, ...] = field(default=())
    left_out: str | None = None


def missing(name: str, title: str, what: str) -> Section:
    """A section that cannot be made; `what` says why and what to run."""
    return Section(name, title, what, left_out=what)


def figure(
    name: str,
    title: str,
    sentence: str,
    height: float,
    paint: Paint,
    *,
    after: str = "",
    is_tall: bool = False,
) -> str:
    """A figure with its title, what it says, and its drawing; `after` is HTML below it.

    `is_tall`: it takes two rows of the grid, beside four others.
    """
    drawing = drawn(name, f"{title}. {sentence}", height, paint)
    kind = "card tall" if is_tall else "card"
    return (
        f'<figure class="{kind}"><figcaption><h3>{escape(title)}</h3>'
        f"<p>{escape(sentence)}</p></figcaption>{drawing}{after}</figure>"
    )


def card(title: str, sentence: str, content: str, *, is_wide: bool = False) -> str:
    """A box with HTML in it, beside figures."""
    kind = "card wide" if is_wide else "card"
    return f'<div class="{kind}"><h3>{escape(title)}</h3><p>{escape(sentence)}</p>{content}</div>'


def grid(blocks: Sequence[str]) -> str:
    """Figures and cards side by side, as many as there is room for."""
    return f'<div class="grid">{"".join(blocks)}</div>'


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    texts: int = 1,
    kind: str = "plain",
    long: int | None = None,
    caption: str,
) -> str:
    """A table whose cells are HTML; the first `texts` columns are texts, the others numbers.

    `caption` is read to those who do not see it. A wide one scrolls within its box; one of kind
    `stacked` becomes a list of rows on a phone, where column `long` has a line of its own.
    """
    head = "".join(
        f'<th scope="col"{_kind(k, texts)}>{escape(title)}</th>' for k, title in enumerate(header)
    )
    body = "".join(f"<tr>{_cells(header, row, texts, long)}</tr>" for row in rows)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f'<table class="{kind}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _cells(header: Sequence[str], row: Sequence[str], texts: int, long: int | None) -> str:
    return "".join(
        f'<td data-label="{escape(title)}"{_kind(k, texts, long)}>{cell}</td>'
        for k, (title, cell) in enumerate(zip(header, row, strict=True))
    )


def _kind(column: int, texts: int, long: int | None = None) -> str:
    return ' class="n"' if column >= texts else ' class="long"' if column == long else ""


def page(title: str, head: str, sections: Sequence[Section]) -> str:
    """The whole file; `head` is the HTML above the sections."""
    links = "".join(f'<a href="#{s.name}">{escape(s.title)}</a>' for s in sections)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style_sheet()}</style>\n</head>\n<body>\n"
        f'<main>\n{head}\n<nav aria-label="Sections">{links}</nav>\n'
        + "\n".join(_section(section) for section in sections)
        + "\n</main>\n</body>\n</html>\n"
    )


def _section(section: Section) -> str:
    kind = "missing" if section.left_out else "sentence"
    return (
        f'<section id="{section.name}"><h2>{escape(section.title)}</h2>'
        f'<p class="{kind}">{escape(section.sentence)}</p>{"".join(section.blocks)}</section>'
    )
