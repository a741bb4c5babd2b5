"""`cva finetune` on a shop: what it leaves behind, killed and not, and whose encoder reads then."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pytest

from cva_sql.cli.app import app
from cva_sql.cli.demo.sample_shop import sample_reviews
from cva_sql.cli.embed.reading import embed_shop
from cva_sql.cli.finetune import tuning
from cva_sql.cli.finetune.deploying import deploy_encoder
from cva_sql.cli.finetune.settings import Request
from cva_sql.cli.finetune.tuning import checkpoint_file, finetune_shop
from cva_sql.cli.shop.resolver import open_shop
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.models_onnx.encoder import weights
from cva_sql.models_onnx.encoder.finetune import gate
from cva_sql.udfs.encoder import (
    encoder_folder,
    packaged_folder,
    packaged_manifest,
    read_encoder_manifest,
)
from cva_sql.udfs.errors import CvaError, UsageError
from tests.encoder.test_finetune import POISON
from tests.encoder.tiny import write_tiny

ASKED = Request(
    method="adapter",
    objective="contrastive,rating,value",
    steps=6,
    params="batch_size=8,tokens=24,save_every=2,memory_gb=64",
)
REVIEWS = 340
FIRST = "2024-11-20"  # 8 steps of a week and a horizon of 20 days before 2025-02-04


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> ResolvedShop:
    """80 customers, an order a day for 400 days; half of the reviews in the last weeks."""
    db = tmp_path_factory.mktemp("shop") / "shop.duckdb"
    with duckdb.connect(str(db)) as con:
        con.execute("create schema raw")
        con.execute(
            "create table raw.orders as select i as order_id, 'c' || i % 80 as customer_id, "
            "timestamp '2024-01-01' + to_days(i::integer) as ordered_at, 5.0 + i % 37 as amount "
            "from range(400) as t(i)"
        )
        con.execute(
            "create table raw.reviews as select i as review_id, 'c' || i % 80 as customer_id, "
            "timestamp '2024-01-10' + to_days((case when i % 2 = 0 then i % 50 else 330 + i % 40 "
            "end)::integer) as reviewed_at, 1 + (i * 7) % 5 as rating, "
            f"($1::varchar[])[1 + i % len($1::varchar[])] as body from range({REVIEWS}) as t(i)",
            [sample_reviews(REVIEWS)],
        )
    return open_shop(db, horizon_days=20)


@pytest.fixture(autouse=True)
def tiny_source(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_tiny(tmp_path_factory.mktemp("tiny"))
    monkeypatch.setattr(weights, "load_source", lambda: source)


def rows(shop: ResolvedShop, query: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(shop.db), read_only=True) as con:
        return con.execute(query).fetchall()


def better(*_: object) -> gate.Verdict:
    return gate.Verdict(True, "better: as the test says", ())


def test_a_killed_fine_tuning_is_resumed_and_a_poisoned_text_changes_nothing(
    shop: ResolvedShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="no fine-tuning was left unfinished"):
        finetune_shop(shop, Request(resume=True))
    write: Callable[..., None] = tuning.write_atomic

    def write_and_die(path: Path, data: bytes) -> None:
        write(path, data)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tuning, "write_atomic", write_and_die)
        with pytest.raises(KeyboardInterrupt):
            finetune_shop(shop, ASKED)
    assert checkpoint_file(shop).is_file()
    assert not (shop.models_dir / "encoder_candidates").exists()
    with pytest.raises(UsageError, match="leave out --method"):
        finetune_shop(shop, replace(ASKED, resume=True))
    resumed = finetune_shop(shop, Request(resume=True))
    assert resumed.is_whole
    assert not resumed.is_deployed  # random weights against the packaged encoder
    assert "AUC of ratings" in resumed.reason
    assert not checkpoint_file(shop).exists()
    folder = Path(resumed.folder)
    assert sorted(file.name for file in folder.iterdir()) == [
        "finetune.json",
        "manifest.json",
        "model.onnx",
        "tokenizer.json",
    ]
    manifest = read_encoder_manifest(folder)
    assert manifest.trained_before == resumed.trained_before == FIRST
    assert encoder_folder(shop.models_dir).parent != shop.models_dir
    found = rows(
        shop,
        "select kind, name from cva_training_runs where model = 'encoder' and not is_deployed",
    )
    assert {("curve", "rating"), ("curve", "value_held_out"), ("score", "auc")} <= set(found)
    assert ("setting", "trained_before") in found
    left = "select 1 from duckdb_schemas() where starts_with(schema_name, 'cva_finetune')"
    assert rows(shop, left) == []

    own = shop.models_dir / "encoder"
    shutil.copytree(encoder_folder(shop.models_dir), own)
    (own / "note.txt").write_text("mine")
    mine = read_encoder_manifest(own).key
    with duckdb.connect(str(shop.db)) as con:
        con.executemany(
            "insert into raw.reviews values (?, 'c1', timestamp '2024-01-15', 1, ?)",
            [(9000 + n, text) for n, text in enumerate(POISON) if "👍" in text or "我" in text],
        )
    monkeypatch.setattr(gate, "judge", better)
    whole = finetune_shop(shop, ASKED)
    assert whole.key == resumed.key  # to the bit
    assert whole.is_deployed
    assert read_encoder_manifest(own).key == whole.key
    kept = shop.models_dir / "encoder_candidates" / mine
    assert (kept / "note.txt").read_text() == "mine"
    read = embed_shop(shop)
    assert (read.encoder_key, read.encoded) == (whole.key, read.texts)
    back = deploy_encoder(shop, mine)
    assert (back.key, back.former, back.texts_to_read) == (mine, whole.key, read.texts)
    assert (own / "note.txt").read_text() == "mine"
    assert deploy_encoder(shop, "packaged").key == mine
    assert not own.exists()


def test_long_texts_are_read_as_by_the_encoder_that_it_replaces(
    shop: ResolvedShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    windowed = replace(packaged_manifest(), long_texts="windows")
    own = shop.models_dir / "encoder"
    shutil.copytree(packaged_folder(), own)
    (own / "manifest.json").write_text(windowed.to_json())
    monkeypatch.setattr(gate, "judge", better)
    taught = finetune_shop(shop, replace(ASKED, steps=2))
    assert taught.former == windowed.key
    manifest = read_encoder_manifest(own)
    assert (manifest.key, manifest.long_texts) == (taught.key, "windows")
    assert deploy_encoder(shop, "packaged").key == packaged_manifest().key


def test_too_few_texts_are_said_in_one_line(
    shop: ResolvedShop, capsys: pytest.CaptureFixture[str]
) -> None:
    app(["finetune", "--params", "show"], standalone_mode=False)
    assert "# --method adalora" in capsys.readouterr().out
    call = ["finetune", "--db", str(shop.db), "--objective", "contrastive,value"]
    call += ["--as-of", "2024-03-01", "--horizon-days", "20"]
    with pytest.raises(CvaError, match=r"texts of before 2024-01-\d\d.*; expected 100 or more"):
        app(call, standalone_mode=False)
    listed = shop.models_dir / "encoder_candidates"
    result = json.loads(next(listed.glob("*/finetune.json")).read_text())
    assert result["method"] == "adapter"
    assert np.isfinite(result["steps_made"])
