"""What has been read and is not yet in the database: a killed run does not read it again."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cva_sql.udfs.encoder import EMPTY, NOTHING, STATUSES, Reading

SUFFIX = ".journal"


class Journal:
    """Readings on disk by the SHA-256 of their text, for one encoder: records of equal size.

    A record is complete or, at the end of the file of a killed run, cut off and ignored. One
    process writes at a time: the one that holds the database.
    """

    def __init__(self, folder: Path, key: str, dimension: int) -> None:
        self._folder = folder
        self._path = folder / f"texts-{key}{SUFFIX}"
        self._record = np.dtype(
            [
                ("digest", "S64"),  # hex: a trailing zero byte would be lost
                ("status", "u1"),
                ("token_count", "<i4"),
                ("sentiment", "<f8"),
                ("embedding", "<f4", (dimension,)),
            ]
        )
        self._lock = threading.Lock()
        self._records: NDArray[np.void] | None = None
        self._places: dict[bytes, int] = {}
        self._open()

    def _open(self) -> None:
        try:
            size = self._path.stat().st_size
        except FileNotFoundError:
            return
        count = size // self._record.itemsize
        if size != count * self._record.itemsize:
            with self._path.open("r+b") as file:
                file.truncate(count * self._record.itemsize)
        if count:
            self._records = np.memmap(self._path, self._record, "r", shape=(count,))
            self._places = {bytes(d): i for i, d in enumerate(self._records["digest"])}

    def find(self, digest: str) -> Reading | None:
        """The reading of a text, by its digest in hex."""
        place = self._places.get(digest.encode())
        if place is None or self._records is None:
            return None
        record = self._records[place]
        status = STATUSES[int(record["status"])]
        if status == EMPTY:
            return NOTHING
        embedding = np.array(record["embedding"], dtype=np.float32)
        sentiment = None if np.isnan(record["sentiment"]) else float(record["sentiment"])
        return Reading(embedding, sentiment, status, int(record["token_count"]))

    def append(self, readings: Iterable[tuple[str, Reading]]) -> None:
        """Writes readings through to the file."""
        rows = list(readings)
        records = np.zeros(len(rows), dtype=self._record)
        for record, (digest, reading) in zip(records, rows, strict=True):
            record["digest"] = digest.encode()
            record["status"] = STATUSES.index(reading.status)
            record["token_count"] = reading.token_count
            record["sentiment"] = np.nan if reading.sentiment is None else reading.sentiment
            if reading.embedding is not None:
                record["embedding"] = reading.embedding
        with self._lock:
            self._folder.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                file.write(records.tobytes())


def clear_journals(folder: Path) -> None:
    """Forgets what was read, with any encoder."""
    for path in folder.glob(f"texts-*{SUFFIX}"):
        path.unlink(missing_ok=True)
