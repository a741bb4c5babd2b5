"""The encoding of a text file, recognised over the whole file, and the file in UTF-8."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from pathlib import Path

from cva_sql.cli.shop.expressions import shortened
from cva_sql.udfs.errors import CvaError, UsageError

CHUNK = 1 << 20
MARKS = {  # UTF-32 first: its mark begins with that of UTF-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    codecs.BOM_UTF8: "utf-8-sig",
}
# A field with a byte above ASCII. What parts fields here is no second byte of GB18030, Big5, …
FIELD = re.compile(rb'[^,;\t\r\n"]*[\x80-\xff][^,;\t\r\n"]*')
FIELDS_PER_CHUNK = 200  # the sample is of the whole file, and stays below what the library reads
SAMPLE_BYTES = 200_000
CLEAR = 1.4  # times as likely as the next other reading; below, short samples were seen wrong
# Latin letters beside Greek, Cyrillic, Hebrew, Arabic, Thai or wide ones; signs within a word
MIXED = re.compile(
    r"[A-Za-z][\u0370-\u0e7f\uff00-\uff60]|[\u0370-\u0e7f][A-Za-z]|\w[¤¦§©¬®±¶«»„“€†‡•™\xad]+\w"
)
LEAST = 0.008  # the library's confidence in what is no text in any encoding it knows


def as_utf8(file: Path, path: Path, encoding: str | None, folder: Path) -> tuple[Path, list[str]]:
    """The text of `path` in UTF-8, a copy in `folder` unless it is that already; what is said."""
    target = folder / f"{path.name[:80]}.utf8"
    if encoding is not None:
        return _as_told(path, encoding, target)
    with path.open("rb") as stream:
        start = stream.read(CHUNK)
    marked = next((name for mark, name in MARKS.items() if start.startswith(mark)), None)
    wide = marked or _wide_encoding(start)
    if wide == "utf-8-sig" or (wide is None and _decodes(path, "utf-8")):
        return path, []
    if wide:
        if _transcode(path, wide, target) is None:
            raise CvaError(f"{file} starts as {wide.upper()} but is not so to its end")
        return target, [f"read as {wide.upper()}"]
    sample = b"\n".join(_sample(path))
    _refuse_broken_utf8(file, path, sample)
    readings = _readings(sample)
    _refuse_unclear(file, readings)
    for _, name, _ in readings:
        if _transcode(path, name, target) is not None:
            return target, [f"read as {name} (another one: --encoding)"]
    raise UsageError(f"{file} has no encoding that is known; name it, e.g. --encoding cp1252")


def _as_told(path: Path, encoding: str, target: Path) -> tuple[Path, list[str]]:
    try:
        known = codecs.lookup(encoding)
        "".encode(known.name)
        b"".decode(known.name)
    except LookupError as error:
        raise UsageError(
            f"--encoding {shortened(encoding)} is unknown; expected a name like utf-8, gb18030,"
            " big5, shift_jis, cp1252"
        ) from error
    name = "utf-8-sig" if known.name == "utf-8" else known.name
    replaced = _transcode(path, name, target, errors="replace")
    said = [f"read as {encoding}"]
    if replaced:
        said.append(f"{replaced:,} characters that are not {encoding} became \ufffd")
    return target, said


def _wide_encoding(start: bytes) -> str | None:
    """UTF-16 or UTF-32 without a mark, by where the zeros of ASCII characters are."""
    size = len(start) // 4 * 4
    if not size:
        return None
    zeros = [start[place:size:4].count(0) / (size / 4) for place in range(4)]
    for name, many, few in (
        ("utf-32-le", (2, 3), (0,)),
        ("utf-32-be", (0, 1), (3,)),
        ("utf-16-le", (1, 3), (0, 2)),
        ("utf-16-be", (0, 2), (1, 3)),
    ):
        if min(zeros[i] for i in many) > 0.2 and max(zeros[i] for i in few) < 0.02:
            return name
    return None


def _decodes(path: Path, encoding: str) -> bool:
    try:
        for _ in _decoded(path, encoding, "strict"):
            pass
    except UnicodeError:
        return False
    return True


def _decoded(path: Path, encoding: str, errors: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)(errors)
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            yield decoder.decode(chunk)
    yield decoder.decode(b"", final=True)


def _transcode(path: Path, encoding: str, target: Path, errors: str = "strict") -> int | None:
    """Writes `path` in UTF-8; how many characters were replaced, None if it cannot be read so."""
    replaced = 0
    try:
        with target.open("w", encoding="utf-8", newline="", errors="replace") as copy:
            for text in _decoded(path, encoding, errors):
                replaced += text.count("\ufffd") if errors == "replace" else 0
                copy.write(text)
    except UnicodeError:
        return None
    return replaced


def _sample(path: Path) -> list[bytes]:
    """Distinct fields with a byte above ASCII, some of every part of the file."""
    fields: dict[bytes, None] = {}
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK) + stream.readline():
            of_chunk = dict.fromkeys(match[0] for match in FIELD.finditer(chunk))
            fields.update(dict.fromkeys(list(of_chunk)[:FIELDS_PER_CHUNK]))
    step = 1 + sum(map(len, fields)) // SAMPLE_BYTES
    return list(fields)[::step]


def _refuse_broken_utf8(file: Path, path: Path, sample: bytes) -> None:
    fields = sample.split(b"\n")
    broken = [field for field in fields if not _is_utf8(field)]
    if 2 * len(broken) > len(fields):
        return
    number, text = next(
        (number, line)
        for number, line in enumerate(path.read_bytes().split(b"\n"), 1)
        if not _is_utf8(line)
    )
    raise UsageError(
        f"{file} is UTF-8, but line {number:,} is not: {text.decode('utf-8', 'replace')[:60]!r};"
        " mend it, or --encoding utf-8 puts \ufffd for what cannot be read"
    )


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeError:
        return False
    return True


def _readings(sample: bytes) -> list[tuple[float, str, str]]:
    """(confidence, encoding, text) of each different text that the sample may be, best first."""
    import chardet

    found = chardet.detect_all(
        sample, ignore_threshold=True, encoding_era=chardet.EncodingEra.MODERN_WEB
    )
    readings: dict[str, tuple[float, str]] = {}
    for guess in found:
        name = str(guess["encoding"] or "")
        try:
            text = sample.decode(name)
        except (UnicodeError, LookupError):
            continue
        if _is_no_text(text):
            continue
        confidence, former = readings.get(text, (guess["confidence"], name))
        usual = name if name == "Windows-1252" else former
        readings[text] = (confidence, usual)
    return [(confidence, name, text) for text, (confidence, name) in readings.items()]


def _is_no_text(text: str) -> bool:
    """Whether nobody writes so: controls, blocks, or half of the words like MŸller and Zoλ."""
    if re.search("[\x80-\x9f\u2500-\u259f\ue000-\uf8ff]", text):
        return True
    words = [word for word in text.split() if not word.isascii()]
    odd = [word for word in words if MIXED.search(word) or _has_capital_within(word)]
    return 2 * len(odd) >= len(words) > 0


def _has_capital_within(word: str) -> bool:
    return any(
        a.isalpha() and b.isupper() and not b.isascii() and c.islower()
        for a, b, c in zip(word, word[1:], word[2:], strict=False)
    )


def _refuse_unclear(file: Path, readings: list[tuple[float, str, str]]) -> None:
    """UsageError unless one reading is far likelier than the next."""
    if not readings:
        raise UsageError(f"{file} has no encoding that is known; name it, e.g. --encoding cp1252")
    (best, name, text), *others = readings
    if not others or (best >= LEAST and best >= CLEAR * others[0][0]):
        return
    _, other, other_text = others[0]
    one, two = next(
        pair
        for pair in zip(text.split("\n"), other_text.split("\n"), strict=False)
        if pair[0] != pair[1]
    )
    raise UsageError(
        f"{file} may be {name} ({_shown(one)}) or {other} ({_shown(two)}); name it:"
        f" --encoding {name} or --encoding {other}"
    )


def _shown(text: str) -> str:
    return repr(text.split("\n")[0].strip()[:20])
