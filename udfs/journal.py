"""What has been read and is not yet in the database: a killed run does not read it again."""

from __future__ import annotations

import glob
import threading
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cva_sql.udfs.encoder import EMPTY, NOTHING, STATUSES, Reading
from cva_sql.udfs.errors import ModelError
from cva_sql.udfs.projection import DIMENSION

SUFFIX = ".journal"
RECORD = np.dtype(
    [
        ("checksum", "<u4"),  # CRC-32 of the rest
        ("digest", "S64"),  # SHA-256 of the text, in hex: a trailing zero byte would be lost
        ("status", "u1"),
        ("token_count", "<i4"),
        ("sentiment", "<f8"),
        ("embedding", "<f4", (DIMENSION,)),
    ]
)


class Journal:
    """Readings on disk by the digest of their text, for one database and one encoder.

    Records have one size. One that a kill cut off, or that is damaged, counts as not read. One
    process writes at a time: the one that holds the database. Raises ModelError where the folder
    cannot be written.
    """

    def __init__(self, folder: Path, database: str, key: str) -> None:
        self._path = folder / f"texts-{database}-{key}{SUFFIX}"
        self._lock = threading.Lock()
        self._records: NDArray[np.void] = np.empty(0, dtype=RECORD)
        self._places: dict[bytes, int] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._open()
        except OSError as error:
            raise _unwritable(folder, error) from None

    def _open(self) -> None:
        if not self._path.exists():
            return
        count = self._path.stat().st_size // RECORD.itemsize
        with self._path.open("r+b") as file:
            file.truncate(count * RECORD.itemsize)
        if count:
            self._records = np.memmap(self._path, RECORD, "r", shape=(count,))
            self._places = {bytes(d): i for i, d in enumerate(self._records["digest"])}

    def find(self, digest: str) -> Reading | None:
        """The reading of a text, None where there is none that is whole."""
        place = self._places.get(digest.encode())
        if place is None:
            return None
        record = self._records[place]
        if record["checksum"] != _checksum(record):
            return None
        status = STATUSES[int(record["status"])]
        if status == EMPTY:
            return NOTHING
        embedding = np.array(record["embedding"], dtype=np.float32)
        sentiment = None if np.isnan(record["sentiment"]) else float(record["sentiment"])
        return Reading(embedding, sentiment, status, int(record["token_count"]))

    def append(self, readings: Iterable[tuple[str, Reading]]) -> None:
        """Writes readings through to the file."""
        rows = list(readings)
        records = np.zeros(len(rows), dtype=RECORD)
        for record, (digest, reading) in zip(records, rows, strict=True):
            record["digest"] = digest.encode()
            record["status"] = STATUSES.index(reading.status)
            record["token_count"] = reading.token_count
            record["sentiment"] = np.nan if reading.sentiment is None else reading.sentiment
            if reading.embedding is not None:
                record["embedding"] = reading.embedding
            record["checksum"] = _checksum(record)
        try:
            with self._lock, self._path.open("ab") as file:
                file.write(records.tobytes())
        except OSError as error:
            raise _unwritable(self._path.parent, error) from None


def clear_journals(folder: Path, database: str) -> None:
    """Forgets what was read for a database, with any encoder."""
    for path in folder.glob(f"texts-{glob.escape(database)}-*{SUFFIX}"):
        path.unlink(missing_ok=True)


def _checksum(record: np.void) -> int:
    return zlib.crc32(record.tobytes()[4:])


def _unwritable(folder: Path, error: OSError) -> ModelError:
    return ModelError(
        f"{folder} cannot be written ({error.strerror}), and what is read there survives a kill; "
        "make it a folder that can be"
    )
