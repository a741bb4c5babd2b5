"""The words in times: months, days of the week and zones, and how they are made plain."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cva_sql.cli.shop.sql_text import literal

ENGLISH = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
FULL = (
    *("january", "february", "march", "april", "may", "june", "july", "august", "september"),
    *("october", "november", "december"),
)
# Per month, in German, French, Spanish, Italian, Dutch and Portuguese.
MONTHS = (
    "januar jänner jan janvier janv enero ene gennaio gen januari janeiro",
    "februar feb février fevrier févr fevr fév fev febrero febbraio februari fevereiro",
    "märz maerz mär mrz mars mar marzo maart mrt março marco",
    "april apr avril avr abril abr aprile",
    "mai mayo maggio mag mei maio",
    "juni jun juin junio giugno giu junho",
    "juli jul juillet juil julio luglio lug julho",
    "august aug août aout agosto ago augustus",
    "sept september septembre septiembre setiembre settembre set setembro",
    "oktober okt octobre oct octubre ottobre ott outubro out",
    "november nov novembre noviembre novembro",
    "dezember dez décembre decembre déc dec diciembre dic dicembre december dezembro",
)
NUMBERS = {word: i for i, words in enumerate(MONTHS) for word in words.split()} | {
    word: i for names in (ENGLISH, FULL) for i, word in enumerate(names)
}
# Not "mar", which is a month as well, nor German "so" and "do" before anything but a day.
DAYS = (
    "mon|monday|tue|tues|tuesday|wed|wednesday|thu|thur|thurs|thursday|fri|friday|sat|saturday|sun"
    "|sunday|mo|di|mi|do|fr|sa|so|montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonnabend"
    "|sonntag|lun|lundi|mardi|mer|mercredi|jeu|jeudi|ven|vendredi|sam|samedi|dim|dimanche|lunes"
    "|martes|mié|mie|miércoles|jue|jueves|vie|viernes|sáb|sábado|dom|domingo|lunedì|martedì"
    "|mercoledì|giovedì|venerdì|sabato|domenica|maandag|dinsdag|woensdag|donderdag|vrijdag|zaterdag"
    "|zondag|ma|wo|vr|za|zo"
)
ZONES = {
    **{"PST": "-08:00", "PDT": "-07:00", "MST": "-07:00", "MDT": "-06:00", "CDT": "-05:00"},
    **{"EST": "-05:00", "EDT": "-04:00", "AKST": "-09:00", "AKDT": "-08:00", "HST": "-10:00"},
    **{"UTC": "+00:00", "GMT": "+00:00", "Z": "+00:00", "WET": "+00:00", "WEST": "+01:00"},
    **{"CET": "+01:00", "CEST": "+02:00", "MEZ": "+01:00", "MESZ": "+02:00", "EET": "+02:00"},
    **{"EEST": "+03:00", "MSK": "+03:00", "JST": "+09:00", "KST": "+09:00", "HKT": "+08:00"},
    **{"SGT": "+08:00", "AEST": "+10:00", "AEDT": "+11:00", "NZST": "+12:00", "NZDT": "+13:00"},
}
# Abbreviations of several zones, with the offset of one; PST and its like are taken as American.
SEVERAL_ZONES = {"CST": "-06:00", "IST": "+05:30", "BST": "+01:00", "AST": "-04:00"}

LETTERS = "A-Za-zÀ-ÖØ-öø-ÿ"
WORD = f"[{LETTERS}]+"
# What is made plain, where any shape has it: a regular expression for both Python and DuckDB.
STEPS = (
    ("[\u00a0\u202f\u2009\u3000]", " "),
    (f"(?i)^(?:{DAYS})[.,]*\\s+", ""),
    (r"\s*[(][月火水木金土日一二三四五六][)]|\s*(?:星期|周|礼拜)[一二三四五六日天]", ""),
    (r"\s*[(][A-Za-z /]+[)]$", ""),
    (r"(?:GMT|UTC)([+-])", r"\1"),
    (r"(?i)\s*\b([ap])[.]\s?m\b[.]?", r" \1m"),
    ("上午|午前|오전", " AM "),
    ("下午|午後|오후", " PM "),
    (r"(\d)(?:st|nd|rd|th|er|º|°)\b", r"\1"),
    (f"(\\d)[.]\\s*([{LETTERS}])", r"\1 \2"),
    (r"(?i)\s+(?:de|del|of|at|um|à|kl[.]?|,)\s+", " "),
    (r"(?i)\s*\bUhr\b", ""),
)


def plain_steps(shapes: Sequence[str]) -> list[tuple[str, str]]:
    """The replacements that leave digits, separators, English months and offsets."""
    steps: list[tuple[str, str]] = []
    for pattern, replacement in STEPS:
        if any(re.search(pattern, shape) for shape in shapes):
            steps.append((pattern, replacement))
            shapes = [re.sub(pattern, replacement, shape) for shape in shapes]
    words = sorted({word for shape in shapes for word in re.findall(WORD, shape)})
    for word in words:
        steps += _word_steps(word, shapes)
    return steps


def make_plain(shape: str, steps: Sequence[tuple[str, str]]) -> str:
    """The shape after the steps."""
    for pattern, replacement in steps:
        shape = re.sub(pattern, replacement, shape)
    return re.sub("[0-9]", "9", shape).strip()


def plain_sql(value: str, steps: Sequence[tuple[str, str]]) -> str:
    """SQL: the text after the steps."""
    for pattern, replacement in steps:
        value = f"regexp_replace({value}, {literal(pattern)}, {literal(replacement)}, 'g')"
    return value


def zones_in(shape: str) -> dict[str, str]:
    """The abbreviated zones of a shape with a clock, and their offsets."""
    found = {word: {**SEVERAL_ZONES, **ZONES}.get(word) for word in re.findall(WORD, shape)}
    return {w: offset for w, offset in found.items() if offset and ":" in shape and len(w) > 1}


def unclear_zone(shapes: Sequence[str]) -> str | None:
    """An abbreviation in the shapes that several zones share and no other one explains."""
    words = {word for shape in shapes for word in re.findall(WORD, shape) if ":" in shape}
    if words & {"CDT", "PST", "PDT", "EST", "EDT", "MST", "MDT"}:  # the American ones
        words -= {"CST"}
    return min(words & SEVERAL_ZONES.keys(), default=None)


def _word_steps(word: str, shapes: Sequence[str]) -> list[tuple[str, str]]:
    low = word.lower()
    offset = ZONES.get(word) or SEVERAL_ZONES.get(word)
    if offset:
        return [(f"(\\d|[AaPp][Mm])\\s*{word}\\b", f"\\1 {offset}")]
    if low in NUMBERS:
        has_dot = any(f"{word}." in shape for shape in shapes)
        if low in (*ENGLISH, *FULL) and not has_dot:
            return []
        return [(f"(^|[^{LETTERS}]){word}[.]?($|[^{LETTERS}])", f"\\1{ENGLISH[NUMBERS[low]]}\\2")]
    return []
