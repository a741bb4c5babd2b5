"""The files in a watched folder: which are whole, what they are of, and where bad ones go."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from cva_sql.cli.load.arrivals import DIGITS
from cva_sql.cli.presets.preset import presets
from cva_sql.cli.shop.files import write_atomic
from cva_sql.cli.shop.package import raw_tables
from cva_sql.udfs.errors import CvaError

REJECTED = "rejected"  # the folder, in the watched one, of files that could not be loaded
REASON = ".reason.txt"
UNFINISHED = (".tmp", ".part", ".partial", ".crdownload", ".filepart", ".swp")
OF_LINES = {".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson"}
UNENDED = 10  # times as long as usual for a text that ends within a line: its writer may pause

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
    def order(self) -> tuple[str, str]:
        """The name with its numbers filled up, so that texts sort as people count."""
        return re.sub(r"\d+", lambda found: found[0].zfill(DIGITS), self.name), self.name

    def is_settled(self, seconds: float) -> bool:
        """Whether it was not written for so long; ten times as long where it ends within a line."""
        age = time.time() - self.modified_ns / 1e9
        if age < seconds:
            return False
        return age >= UNENDED * seconds or self._ends_a_line()

    def _ends_a_line(self) -> bool:
        if self.path.suffix.lower() not in OF_LINES:
            return True
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) in (b"\n", b"\r")


@dataclass
class Settling:
    """Files that may still be written: since when each has been as it is."""

    seconds: float
    seen: dict[str, tuple[State, float]] = field(default_factory=dict)

    def is_over(self, file: Arrived) -> bool:
        """Whether nobody writes the file; one from the future is told by how long it was seen."""
        if file.is_settled(self.seconds):
            self.seen.pop(file.name, None)
            return True
        now = time.monotonic()
        state, since = self.seen.get(file.name, (None, now))
        if state != file.state:
            since = now
        self.seen[file.name] = file.state, since
        return now - since >= UNENDED * self.seconds


def new_files(
    folder: Path, known: Mapping[str, State], settling: Settling
) -> tuple[list[Arrived], int]:
    """The files that are not `known` as they are now, in the order of their names.

    And how many more there are that may still be written. An empty one is none yet. Raises CvaError
    where the folder cannot be read.
    """
    ready, waiting = list[Arrived](), 0
    try:
        for file in _files(folder, PurePosixPath()):
            if known.get(file.name) == file.state or not file.bytes:
                continue
            try:
                is_over = settling.is_over(file)
            except FileNotFoundError:
                continue
            ready += [file] if is_over else []
            waiting += not is_over
    except OSError as error:
        raise CvaError(f"--raw {folder} cannot be read: {error.strerror}") from None
    return sorted(ready, key=lambda file: file.order), waiting


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
