"""The SQL functions over text: vectors, sentiment, status, and the reading that is journalled."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cva_sql.udfs.encoder import (
    NOTHING,
    Encoder,
    Reading,
    ShopEncoder,
)
from cva_sql.udfs.errors import ModelError
from cva_sql.udfs.journal import Journal, clear_journals
from cva_sql.udfs.manifest import Manifest, read_manifest
from cva_sql.udfs.progress import Progress
from cva_sql.udfs.projection import DIMENSION, TextProjection, read_projection
from cva_sql.udfs.sessions import deployed_folder

BATCH = 64  # texts between two writes to the journal
PROJECTION_VARIABLE = "CVA_TEXT_PROJECTION"  # a file that takes the deployed projection's place
WORDS_VARIABLE = "CVA_WORDS_PROJECTION"  # the same for the family `words`

STATUS_TYPE = "STRUCT(status VARCHAR, token_count INTEGER)"


READING_TYPE = (
    f"STRUCT(embedding FLOAT[{DIMENSION}], sentiment DOUBLE, status VARCHAR, token_count INTEGER)"
)


def embed(encoder: Encoder, texts: Any) -> Any:
    """Arrow strings -> fixed-size lists of float32; NULL for NULL and for texts without a token."""
    return _embeddings(encoder.read_all(_texts(texts)))


def sentiment(encoder: Encoder, texts: Any) -> Any:
    """Arrow strings -> float64 in [-1, 1]; NULL for NULL and where the text cannot be read."""
    import pyarrow as pa

    readings = encoder.read_all(_texts(texts))
    return pa.array([reading.sentiment for reading in readings], type=pa.float64())


def text_status(encoder: Encoder, texts: Any) -> Any:
    """Arrow strings -> structs of STATUS_TYPE; NULL is `empty`."""
    import pyarrow as pa

    found = [encoder.status(text) for text in _texts(texts)]
    return pa.StructArray.from_arrays(
        [
            pa.array([status for status, _ in found], type=pa.string()),
            pa.array([count for _, count in found], type=pa.int32()),
        ],
        names=["status", "token_count"],
    )


def project(projection: TextProjection | None, embeddings: Any, encoder: ShopEncoder) -> Any:
    """Fixed-size lists of float32 -> lists of float32, NULL for NULL or without a projection.

    Raises ModelError where the projection was fitted on another encoder's vectors.
    """
    import pyarrow as pa

    rows = _whole(embeddings)
    if projection is None or projection.is_empty:
        return pa.nulls(len(rows), type=pa.list_(pa.float32()))
    if projection.encoder_key != encoder.manifest.key:
        raise ModelError(
            f"the deployed model knows the texts by encoder {projection.encoder_key}, they are "
            f"read by {encoder.manifest.key} now; retrain with: cva train"
        )
    size, dimension = projection.components.shape
    known = rows.is_valid().to_numpy(zero_copy_only=False)
    vectors = rows.drop_null().flatten().to_numpy().reshape(-1, dimension)
    components = projection.apply(vectors)
    offsets = np.concatenate([[0], np.cumsum(known)]) * size
    return pa.ListArray.from_arrays(
        pa.array(offsets, type=pa.int32()),
        pa.array(components.ravel(), type=pa.float32()),
        mask=pa.array(~known),
    )


def rate(
    manifest: Manifest, encoder: ShopEncoder, texts: Any, embeddings: Any, sentiments: Any
) -> Any:
    """Arrow strings, their vectors and sentiments -> what each fold would have rated them.

    NULL for NULL, for a text without a vector, and where the model has no head for it, or one that
    was learned from another encoder's pieces: no score hangs on it.
    """
    import pyarrow as pa

    head, bodies = manifest.rating_head, _texts(texts)
    if head is None or head.encoder_key != encoder.manifest.key or not any(bodies):
        return pa.nulls(len(bodies), type=pa.list_(pa.float64()))
    reader = encoder.load()
    vectors, tones = _whole(embeddings).to_pylist(), _whole(sentiments).to_pylist()
    rated = [
        head.apply(reader.pieces(body), np.array(vector, dtype=np.float64), tone).tolist()
        if body and vector
        else None
        for body, vector, tone in zip(bodies, vectors, tones, strict=True)
    ]
    return pa.array(rated, type=pa.list_(pa.float64()))


@dataclass(frozen=True)
class Basis:
    """One of the projections of the deployed model: its place in the manifest.

    `variable` of the environment names the file that training hands over in its place.
    """

    variable: str
    of: Callable[[Manifest], TextProjection | None]

    def active(self, models_dir: Path) -> TextProjection | None:
        """What texts are projected on now; None where nothing is."""
        path = os.environ.get(self.variable)
        if path:
            return read_projection(Path(path))
        return self.of(read_manifest(deployed_folder(models_dir)))


BASES = {  # by the SQL function that projects on it
    "cva_project": Basis(PROJECTION_VARIABLE, lambda manifest: manifest.text_projection),
    "cva_project_words": Basis(WORDS_VARIABLE, lambda manifest: manifest.words_projection),
}


class Reader:
    """Reads the texts of a whole table: from the journal where a killed run left them there."""

    def __init__(self, encoder: ShopEncoder, work_dir: Path | None, database: str) -> None:
        self._encoder = encoder
        self._work_dir = work_dir
        self._database = database
        self._journal: Journal | None = None
        self._lock = threading.Lock()
        self._fresh = 0
        self._progress = Progress("texts")

    def read(self, texts: Any, totals: Any) -> Any:
        """Arrow strings, and how many texts the query has -> structs of READING_TYPE."""
        encoder = self._encoder.load()
        rows = _texts(texts)
        total = totals[0].as_py() if len(totals) else None
        readings: list[Reading] = []
        for first in range(0, len(rows), BATCH):
            readings += self._read_batch(encoder, rows[first : first + BATCH], total or 0)
        return _readings(readings)

    def forget(self) -> int:
        """Drops the journal, once its readings are in the database; how many texts were read."""
        with self._lock:
            if self._journal is not None:
                self._journal.close()
            self._journal = None
            if self._work_dir is not None:
                clear_journals(self._work_dir, self._database)
            fresh, self._fresh = self._fresh, 0
            self._progress.reset()
            return fresh

    def _open_journal(self, key: str) -> Journal | None:
        with self._lock:
            if self._journal is None and self._work_dir is not None:
                self._journal = Journal(self._work_dir, self._database, key)
            return self._journal

    def _read_batch(
        self, encoder: Encoder, texts: Sequence[str | None], total: int
    ) -> list[Reading]:
        journal = self._open_journal(encoder.manifest.key)
        self._progress.start()
        digests = [None if text is None else text_digest(text) for text in texts]
        found = [journal.find(d) if journal and d else None for d in digests]
        missing = [i for i, one in enumerate(found) if one is None and texts[i] is not None]
        fresh = encoder.read_all([texts[i] for i in missing])
        if journal and fresh:
            journal.append((str(digests[i]), r) for i, r in zip(missing, fresh, strict=True))
        for i, reading in zip(missing, fresh, strict=True):
            found[i] = reading
        with self._lock:
            self._fresh += len(fresh)
        self._progress.add(len(texts), total, is_silent=not fresh)
        return [NOTHING if one is None else one for one in found]


def text_digest(text: str) -> str:
    """The SHA-256 in hex, as the SQL has it."""
    return hashlib.sha256(text.encode()).hexdigest()


def _texts(column: Any) -> list[str | None]:
    import pyarrow as pa

    texts: list[str | None] = column.cast(pa.string()).to_pylist()
    return texts


def _whole(column: Any) -> Any:
    """A column as one array."""
    import pyarrow as pa

    if not isinstance(column, pa.ChunkedArray):
        return column
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _embeddings(readings: Sequence[Reading]) -> Any:
    import pyarrow as pa

    values = np.zeros((len(readings), DIMENSION), dtype=np.float32)
    empty = np.zeros(len(readings), dtype=bool)
    for row, reading in enumerate(readings):
        if reading.embedding is None:
            empty[row] = True
        else:
            values[row] = reading.embedding
    return pa.FixedSizeListArray.from_arrays(
        pa.array(values.ravel()), DIMENSION, mask=pa.array(empty)
    )


def _readings(readings: Sequence[Reading]) -> Any:
    import pyarrow as pa

    return pa.StructArray.from_arrays(
        [
            _embeddings(readings),
            pa.array([reading.sentiment for reading in readings], type=pa.float64()),
            pa.array([reading.status for reading in readings], type=pa.string()),
            pa.array([reading.token_count for reading in readings], type=pa.int32()),
        ],
        names=["embedding", "sentiment", "status", "token_count"],
    )
