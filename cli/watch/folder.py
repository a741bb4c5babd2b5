"""The files in a watched folder: which are whole, what they are of, and where bad ones go."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cva_sql.cli.presets.preset import presets
from cva_sql.cli.shop.files import write_atomic
from cva_sql.cli.shop.package import raw_tables
from cva_sql.udfs.errors import CvaError

REJECTED = "rejected"  # the folder, in the watched one, of files that could not be loaded
REASON = ".reason.txt"
UNFINISHED = (".tmp", ".part", ".partial", ".crdownload", ".filepart", ".swp")
DIGITS = 20  # as many as numbers in names are filled up to, so that 9 comes before 10

State = tuple[int, int]  # bytes and when it was written, in nanoseconds


@dataclass(frozen=True)
class Arrived:
    """A file by its name in the folder; `kind` is a raw table or preset, None where none is named.

    `order` says which of two files is newer.
    """

    path: Path
    name: str
    kind: str | None
    bytes: int
    modified_ns: int

    @property
    def state(self) -> State:
        """What changes when the file is written again."""
        return self.bytes, self.modified_ns

    @property
    def order(self) -> str:
        """The name with its numbers filled up, so that texts sort as people count."""
        return re.sub(r"\d+", lambda found: found[0].zfill(DIGITS), self.name)


def new_files(folder: Path, known: Mapping[str, State], settle: float) -> list[Arrived]:
    """The files that are not `known` as they are now and were not written for `settle` seconds.

    In the order of their names. Raises CvaError where the folder cannot be read.
    """
    before = time.time_ns() - int(settle * 1e9)
    try:
        found = [
            file
            for file in _files(folder, PurePosixPath())
            if known.get(file.name) != file.state and file.modified_ns <= before
        ]
    except OSError as error:
        raise CvaError(f"--raw {folder} cannot be read: {error.strerror}") from None
    return sorted(found, key=lambda file: file.order)


def _files(folder: Path, within: PurePosixPath) -> Iterator[Arrived]:
    """All files but hidden ones, those that are still written, and what was rejected."""
    with os.scandir(folder) as entries:
        for entry in entries:
            is_top = within == PurePosixPath()
            if entry.name[0] in "._" or (is_top and entry.name == REJECTED):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _files(Path(entry.path), within / entry.name)
            elif entry.is_file() and not entry.name.lower().endswith(UNFINISHED):
                try:
                    state = entry.stat()
                except FileNotFoundError:
                    continue
                name = within / entry.name
                yield Arrived(
                    Path(entry.path), str(name), kind_of(name), state.st_size, state.st_mtime_ns
                )


def kind_of(name: PurePosixPath) -> str | None:
    """The raw table or preset that a folder of the path is called, or that the name begins with."""
    kinds = {*raw_tables(), *presets()}
    for part in name.parts[:-1]:
        if part in kinds:
            return part
    begins = [k for k in kinds if re.match(rf"{re.escape(k)}([^a-z]|$)", name.name.lower())]
    return max(begins, key=len, default=None)


def reject(folder: Path, file: Arrived, reason: str) -> Path:
    """Moves a file to `rejected/`, with the reason beside it; where it is now.

    Nothing that is there is replaced. Raises CvaError where it cannot be moved.
    """
    place = folder / REJECTED / file.name
    number = 1
    while place.exists():
        number += 1
        place = (folder / REJECTED / file.name).with_stem(f"{Path(file.name).stem}-{number}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(place.with_name(f"{place.name}{REASON}"), f"{reason}\n".encode())
        file.path.rename(place)
    except OSError as error:
        raise CvaError(
            f"{file.path} cannot be moved to {place.parent}: {error.strerror}; it was not loaded:"
            f" {reason}"
        ) from None
    return place
