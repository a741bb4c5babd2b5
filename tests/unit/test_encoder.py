"""The packaged encoder: each text by itself, every odd text, and what a killed run leaves."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from cva_sql.udfs.encoder import (
    Encoder,
    Reading,
    ShopEncoder,
    encoder_folder,
    load_encoder,
    read_encoder_manifest,
)
from cva_sql.udfs.errors import ModelError
from cva_sql.udfs.journal import Journal, clear_journals
from cva_sql.udfs.projection import TextProjection
from cva_sql.udfs.register import register, unregister
from cva_sql.udfs.text import text_digest

FOLDER = encoder_folder(Path("nowhere"))
TEXTS = [
    "I love it, it fits perfectly.",
    "Broke after a week. Terrible!",
    "ok",
    "Arrived late, but the colour is lovely and my sister was happy with it 🎁❤️",
    "word " * 400,
    "Très bon café, je recommande.",
    "The zip\tjammed\non day one \x07\x00\x1b[31m",
]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load_encoder(FOLDER, read_encoder_manifest(FOLDER).key)


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    register(connection)
    yield connection
    unregister(connection)
    connection.close()


def test_a_vector_has_length_one_and_384_places(encoder: Encoder) -> None:
    for reading in encoder.read_all(TEXTS):
        assert reading.embedding is not None
        assert reading.embedding.shape == (384,)
        assert np.linalg.norm(reading.embedding) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("threads", [1, 4])
def test_a_text_gives_the_same_alone_in_any_company_order_and_through_sql(threads: int) -> None:
    manifest = read_encoder_manifest(FOLDER)
    files = [(FOLDER / name).read_bytes() for name in ("model.onnx", "tokenizer.json")]
    alone = [Encoder(manifest, *files).read(text).embedding for text in TEXTS]
    together = Encoder(manifest, *files).read_all(TEXTS)
    backwards = Encoder(manifest, *files).read_all(TEXTS[::-1] * 3)
    with duckdb.connect(config={"threads": threads}) as con:
        register(con)
        con.execute("create table t as select * from (select unnest(?) as body)", [TEXTS])
        rows = con.execute("select body, cva_embed(body), cva_sentiment(body) from t").fetchall()
        unregister(con)
    in_sql = {body: (np.array(vector, np.float32), score) for body, vector, score in rows}
    for place, text in enumerate(TEXTS):
        assert np.array_equal(alone[place], together[place].embedding)
        assert np.array_equal(alone[place], backwards[len(TEXTS) - 1 - place].embedding)
        assert np.array_equal(alone[place], in_sql[text][0])
        assert together[place].sentiment == in_sql[text][1]


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("Nice and warm.", ""),
        ("ok", ""),
        ("", "empty"),
        (" \n\t ", "empty"),
        (None, "empty"),
        ("\x00\x07", "empty"),
        ("👍👍", "unknown_script"),
        ("我喜欢这件衣服，质量很好", "unknown_script"),
        ("Отличный товар", "unknown_script"),
        ("Отличный товар, but the size is wrong", ""),
        ("Straße, café, naïve", ""),
        ("long " * 300, "truncated"),
    ],
)
def test_every_text_has_a_status(
    con: duckdb.DuckDBPyConnection, text: str | None, status: str
) -> None:
    row: Any = con.execute(
        "select cva_text_status($1), cva_embed($1) is null, cva_sentiment($1)", [text]
    ).fetchone()
    assert row[0]["status"] == status
    assert row[1] == (status == "empty")
    assert (row[2] is None) == (status in ("empty", "unknown_script"))
    assert (row[0]["token_count"] > 256) == (status == "truncated")


def test_a_text_of_100_kb_reads_as_its_beginning(encoder: Encoder) -> None:
    long = "It fell apart after two days and nobody answers. " * 2_100
    reading = encoder.read(long)
    assert len(long) > 100_000
    assert reading.status == "truncated"
    assert np.array_equal(encoder.read(long[:20_000]).embedding, reading.embedding)


def test_praise_is_above_complaint(encoder: Encoder) -> None:
    good = encoder.read("So happy with these boots, I would order them again.").sentiment
    bad = encoder.read("Do not buy these boots, the sole came off and no refund.").sentiment
    assert good is not None
    assert bad is not None
    assert -1 <= bad < 0 < good <= 1


def test_null_rows_and_no_rows_keep_their_places(con: duckdb.DuckDBPyConnection) -> None:
    query = "select i, cva_sentiment(if(i % 2 = 0, 'good', null)) from range(5) as t(i) order by i"
    assert [score is None for _, score in con.execute(query).fetchall()] == [
        False, True, False, True, False,
    ]  # fmt: skip
    assert (
        con.execute("select cva_embed(t.x) from (select '' as x) as t where false").fetchall() == []
    )


def test_an_altered_file_is_named(tmp_path: Path) -> None:
    own = tmp_path / "encoder"
    shutil.copytree(FOLDER, own)
    (own / "tokenizer.json").write_text("{}")
    assert encoder_folder(tmp_path) == own
    with pytest.raises(ModelError, match=r"tokenizer\.json has sha256 .*; write it anew with: cva"):
        ShopEncoder(tmp_path).load()
    (own / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"tokenizer\.json is missing; write it with: cva"):
        ShopEncoder(tmp_path).load()
    manifest = json.loads((own / "manifest.json").read_text())
    for text in ("{", json.dumps({**manifest, "dimension": 192})):
        (own / "manifest.json").write_text(text)
        with pytest.raises(ModelError, match="is not an encoder's manifest"):
            ShopEncoder(tmp_path).load()


def test_an_encoder_that_is_swapped_while_running_is_never_mixed_in(tmp_path: Path) -> None:
    own = tmp_path / "encoder"
    shutil.copytree(FOLDER, own)
    encoder = ShopEncoder(tmp_path)
    key = encoder.manifest.key
    (own / "manifest.json").write_text(replace(encoder.manifest, max_tokens=8).to_json())
    with pytest.raises(ModelError, match=f"changed from encoder {key} to .*; run again"):
        encoder.load()


def test_a_broken_encoder_does_not_stop_what_needs_none(tmp_path: Path) -> None:
    (tmp_path / "encoder").mkdir()
    (tmp_path / "encoder" / "manifest.json").write_text("{")
    with duckdb.connect() as con:
        register(con, models_dir=tmp_path)
        assert con.execute("select 1").fetchall() == [(1,)]
        with pytest.raises(duckdb.Error, match="is not an encoder's manifest"):
            con.execute("select cva_embed('x')")
        unregister(con)


def test_a_journal_gives_back_what_was_written_and_nothing_that_is_damaged(tmp_path: Path) -> None:
    texts = ["a", "b", "", "Отличный"]
    readings = [
        Reading(np.arange(384, dtype=np.float32), 0.25, "", 3),
        Reading(np.ones(384, dtype=np.float32), -1.0, "truncated", 300),
        Reading(None, None, "empty", 0),
        Reading(np.ones(384, dtype=np.float32), None, "unknown_script", 9),
    ]
    digests = [text_digest(text) for text in texts]
    Journal(tmp_path, "shop", "key").append(zip(digests, readings, strict=True))
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    journal = Journal(tmp_path, "shop", "key")
    for digest, reading in zip(digests, readings, strict=True):
        found = journal.find(digest)
        assert found is not None
        assert (found.sentiment, found.status, found.token_count) == (
            reading.sentiment, reading.status, reading.token_count,
        )  # fmt: skip
        assert np.array_equal(found.embedding, reading.embedding) or found.embedding is None
    assert journal.find(text_digest("c")) is None
    assert Journal(tmp_path, "shop", "another").find(digests[0]) is None
    first_vector = np.arange(9, dtype="<f4").tobytes()
    assert whole.count(first_vector) == 1
    file.write_bytes(whole.replace(first_vector, b"\x01" * len(first_vector)))
    damaged = Journal(tmp_path, "shop", "key")
    assert damaged.find(digests[0]) is None
    assert damaged.find(digests[1]) is not None
    clear_journals(tmp_path, "other")
    assert list(tmp_path.iterdir()) == [file]
    clear_journals(tmp_path, "shop")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("left", [0, 1, 100, 5000])
def test_half_a_journal_breaks_nothing(tmp_path: Path, left: int) -> None:
    reading = Reading(np.ones(384, dtype=np.float32), 0.5, "", 3)
    digests = [text_digest(str(n)) for n in range(200)]
    Journal(tmp_path, "shop", "key").append((digest, reading) for digest in digests)
    (file,) = tmp_path.iterdir()
    for damage in (file.read_bytes()[:left], b"no database, whatever its length " * 999):
        file.write_bytes(damage)
        journal = Journal(tmp_path, "shop", "key")
        journal.append([("new", reading)])
        assert journal.find(digests[0]) is None
        assert journal.find("new") is not None
        open_one = Journal(tmp_path, "shop", "key")
        file.write_bytes(b"damaged while it was open, at some length " * 999)
        assert open_one.find("new") is None
        open_one.append([("new", reading)])
        assert Journal(tmp_path, "shop", "key").find("new") is not None


def test_threads_share_a_journal(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "shop", "key")

    def write(place: int) -> bool:
        reading = Reading(np.full(384, place, dtype=np.float32), 0.5, "", place)
        journal.append((text_digest(f"{place} {n}"), reading) for n in range(20))
        found = [journal.find(text_digest(f"{place} {n}")) for n in range(20)]
        return all(one is not None and one.token_count == place for one in found)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(write, range(40)))


def test_a_folder_that_cannot_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="what is read there survives a kill; make it a folder"):
        Journal(tmp_path / "file", "shop", "key")
    (tmp_path / "texts-shop.journal").mkdir()
    with pytest.raises(ModelError, match="what is read there survives a kill; make it a folder"):
        Journal(tmp_path, "shop", "key")


def test_what_the_journal_holds_is_not_read_again(tmp_path: Path) -> None:
    """A marked vector in the journal comes out again; the other text is read."""
    key = read_encoder_manifest(FOLDER).key
    marked = Reading(np.full(384, 0.5, dtype=np.float32), 0.5, "", 7)
    Journal(tmp_path, "", key).append([(text_digest("seen"), marked)])
    with duckdb.connect() as con:
        register(con, work_dir=tmp_path)
        query = "select cva_read_text(t, 2) from (values ('seen'), ('new')) as v(t)"
        seen, new = (row[0] for row in con.execute(query).fetchall())
        stored = con.execute("select cva_texts_stored()").fetchall()
        unregister(con)
    assert seen["token_count"] == 7
    assert set(seen["embedding"]) == {0.5}
    assert new["token_count"] == 3
    assert stored == [(1,)]
    assert list(tmp_path.iterdir()) == []


def test_a_projection_of_another_encoders_vectors_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "projection.json"
    monkeypatch.setenv("CVA_TEXT_PROJECTION", str(file))
    for key, expected in ((read_encoder_manifest(FOLDER).key, 1), ("another", 0)):
        file.write_text(TextProjection(np.eye(2, 384), np.zeros(384), key).to_json())
        with duckdb.connect() as con:
            register(con)
            query = "select cva_project(cva_embed(t)) from (values ('good'), (null)) as v(t)"
            if expected:
                (good,), (none,) = con.execute(query).fetchall()
                assert len(good) == 2
                assert none is None
            else:
                with pytest.raises(duckdb.Error, match=r"knows the texts by encoder another.*cva"):
                    con.execute(query).fetchall()
            unregister(con)
