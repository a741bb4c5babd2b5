"""Numbers and the user's own texts as a person reads them."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence

UNREADABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff]+")  # breaks HTML and SVG
TURNING = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")  # turn the text that follows
UNITS = ((1e12, "T"), (1e9, "B"), (1e6, "M"))
BEYOND = 1e15  # from here on only the power of ten says anything
NARROW_EM, WIDE_EM = 0.56, 1.0  # mean width of a letter in system fonts, and of a CJK one
SPACE = "\u00a0"  # keeps a number and its unit on one line
MINUS = "−"


def plain(text: str, limit: int = 60) -> str:
    """`text` in one line of at most `limit` characters, without what turns or breaks a page."""
    line = TURNING.sub("", UNREADABLE.sub(" ", text[: limit * 4]))
    line = re.sub(" +", " ", line).strip(" ")  # a no-break space stays one
    is_cut = len(line) > limit or len(text) > limit * 4
    return line[: limit - 1].rstrip() + "…" if is_cut else line


def fitted(text: str, pixels: float, size: float = 12) -> str:
    """`text` cut so that it is about as wide as `pixels` in letters of `size`."""
    line, room = plain(text, 200), pixels / size
    for k, letter in enumerate(line):
        room -= letter_width(letter)
        if room < 0:
            return line[: max(1, k - 1)].rstrip() + "…"
    return line


def text_width(text: str, size: float = 12) -> float:
    """About how many pixels wide `text` is."""
    return size * sum(letter_width(letter) for letter in text)


def letter_width(letter: str) -> float:
    """About the width of a letter, in em."""
    return WIDE_EM if unicodedata.east_asian_width(letter) in "WF" else NARROW_EM


def amount(value: float | None) -> str:
    """A number of any size in three or more digits: 74,917, 9.45, 1.23M; – where unknown."""
    if value is None or not math.isfinite(value):
        return "–"
    size = abs(value)
    if size >= BEYOND:
        text = f"{size:.2e}"
    elif size >= 999_999.5:
        unit, letter = next(pair for pair in UNITS if size >= pair[0] * 0.9999995)
        part = size / unit
        text = f"{part:.{2 if part < 9.995 else 1 if part < 99.95 else 0}f}{letter}"
    elif size >= 99.95:
        text = f"{size:,.0f}"
    elif size == round(size):
        text = f"{size:.0f}"
    elif size >= 9.995:
        text = f"{size:.1f}"
    elif size >= 0.0995:
        text = f"{size:.2f}"
    else:
        text = f"{size:.2g}"
    is_negative = value < 0 and text.strip("0.") != ""
    return MINUS + text if is_negative else text


def money(value: float | None) -> str:
    """An amount for a table: two digits after the point below a million."""
    if value is None or not math.isfinite(value) or abs(value) >= 1e6:
        return amount(value)
    text = f"{abs(value):,.2f}"
    return MINUS + text if value < 0 and text != "0.00" else text


def signed(value: float) -> str:
    """An amount with its sign; 0 has none."""
    text = amount(value)
    return f"+{text}" if value > 0 and text != "0" else text


def tone(value: float | None) -> str:
    """A sentiment with its sign and two digits; 0.00 has none, and – is unknown."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:+.2f}".replace("-", MINUS) if abs(value) >= 0.005 else "0.00"


def percent(share: float | None) -> str:
    """A share as `51 %`; one digit after the point where it is below 1 % or above 99 %.

    What is not nothing is never shown as 0 %, nor as 100 % what is not all.
    """
    if share is None or not math.isfinite(share):
        return "–"
    part = share * 100
    if 0 < part < 0.05:
        return f"<0.1{SPACE}%"
    if 99.95 <= part < 100 - 1e-9:
        return f">99.9{SPACE}%"
    is_edge = 0 < part < 0.95 or 99 < part < 99.95
    digits = 1 if is_edge else 0
    return f"{part:.{digits}f}{SPACE}%"


def counted(count: int, noun: str, plural: str = "") -> str:
    """`1 customer`, `3,000 customers`."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def tick_labels(ticks: Sequence[float]) -> list[str]:
    """The labels of an axis, all with the same number of digits after the point."""
    largest = max((abs(tick) for tick in ticks), default=0)
    if largest >= 1e6:
        return [_short(tick) for tick in ticks]
    digits = next(
        (d for d in range(7) if all(math.isclose(round(t, d), t, abs_tol=1e-9) for t in ticks)), 6
    )
    return [f"{t:,.{digits if t else 0}f}".replace("-", MINUS) for t in ticks]


def power_labels(ticks: Sequence[float]) -> list[str]:
    """The labels of a logarithmic axis, each as short as it can be: 0.1, 1, 1,000, 1M."""
    return [_short(tick) for tick in ticks]


def _short(value: float) -> str:
    size = abs(value)
    if size == 0:
        return "0"
    if size >= BEYOND or size < 1e-5:
        text = f"{size:.0e}".replace("-", MINUS)
    elif size >= 1e6:
        unit, letter = next(pair for pair in UNITS if size >= pair[0])
        text = f"{size / unit:.6g}{letter}"
    else:
        text = f"{size:,.6f}".rstrip("0").rstrip(".")
    return MINUS + text if value < 0 else text
