"""Write-ahead cache, so that a killed run resumes."""

from __future__ import annotations

import sqlite3
import threading
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from cva_sql.udfs.encoder import EMPTY, NOTHING, Reading
from cva_sql.udfs.errors import ModelError

SUFFIX = ".journal"
TABLE = """
create table if not exists readings (
    encoder_key text, digest text, status text, token_count integer, sentiment real, embedding blob,
    checksum integer, primary key (encoder_key, digest)
)"""
INSERT = "insert or replace into readings values (?, ?, ?, ?, ?, ?, ?)"
WAIT_SECONDS = 30.0  # for somebody who looks into the file


class Journal:
    """Readings on disk by encoder and digest of their text, for one database.

    What a kill cut off, or what is damaged, counts as not read. One process writes at a time: the
    one that holds the database; its threads may share a journal. Raises ModelError where the
    folder cannot be written.
    """

    def __init__(self, folder: Path, database: str, key: str) -> None:
        self._path = folder / f"texts-{database}{SUFFIX}"
        self._key = key
        self._lock = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(folder, error.strerror) from None
        self._con = self._open()

    def _open(self) -> sqlite3.Connection:
        """A connection to the file, made anew where it is damaged."""
        try:
            return self._connect()
        except sqlite3.OperationalError as error:
            raise _unwritable(self._path.parent, error) from None
        except sqlite3.DatabaseError:  # no database, or half of one
            _remove(self._path)
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        con = sqlite3.connect(self._path, timeout=WAIT_SECONDS, check_same_thread=False)
        # The system writes it out after a kill too; what a power cut damages is read again.
        con.execute("pragma synchronous = off")
        con.execute(TABLE)
        return con

    def find(self, digest: str) -> Reading | None:
        """The reading of a text, None where there is none that is whole."""
        try:
            with self._lock:
                row = self._con.execute(
                    "select status, token_count, sentiment, embedding, checksum from readings "
                    "where encoder_key = ? and digest = ?",
                    [self._key, digest],
                ).fetchone()
        except sqlite3.DatabaseError:
            return None
        if row is None or row[-1] != checksum(digest, *row[:-1]):
            return None
        status, token_count, sentiment, embedding, _ = row
        if status == EMPTY:
            return NOTHING
        vector = np.frombuffer(embedding, dtype="<f4").astype(np.float32)
        return Reading(vector, sentiment, status, token_count)

    def append(self, readings: Iterable[tuple[str, Reading]]) -> None:
        """Writes readings through to the file, all or none of them."""
        rows = [(self._key, digest, *_columns(digest, reading)) for digest, reading in readings]
        with self._lock:
            try:
                self._insert(rows)
            except sqlite3.OperationalError as error:
                raise _unwritable(self._path.parent, error) from None
            except sqlite3.DatabaseError:  # damaged since it was opened
                self._con.close()
                _remove(self._path)
                self._con = self._open()
                self._insert(rows)

    def _insert(self, rows: list[tuple[object, ...]]) -> None:
        with self._con:
            self._con.executemany(INSERT, rows)

    def close(self) -> None:
        """Lets go of the file."""
        with self._lock:
            self._con.close()


def clear_journals(folder: Path, database: str) -> None:
    """Forgets what was read for a database, with any encoder."""
    _remove(folder / f"texts-{database}{SUFFIX}")


def _remove(path: Path) -> None:
    """Removes the file, and the change that a kill may have left half done beside it."""
    for file in (path.with_name(f"{path.name}-journal"), path):
        file.unlink(missing_ok=True)


def _columns(digest: str, reading: Reading) -> tuple[object, ...]:
    vector = reading.embedding
    embedding = None if vector is None else vector.astype("<f4").tobytes()
    values = (reading.status, reading.token_count, reading.sentiment, embedding)
    return (*values, checksum(digest, *values))


def checksum(
    digest: str, status: str, token_count: int, sentiment: float | None, embedding: bytes | None
) -> int:
    """CRC-32 of a row: SQLite notices a damaged page, not a damaged value."""
    return zlib.crc32(repr((digest, status, token_count, sentiment, embedding)).encode())


def _unwritable(folder: Path, reason: object) -> ModelError:
    return ModelError(
        f"{folder} cannot be written ({reason}), and what is read there survives a kill; "
        "make it a folder that can be"
    )
