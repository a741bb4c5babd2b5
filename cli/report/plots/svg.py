"""Matplotlib figures as SVG that takes its colours, letters and width from the page."""

from __future__ import annotations

import logging
import re
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from cva_sql.cli.report.plots.palette import GRID, INK, MUTED, VARIABLES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Paint = Callable[["Figure"], object]
WIDTH = 380.0  # CSS pixels: what a phone of 390 has room for, so that letters keep their size
TEXT = 12.0  # pixels; on a phone of 360 a figure shrinks to .89, and letters to 10.7
INCH = 72.0  # Matplotlib's points to the inch: here a point is a CSS pixel
NUMBER = re.compile(r"-?\d+\.\d+")
COLOUR = re.compile(r"#[0-9a-f]{6}")
REFERENCE = re.compile(r"url\(#([^)]+)\)")
DOT = re.compile(r"M (\S+) (\S+) L \1 \2(?= |$)")  # a line of no length: a round cap alone
DROPPED = ("font", "font-family", "white-space", "stroke-miterlimit")
SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none", "svg.hashsalt": "cva", "text.parse_math": False,
    "path.simplify": False,  # it would take lines of no length away, which are the dots
    "font.size": TEXT, "text.color": INK, "axes.labelcolor": MUTED, "axes.edgecolor": GRID,
    "xtick.labelcolor": MUTED, "ytick.labelcolor": MUTED, "xtick.color": GRID,
    "ytick.color": GRID, "figure.facecolor": "none", "axes.facecolor": "none",
    "savefig.facecolor": "none", "xtick.major.size": 0, "ytick.major.size": 0,
    "xtick.minor.size": 0, "ytick.minor.size": 0, "xtick.major.pad": 7, "ytick.major.pad": 5,
    "axes.spines.top": False, "axes.spines.right": False, "axes.spines.left": False,
    "grid.color": GRID, "grid.linewidth": 1, "axes.axisbelow": True, "axes.linewidth": 1,
    "axes.unicode_minus": True, "figure.dpi": INCH, "savefig.dpi": INCH,
}  # fmt: skip


def drawn(name: str, alternative: str, height: float, paint: Paint) -> Markup:
    """The figure that `paint` fills, WIDTH by `height` pixels, as an SVG element for a page.

    Its ids start with `name`; `alternative` is read to those who do not see it.
    """
    with _settings():
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure

        figure = Figure(figsize=(WIDTH / INCH, height / INCH), dpi=INCH)
        FigureCanvasSVG(figure)
        paint(figure)
        file = BytesIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(file, format="svg", metadata=nothing)
    return _for_page(file.getvalue(), name, alternative, height)


@contextmanager
def _settings() -> Iterator[None]:
    """Our settings over Matplotlib's own defaults: the user's matplotlibrc changes no page."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it tells of its font cache
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        # The browser has the letters that the font measured with has not.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)
        yield


def _for_page(data: bytes, name: str, alternative: str, height: float) -> Markup:
    root = ET.fromstring(data)
    used = {
        found
        for element in root.iter()
        for key, value in element.attrib.items()
        for found in [*REFERENCE.findall(value), *([value[1:]] if _is_link(key) else [])]
    }
    for element in root.iter():
        _clean(element, name, used)
    root.attrib.clear()
    size = f"0 0 {WIDTH:g} {height:g}"
    root.attrib.update({"viewBox": size, "role": "img", "aria-label": alternative})
    return Markup("".join(_written(root)))


def _is_link(key: str) -> bool:
    return key.split("}")[-1] == "href"


def _clean(element: ET.Element, name: str, used: set[str]) -> None:
    """Renames ids, drops what the page gives, shortens numbers; texts stay as they are."""
    cleaned: dict[str, str] = {}
    for long, value in element.attrib.items():
        key = long.split("}")[-1]
        if key == "id":
            if value in used:
                cleaned[key] = f"{name}-{value}"
        elif key == "href":
            cleaned[key] = f"#{name}-{value[1:]}"
        elif key == "style":
            cleaned[key] = _style(value)
        elif key == "clip-path":
            cleaned[key] = REFERENCE.sub(rf"url(#{name}-\1)", value)
        elif key == "transform" and re.match(r"rotate\(-?0[ )]", value):
            continue
        elif key == "d":
            path = " ".join(NUMBER.sub(_shorter, value).split())
            cleaned[key] = DOT.sub(r"M\1 \2h0", path)
        else:
            cleaned[key] = NUMBER.sub(_shorter, value)
    element.attrib.clear()
    element.attrib.update({key: value for key, value in cleaned.items() if value})


def _style(value: str) -> str:
    kept = [part.strip() for part in value.split(";")]
    kept = [part for part in kept if part and part.split(":")[0] not in DROPPED]
    return ";".join(
        COLOUR.sub(lambda found: f"var({VARIABLES[found[0]]})", part).replace(": ", ":")
        for part in kept
    )


def _shorter(found: re.Match[str]) -> str:
    text = f"{float(found[0]):.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def _written(element: ET.Element) -> Iterator[str]:
    """The element as HTML has it: no namespaces, no style sheet of its own."""
    tag = element.tag.split("}")[-1]
    if tag in ("metadata", "style"):
        return
    inside = [escape(element.text, quote=False)] if element.text and element.text.strip() else []
    inside += [text for child in element for text in _written(child)]
    if not inside and tag in ("g", "defs"):
        return
    if tag == "g" and not element.attrib:
        yield from inside
        return
    attributes = "".join(f' {key}="{escape(value)}"' for key, value in element.attrib.items())
    yield f"<{tag}{attributes}>"
    yield from inside
    yield f"</{tag}>"
