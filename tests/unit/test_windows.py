"""Texts that are longer than an encoder reads at once: cut, or read in windows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cva_sql.udfs.encoder import (
    MANIFEST_FILE,
    Encoder,
    ShopEncoder,
    packaged_folder,
    packaged_manifest,
    read_encoder_manifest,
)
from cva_sql.udfs.errors import ModelError
from cva_sql.udfs.windows import MOST_WINDOWS, average, windows


@pytest.fixture(scope="module")
def cutting() -> Encoder:
    return ShopEncoder(Path("nowhere")).load()


@pytest.fixture(scope="module")
def whole() -> Encoder:
    folder = packaged_folder()
    manifest = replace(packaged_manifest(), long_texts="windows")
    files = [(folder / name).read_bytes() for name in ("model.onnx", "tokenizer.json")]
    return Encoder(manifest, *files)


def test_each_window_has_the_marks_and_the_text_is_whole() -> None:
    ids = [1, 2, *range(100, 117), 9]
    found = windows(ids, 2, 8, 20)
    assert all(len(one) <= 8 and one[:2] == [1, 2] and one[-1] == 9 for one in found)
    assert [place for one in found for place in one[2:-1]] == list(range(100, 117))
    assert windows(ids, 2, 8, 1) == [[*ids[:7], 9]]
    assert windows([1, 2, 9], 2, 8, 20) == [[1, 2, 9]]


def test_windows_count_by_their_tokens() -> None:
    one, two = np.array([1, 0], dtype=np.float32), np.array([0, 1], dtype=np.float32)
    vector, tone = average([one, two], [1.0, -1.0], [3, 1])
    assert vector == pytest.approx([3 / np.sqrt(10), 1 / np.sqrt(10)])
    assert tone == 0.5


def test_a_short_text_is_read_as_ever(cutting: Encoder, whole: Encoder) -> None:
    for text in ("Lovely lamp.", "word " * 200):
        one, other = cutting.read(text), whole.read(text)
        assert np.array_equal(one.embedding, other.embedding)  # type: ignore[arg-type]
        assert (one.sentiment, one.status) == (other.sentiment, other.status)


def test_the_end_of_a_long_text_counts_where_it_is_read_in_windows(
    cutting: Encoder, whole: Encoder
) -> None:
    start, end = "It came on a Tuesday. " * 60, "It broke at once, I hate it. " * 60
    assert cutting.read(start + end).status == cutting.read(start).status == "truncated"
    assert cutting.read(start + end).sentiment == cutting.read(start).sentiment
    read = whole.read(start + end)
    assert read.status == ""
    assert read.embedding is not None
    assert np.linalg.norm(read.embedding) == pytest.approx(1, abs=1e-6)
    tones = [whole.read(text).sentiment for text in (start + end, start)]
    assert tones[0] is not None
    assert tones[1] is not None
    assert tones[0] < tones[1] - 0.2
    assert whole.status(start + end) == ("", read.token_count)


def test_what_lies_beyond_the_last_window_is_cut(whole: Encoder) -> None:
    text = "word " * (MOST_WINDOWS * 254)
    assert whole.read(text).status == ""
    assert whole.read(text + "and more").status == "truncated"


def test_it_is_another_encoder_and_the_packaged_one_keeps_its_key(tmp_path: Path) -> None:
    manifest = packaged_manifest()
    other = replace(manifest, long_texts="windows")
    assert other.key != manifest.key
    assert "long_texts" not in json.loads(manifest.to_json())
    (tmp_path / MANIFEST_FILE).write_text(other.to_json(), encoding="utf-8")
    assert read_encoder_manifest(tmp_path) == other
    bad = replace(manifest, long_texts="folded").to_json()
    (tmp_path / MANIFEST_FILE).write_text(bad, encoding="utf-8")
    with pytest.raises(ModelError, match="long_texts folded, expected cut or windows"):
        read_encoder_manifest(tmp_path)
