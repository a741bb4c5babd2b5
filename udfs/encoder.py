"""The text encoder: one text in, its vector, sentiment, status and token count out."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cva_sql.udfs.encoder_tiers import EXACT, encoder_folder, packaged_folder
from cva_sql.udfs.errors import ModelError
from cva_sql.udfs.model_files import parse_object, read_file, read_text_file
from cva_sql.udfs.projection import DIMENSION
from cva_sql.udfs.scripts import knows_script
from cva_sql.udfs.sessions import open_session
from cva_sql.udfs.threads import pool
from cva_sql.udfs.windows import CUT, LONG_TEXTS, average, most_windows, windows

MODEL_FILE, TOKENIZER_FILE, MANIFEST_FILE = "model.onnx", "tokenizer.json", "manifest.json"

OUTPUTS = ("embedding", "sentiment")

FINE, EMPTY, UNKNOWN_SCRIPT, TRUNCATED = "", "empty", "unknown_script", "truncated"
STATUSES = (FINE, EMPTY, UNKNOWN_SCRIPT, TRUNCATED)

LONGEST = 200_000  # characters; what comes after them is neither read nor counted
UNKNOWN = ("[UNK]", "<unk>")  # what tokenizers call what they do not know
LEAST_TOKENS = 3  # the opening and the closing mark, and a word
RECENT = 4_096  # readings kept: a query that asks twice of a text reads it once


@dataclass(frozen=True)
class EncoderManifest:
    """What is frozen with an encoder; `parity` are the figures that it was accepted on.

    `trained_before`: it was taught on the shop's own texts of before this day; '' where on none.
    `long_texts`: those of more than `max_tokens` are `cut`, or read in `windows`.
    """

    name: str
    sha256: str
    tokenizer_sha256: str
    source: str
    source_sha256: str
    package: str
    licence: str
    dimension: int
    max_tokens: int
    pooling: str
    opset: int
    quantisation: str
    scripts: tuple[str, ...]
    parity: dict[str, float]
    trained_before: str = ""
    long_texts: str = CUT

    def to_json(self) -> str:
        """The manifest as the text of `manifest.json`."""
        said = asdict(self)
        if not self.trained_before:
            del said["trained_before"]
        if self.long_texts == CUT:
            del said["long_texts"]
        return json.dumps(said, indent=2, sort_keys=True) + "\n"

    @property
    def key(self) -> str:
        """16 hex digits that change with anything that changes a vector."""
        parts = [self.sha256, self.tokenizer_sha256, self.pooling, str(self.max_tokens)]
        parts += [] if self.long_texts == CUT else [self.long_texts]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Reading:
    """What is known of a text.

    `embedding` float32 (dimension,), None for an empty text; `sentiment` in [-1, 1], None where the
    text is empty or in a script that the encoder cannot read; `status` one of STATUSES;
    `token_count` before cutting, with the opening and the closing mark.
    """

    embedding: NDArray[np.float32] | None
    sentiment: float | None
    status: str
    token_count: int


NOTHING = Reading(None, None, EMPTY, 0)


class Encoder:
    """Reads texts, each by itself: what comes with it does not change a bit of the result."""

    def __init__(self, manifest: EncoderManifest, model: bytes, tokenizer: bytes) -> None:
        self.manifest = manifest
        self._session = open_session(model)
        self._tokenizer = _open_tokenizer(tokenizer)
        named = (self._tokenizer.token_to_id(name) for name in UNKNOWN)
        self._unknown = next((one for one in named if one is not None), -1)
        self._marks = self._tokenizer.num_special_tokens_to_add(False)
        self._windows = most_windows(manifest.long_texts)
        self._recent: OrderedDict[bytes, Reading] = OrderedDict()
        self._lock = threading.Lock()

    def read_all(self, texts: Sequence[str | None]) -> list[Reading]:
        """Readings in the order of the texts, shared out over the cores; equal texts once."""
        distinct = list(dict.fromkeys(text for text in texts if text is not None))
        readings = dict(zip(distinct, pool().map(self.read, distinct), strict=True))
        return [NOTHING if text is None else readings[text] for text in texts]

    def read(self, text: str) -> Reading:
        """One text, from the recent ones where it is among them."""
        digest = hashlib.sha256(text.encode()).digest()
        with self._lock:
            if digest in self._recent:
                self._recent.move_to_end(digest)
                return self._recent[digest]
        reading = self._read(text)
        with self._lock:
            self._recent[digest] = reading
            if len(self._recent) > RECENT:
                self._recent.popitem(last=False)
        return reading

    def _read(self, text: str) -> Reading:
        ids, status = self._tokenize(text)
        if status == EMPTY:
            return NOTHING
        pieces = windows(ids, self._marks - 1, self.manifest.max_tokens, self._windows)
        found = [self._run(piece) for piece in pieces]
        lengths = [len(piece) - self._marks for piece in pieces]
        embedding, sentiment = average([e for e, _ in found], [s for _, s in found], lengths)
        known = None if status == UNKNOWN_SCRIPT else sentiment
        return Reading(embedding, known, status, len(ids))

    def _run(self, ids: list[int]) -> tuple[NDArray[np.float32], float]:
        tokens = np.array([ids], dtype=np.int64)
        embedding, sentiment = self._session.run(list(OUTPUTS), {"input_ids": tokens})
        if (embedding.shape, sentiment.shape) != ((1, DIMENSION), (1, 1)):
            raise ModelError(
                f"the encoder gives shapes {embedding.shape} and {sentiment.shape} for a text, "
                f"expected (1, {DIMENSION}) and (1, 1)"
            )
        return embedding[0], float(sentiment[0, 0])

    def status(self, text: str | None) -> tuple[str, int]:
        """(status, token_count) without reading the text; NULL is empty."""
        if text is None:
            return EMPTY, 0
        ids, status = self._tokenize(text)
        return (EMPTY, 0) if status == EMPTY else (status, len(ids))

    def pieces(self, text: str) -> list[int]:
        """The tokenizer's pieces of a text by number, without marks."""
        found: list[int] = self._tokenizer.encode(text[:LONGEST], add_special_tokens=False).ids
        return found

    def _tokenize(self, text: str) -> tuple[list[int], str]:
        ids: list[int] = self._tokenizer.encode(text[:LONGEST]).ids
        words = len(ids) - self._marks
        if words <= 0:
            return ids, EMPTY
        if 2 * ids.count(self._unknown) > words or not knows_script(text, self.manifest.scripts):
            return ids, UNKNOWN_SCRIPT
        read = self._windows * (self.manifest.max_tokens - self._marks)
        return ids, TRUNCATED if words > read else FINE


