"""Text of users that a terminal would obey is shown as it is spelt: an escape as `\\x1b`."""

from __future__ import annotations

import json
import re
import sys
from typing import Any, TextIO

# Control characters but tab and newline, marks that turn the direction of writing, separators
# that a terminal takes for a new line, and halves of characters, which cannot be written at all.
OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029\ud800-\udfff]"
)


def visible(text: str) -> str:
    """`text` without anything that a terminal would obey but tabs and new lines."""
    return OBEYED.sub(_spelt, text)


def visible_line(text: str) -> str:
    """`text` as one line: new lines are spelt as well."""
    return visible(text.rstrip("\n")).replace("\n", "\\n")


def _spelt(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def json_text(value: Any, **settings: Any) -> str:
    """`value` as JSON in which letters of any language can be read, and nothing is obeyed."""
    text = json.dumps(value, ensure_ascii=False, **settings)
    return OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class Shown:
    """A stream for people: what is written passes `visible`, all else is the stream's own."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        self.stream.write(visible(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def show_what_is_obeyed() -> None:
    """Lets everything that this process prints from now on pass the filter."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, Shown):
            setattr(sys, name, Shown(stream))


def for_programs() -> TextIO:
    """Where data is written that a program reads: as it is, unless it goes to a terminal."""
    out: Any = sys.stdout
    return out.stream if isinstance(out, Shown) and not out.isatty() else out
