"""The shape of a time as a format of DuckDB's strptime, where digits and separators tell."""

from __future__ import annotations

import re

MONTH = r"(?P<month>[A-Za-z]+)"
YEAR = r"(?P<year>9{4}|9{2})"
S = r"[-/. ]"
DATES = {
    "ymd": rf"9{{4}}(?P<sep>{S}|[.] )9{{1,2}}(?P=sep)9{{1,2}}[.]?",
    "cjk": r"9{4}[年년] ?9{1,2}[月월] ?9{1,2}[日号일]",
    "xyz": rf"9{{1,2}}(?P<sep>{S}|[.] )9{{1,2}}(?P=sep){YEAR}",
    "month_first": rf"{MONTH}[ .,/-]*9{{1,2}}[ .,/-]+{YEAR}",
    "day_first": rf"9{{1,2}}[ .,/-]*{MONTH}[ .,/-]*{YEAR}",
    "year_first": rf"9{{4}}[ ./-]{MONTH}[ ./-]9{{1,2}}",
    "month_alone": rf"{MONTH} +9{{1,2}}",  # ctime: the year comes after the clock
}
HALF = r"(?P<half>[AaPp][Mm])"
CLOCKS = (
    rf"(?:{HALF} *)?9{{1,2}}:9{{2}}(?::9{{2}}(?:[.,]9{{1,9}})?)?",
    rf"9{{1,2}}:9{{2}}(?::9{{2}}(?:[.,]9{{1,9}})?)? *{HALF}",
    r"9{1,2}[时時시] ?9{1,2}[分분](?: ?9{1,2}[秒초])?",
    rf"9{{1,2}}[.]9{{2}}(?:[.]9{{2}})?(?: *{HALF})?",
    rf"9{{1,2}} *{HALF}",
)
JOIN = r"(?:[Tt]|,? *-? *)"
ZONE = r"(?P<zone> ?[+-]9{2}:?(?:9{2})?)"


def format_of(shape: str) -> str | None:
    """The format, with %1 and %2 where day and month may stand either way; None for no time."""
    for name, date in DATES.items():
        is_ctime = name == "month_alone"
        found = _with_year_last(shape, date) if is_ctime else _fit(name, date, shape)
        if found:
            return re.sub(" +", " ", found)
    return None


def _fit(name: str, date: str, shape: str) -> str | None:
    match = re.fullmatch(date, shape)
    if match:
        return _date_format(name, shape, match)
    for clock in CLOCKS:
        for whole, parts in (
            (
                f"(?P<date>{date})(?P<join>{JOIN})(?P<clock>{clock}){ZONE}?",
                ("date", "join", "clock"),
            ),
            (
                f"(?P<clock>{clock})(?P<join>{JOIN})(?P<date>{date}){ZONE}?",
                ("clock", "join", "date"),
            ),
        ):
            match = re.fullmatch(whole, shape)
            if match:
                formats = {
                    "date": _date_format(name, match["date"], match),
                    "join": match["join"],
                    "clock": _clock_format(match["clock"]),
                }
                zone = " %z" if match["zone"] and match["zone"].startswith(" ") else "%z"
                return "".join(formats[part] for part in parts) + (zone if match["zone"] else "")
    return None


def _with_year_last(shape: str, date: str) -> str | None:
    match = re.fullmatch(f"(?P<date>{date}) (?P<clock>{CLOCKS[0]}){ZONE}? 9{{4}}", shape)
    if match is None:
        return None
    day = _numbered(_named(match["date"], match), ["%d"])
    return f"{day} {_clock_format(match['clock'])}{' %z' if match['zone'] else ''} %Y"


def _date_format(name: str, text: str, match: re.Match[str]) -> str:
    year = "%y" if match.groupdict().get("year") == "99" else "%Y"
    fields = {
        "ymd": ["%Y", "%m", "%d"],
        "cjk": ["%Y", "%m", "%d"],
        "xyz": ["%1", "%2", year],
        "month_first": ["%d", year],
        "day_first": ["%d", year],
        "year_first": ["%Y", "%d"],
    }[name]
    return _numbered(_named(text, match), fields)


def _named(text: str, match: re.Match[str]) -> str:
    """The date with its month's name as a field; three letters are its short form."""
    word = match.groupdict().get("month")
    return text.replace(word, "%b" if len(word) == 3 else "%B") if word else text


def _clock_format(text: str) -> str:
    has_half = re.search("[AaPp][Mm]", text)
    text = re.sub("[AaPp][Mm]", "%p", text)
    fraction = re.search("[.,](9+)$", re.sub(" *%p", "", text))
    fields = ["%I" if has_half else "%H", "%M", "%S", "%f"]
    if fraction and len(fraction[1]) > 6:
        fields[3] = "%n"
    return _numbered(text, fields)


def _numbered(text: str, fields: list[str]) -> str:
    """The text with a field for each run of digits."""
    left = iter(fields)
    return re.sub("9+", lambda _: next(left), text)