def _open_tokenizer(data: bytes) -> Any:
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_buffer(data)
    except Exception as error:  # noqa: BLE001 - the library raises nothing more exact
        reason = " ".join(str(error).split())
        raise ModelError(f"{TOKENIZER_FILE} of the encoder is no tokenizer: {reason}") from None


def read_encoder_manifest(folder: Path) -> EncoderManifest:
    """The manifest of an encoder's folder; raises ModelError where there is none that fits."""
    path = folder / MANIFEST_FILE
    text = read_text_file(path, "an encoder's manifest", _remedy(folder))
    try:
        raw = parse_object(text)
        _check_types(raw)
        raw["scripts"] = tuple(raw["scripts"])
        manifest = EncoderManifest(**raw)
        if manifest.dimension != DIMENSION:
            raise ValueError(f"dimension {manifest.dimension}, expected {DIMENSION}")
        if manifest.long_texts not in LONG_TEXTS:
            raise ValueError(
                f"long_texts {manifest.long_texts}, expected {' or '.join(LONG_TEXTS)}"
            )
        if manifest.max_tokens < LEAST_TOKENS:
            raise ValueError(f"max_tokens {manifest.max_tokens}, expected {LEAST_TOKENS} or more")
        return manifest
    except (ValueError, TypeError, KeyError) as error:
        raise ModelError(
            f"{path} is not an encoder's manifest ({error}); {_remedy(folder)}"
        ) from None


def _check_types(raw: dict[str, Any]) -> None:
    for name in ("dimension", "max_tokens", "opset"):
        if type(raw[name]) is not int:
            raise ValueError(f"{name} is no whole number")
    if not isinstance(raw["parity"], dict) or not isinstance(raw["scripts"], list):
        raise ValueError("parity is no object, or scripts no list")
    others = {"dimension", "max_tokens", "opset", "parity", "scripts"}
    for value in (*raw["scripts"], *(raw[name] for name in raw if name not in others)):
        if not isinstance(value, str) or not value.isprintable():
            raise ValueError(f"{ascii(value)[:40]} is no text that can be printed")


def _remedy(folder: Path) -> str:
    return f"write it anew with: cva export-model encoder --out {folder}"


def packaged_manifest(tier: str = EXACT) -> EncoderManifest:
    """That of the encoder of a tier that cva comes with."""
    return read_encoder_manifest(packaged_folder(tier))


class ShopEncoder:
    """The encoder of a shop, looked for when it is first needed, and the same from then on.

    Another one that is put in its place meanwhile is an error, so that one run's vectors never
    come from two encoders.
    """

    def __init__(self, models_dir: Path, tier: str = EXACT) -> None:
        self._models_dir, self._tier = models_dir, tier

    def use(self, tier: str) -> str:
        """Reads by the packaged encoder of this tier, where the shop has none of its own."""
        if tier != self._tier:
            self._tier = tier
            for looked_for in ("folder", "manifest"):
                self.__dict__.pop(looked_for, None)
        return tier

    @cached_property
    def folder(self) -> Path:
        """Where it is."""
        return encoder_folder(self._models_dir, self._tier)

    @cached_property
    def manifest(self) -> EncoderManifest:
        """Its manifest; raises ModelError as `read_encoder_manifest` does."""
        return read_encoder_manifest(self.folder)

    def load(self) -> Encoder:
        """The encoder, shared with all that read the same folder; raises ModelError."""
        return load_encoder(self.folder, self.manifest.key)


@lru_cache(maxsize=2)
def load_encoder(folder: Path, key: str) -> Encoder:
    """The encoder of this key in a folder.

    Raises ModelError where a file is missing or is not the one that the manifest names, or where
    another encoder is there.
    """
    manifest = read_encoder_manifest(folder)
    if manifest.key != key:
        raise ModelError(f"{folder} changed from encoder {key} to {manifest.key}; run again")
    expected = {MODEL_FILE: manifest.sha256, TOKENIZER_FILE: manifest.tokenizer_sha256}
    contents = {}
    for name, digest in expected.items():
        contents[name] = read_file(
            folder / name, f"write it with: cva export-model encoder --out {folder}"
        )
        found = hashlib.sha256(contents[name]).hexdigest()
        if found != digest:
            raise ModelError(
                f"{folder / name} has sha256 {found[:12]}…, its manifest says {digest[:12]}…; "
                f"{_remedy(folder)}"
            )
    return Encoder(manifest, contents[MODEL_FILE], contents[TOKENIZER_FILE])
