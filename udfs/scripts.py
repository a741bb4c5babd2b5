"""Whether a text is written in letters that an encoder was taught."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

JUDGED = 2_000  # characters that the script is told from


def knows_script(text: str, scripts: Sequence[str]) -> bool:
    """Whether at least half of a text's letters are of one of the scripts, by Unicode."""
    if text.isascii():
        return True
    letters = [letter for letter in text[:JUDGED] if letter.isalpha()]
    named = tuple(script.upper() for script in scripts)
    known = sum(unicodedata.name(letter, "").startswith(named) for letter in letters)
    return 2 * known >= len(letters)
