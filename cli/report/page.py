"""What a page is made of, and the template that lays it out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import ClassVar

from markupsafe import Markup

from cva_sql.cli.report.plots.svg import Paint, drawn

Legend = tuple[tuple[str, str], ...]  # a colour's name in the style sheet, or `ramp`; its words


@dataclass(frozen=True)
class Plot:
    """A drawing with its title and what it says.

    Of kind `tall` it takes two rows of the grid, of kind `top` its drawing stands at the card's
    top; else at its bottom, so that axes side by side are level.
    """

    layout: ClassVar[str] = "plot"
    title: str
    sentence: str
    drawing: Markup
    legend: Legend
    kind: str


@dataclass(frozen=True)
class Cell:
    """More than a text: a smaller line under it, a list in its stead, a coloured dot before it."""

    text: str = ""
    small: str = ""
    items: tuple[str, ...] = ()
    dot: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of cells; the first `texts` columns are texts, the others numbers.

    `caption` is read to those who do not see it. A wide table scrolls within its box; one of kind
    `stacked` becomes a list of rows on a phone, where column `long` has a line of its own.
    """

    layout: ClassVar[str] = "table"
    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    texts: int = 1
    kind: str = "plain"
    long: int = -1


@dataclass(frozen=True)
class Card:
    """A box beside plots: a title, what it says, and a table."""

    layout: ClassVar[str] = "card"
    title: str
    sentence: str
    table: Table | None = None
    is_wide: bool = False


@dataclass(frozen=True)
class Grid:
    """Plots and cards side by side, as many as there is room for."""

    layout: ClassVar[str] = "grid"
    blocks: Sequence[Plot | Card]


@dataclass(frozen=True)
class Tile:
    """A figure in large letters, what it is, and lines that explain it."""

    label: str
    figure: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Tiles:
    """A row of tiles."""

    layout: ClassVar[str] = "tiles"
    tiles: Sequence[Tile]


@dataclass(frozen=True)
class Section:
    """A part of the page. `sentence` is what it says, `note` a remark below its blocks.

    `left_out` is what is missing and what to run; such a section has no blocks.
    """

    name: str
    title: str
    sentence: str
    blocks: tuple[Grid | Table | Tiles, ...] = ()
    note: str = ""
    left_out: str | None = None


@dataclass(frozen=True)
class Head:
    """The top of the page: the shop's name, and where it has customers, what the page is of."""

    name: str
    as_of: str = ""
    horizon: str = ""
    end: str = ""
    version: str = ""
    money: str = ""
    notice: str = ""


def missing(name: str, title: str, what: str) -> Section:
    """A section that cannot be made; `what` says why and what to run."""
    return Section(name, title, what, left_out=what)


def plot(
    name: str, title: str, sentence: str, height: float, paint: Paint, *, legend: Legend = (),
    kind: str = "",
) -> Plot:  # fmt: skip
    """What `paint` draws, `height` pixels tall; its ids start with `name`."""
    drawing = drawn(name, f"{title}. {sentence}", height, paint)
    return Plot(title, sentence, drawing, legend, kind)


def render(head: Head, sections: Sequence[Section]) -> str:
    """The whole file. The template escapes every text that is not a drawing of ours."""
    import jinja2

    template = (files("cva_sql.cli.report") / "template.html").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True,
    )  # fmt: skip
    return str(environment.from_string(template).render(head=head, sections=sections))
