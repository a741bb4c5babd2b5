"""The registry of models: what never changes, what is compared, chosen, kept and noted."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.main import get_command

from cva_sql.cli.app import app
from cva_sql.cli.models.choosing import Strategy, choose_version
from cva_sql.cli.models.comparison import compare_models
from cva_sql.cli.shop import model_store
from cva_sql.cli.shop.audit import COLUMNS, note_changes
from cva_sql.cli.shop.files import write_atomic
from cva_sql.cli.shop.history import recorded, run_id_of
from cva_sql.cli.shop.model_store import deploy, deployed_version, store_model, withdraw
from cva_sql.cli.shop.resolver import Need, open_shop
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.cli.train.retention import models_kept, prune_models
from cva_sql.udfs.errors import UsageError
from cva_sql.udfs.manifest import Manifest, MembersFile, read_manifest
from cva_sql.udfs.sessions import baseline_folder

AUDIT = "select what, version, previous_version, strategy, command from cva_model_audit"
Store = Callable[..., str]


@pytest.fixture
def shop(tmp_path: Path) -> ResolvedShop:
    db = tmp_path / "shop.duckdb"
    duckdb.connect(str(db)).close()
    return open_shop(db, need=Need.NOTHING)


@pytest.fixture
def store(shop: ResolvedShop) -> Store:
    """Stores a model that the packaged rule's file is, told apart by its manifest."""
    rule = read_manifest(baseline_folder())
    data = (baseline_folder() / "model.onnx").read_bytes()

    def call(
        version: str,
        as_of: str = "2025-01-01",
        d2: float = 0.2,
        dates: tuple[str, ...] = ("2024-10-01",),
        **training: Any,
    ) -> str:
        manifest: Manifest = replace(
            rule,
            name="value",
            version=version,
            is_baseline=False,
            horizon_days=90,
            training={"as_of": as_of, "kind": "ensemble", **training},
            evaluation={
                "validation_dates": list(dates),
                "scores": {"ensemble": {"d2_shape": d2}},
                "verdict": "so",
            },
        )
        return store_model(shop.models_dir, data, manifest).name

    return call


def call(line: str, shop: ResolvedShop, *options: str) -> None:
    get_command(app)([*line.split(), "--db", str(shop.db), *options], standalone_mode=False)


def audited(shop: ResolvedShop, query: str = AUDIT) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(shop.db), read_only=True) as con:
        return con.execute(f"{query} order by rowid").fetchall()


def test_what_was_stored_never_changes(shop: ResolvedShop, store: Store) -> None:
    assert store("v1") == "v1"
    before = {p.name: p.read_bytes() for p in (shop.models_dir / "value" / "v1").iterdir()}
    assert store("v1") == "v1"
    assert store("v1", d2=0.3) == "v1-2"
    assert store("v1", d2=0.3) == "v1-2"
    assert store("v1", d2=0.4) == "v1-3"
    after = {p.name: p.read_bytes() for p in (shop.models_dir / "value" / "v1").iterdir()}
    assert after == before
    deploy(shop.models_dir, "v1-2")
    assert read_manifest(shop.models_dir / "value" / "v1-2").version == "v1-2"


def test_a_broken_folder_is_mended(shop: ResolvedShop, store: Store) -> None:
    store("v1")
    file = shop.models_dir / "value" / "v1" / "model.onnx"
    whole = file.read_bytes()
    file.write_bytes(b"half")
    assert store("v1") == "v1"
    assert file.read_bytes() == whole


def test_the_newest_is_chosen_by_its_date(shop: ResolvedShop, store: Store) -> None:
    store("a", "2025-01-01", 0.9)
    store("b", "2025-06-01", 0.1, ("2025-03-01",))
    version, why = choose_version(shop.models_dir, Strategy.MOST_RECENT)
    assert (version, why) == ("b", "trained as of 2025-06-01, the newest")
    with pytest.raises(UsageError, match=r"b was judged on 2025-03-01, and no other model was"):
        choose_version(shop.models_dir, Strategy.BEST_SCORE)
    (shop.models_dir / "value" / "b" / "model.onnx").unlink()
    assert choose_version(shop.models_dir, Strategy.MOST_RECENT)[0] == "a"


def test_the_best_is_chosen_among_those_judged_on_the_same_dates(
    shop: ResolvedShop, store: Store
) -> None:
    with pytest.raises(UsageError, match="no trained model to choose from"):
        choose_version(shop.models_dir, Strategy.BEST_SCORE)
    store("old", "2024-01-01", 0.9, ("2023-10-01",))
    store("margin", "2025-01-01", 0.9, target="margin")
    store("a", d2=0.3)
    store("b", d2=0.2)
    shutil.copytree(shop.models_dir / "value" / "b", shop.models_dir / "value" / "broken")
    version, why = choose_version(shop.models_dir, Strategy.BEST_SCORE)
    assert version == "a"
    assert (
        why
        == "d2_shape 0.300, the best of 2 judged on 2024-10-01; 2 judged otherwise do not compare"
    )


def test_deploying_by_a_strategy_is_noted_and_a_dry_run_deploys_nothing(
    shop: ResolvedShop, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    store("a", d2=0.3)
    store("b", d2=0.2)
    for line in ("models deploy", "models deploy a --strategy best_score"):
        with pytest.raises(UsageError, match="give one of them"):
            call(line, shop)
    call("models deploy --strategy best_score --dry-run", shop)
    said = capsys.readouterr().out
    assert "a: d2_shape 0.300" in said
    assert said.endswith("nothing was deployed\n")
    assert deployed_version(shop.models_dir) is None
    call("models deploy --strategy best_score", shop)
    call("models deploy b", shop)
    call("models rollback", shop)
    call("models deploy rule", shop)
    assert deployed_version(shop.models_dir) is None
    assert audited(shop) == [
        ("trained", "a", None, None, "models deploy"),
        ("trained", "b", None, None, "models deploy"),
        ("deployed", "a", None, "best_score", "models deploy"),
        ("deployed", "b", "a", None, "models deploy"),
        ("rolled back", "a", "b", None, "models rollback"),
        ("withdrawn", "a", "a", None, "models deploy"),
    ]
    hashes = audited(shop, "select distinct model_hash from cva_model_audit")
    assert hashes == [(read_manifest(baseline_folder()).sha256,)]
    with duckdb.connect(str(shop.db), read_only=True) as con:
        named = con.execute(
            "select column_name, comment from duckdb_columns() where table_name = 'cva_model_audit'"
        ).fetchall()
    assert dict(named) == {name: comment for name, (_, comment) in COLUMNS.items()}


def test_what_a_killed_command_did_is_noted_by_the_next(shop: ResolvedShop, store: Store) -> None:
    store("a")
    deploy(shop.models_dir, "a")  # and killed before its row
    store("b", "2025-02-01", added={"at": "2025-02-01"})
    note_changes(shop, "score")
    note_changes(shop, "score")
    assert audited(shop) == [
        ("trained", "a", None, None, "score"),
        ("added", "b", None, None, "score"),
        ("deployed", "a", None, None, "score"),
    ]
    withdraw(shop.models_dir)
    shutil.rmtree(shop.models_dir / "value" / "a")
    note_changes(shop, "train")
    assert audited(shop)[3:] == [
        ("withdrawn", "a", "a", None, "train"),
        ("removed", "a", None, None, "train"),
    ]
    (shop.models_dir / "deployed.json").write_text("broken")
    note_changes(shop, "train")
    assert len(audited(shop)) == 5


def test_old_models_go_and_none_that_is_needed(shop: ResolvedShop, store: Store) -> None:
    for month in range(1, 9):
        store(f"v{month}", f"2025-0{month}-01")
    store("mine", "2024-01-01", added={"at": "2024"})
    store("noted", "2024-01-01")
    (shop.models_dir / "value" / "noted" / "README").write_text("keep")
    (shop.models_dir / "value" / "broken").mkdir()
    deploy(shop.models_dir, "v3")  # was deployed before
    deploy(shop.models_dir, "v5")
    with recorded(shop.db, "run") as entry:
        entry.model_version = "v1"
    # What was published anew without somebody was scored by the same model.
    with recorded(shop.db, "forget"):
        pass
    with duckdb.connect(str(shop.db), read_only=True) as con:
        ((started,),) = con.execute("select max(started_at) from cva_runs").fetchall()
    run = shop.published / run_id_of(started)
    run.mkdir(parents=True)
    (run / ".cva_run").write_text(run.name)
    assert models_kept(shop) == 20
    assert prune_models(shop) == ()
    assert prune_models(replace(shop, vars={"cva_models_kept": 0})) == ()
    few = replace(shop, vars={"cva_models_kept": 2})
    assert prune_models(few) == ("v2", "v4", "v6")
    there = {path.name for path in (shop.models_dir / "value").iterdir()}
    assert there == {"v1", "v3", "v5", "v7", "v8", "mine", "noted", "broken"}
    shutil.rmtree(run)
    assert prune_models(few) == ("v1",)
    for wrong in (-1, "many", True, 1.5):
        with pytest.raises(UsageError, match="cva_models_kept is"):
            models_kept(replace(shop, vars={"cva_models_kept": wrong}))


def test_an_old_model_goes_with_the_file_of_its_members(shop: ResolvedShop, store: Store) -> None:
    data = b"members"
    told = MembersFile(hashlib.sha256(data).hexdigest(), {"a": 0.25, "b": 0.75}, 9.0)
    for month in range(1, 5):
        store(f"v{month}", f"2025-0{month}-01")
        folder = shop.models_dir / "value" / f"v{month}"
        (folder / "members.onnx").write_bytes(data)
        if month != 2:  # whose manifest knows nothing of it: somebody else's
            text = replace(read_manifest(folder), members=told).to_json()
            (folder / "manifest.json").write_text(text, encoding="utf-8")
    deploy(shop.models_dir, "v4")
    duckdb.connect(str(shop.db)).close()
    with recorded(shop.db, "run"):
        pass
    assert prune_models(replace(shop, vars={"cva_models_kept": 1})) == ("v1", "v3")
    assert {path.name for path in (shop.models_dir / "value").iterdir()} == {"v2", "v4"}


def test_a_kill_while_a_folder_is_mended_leaves_it_to_be_mended(
    shop: ResolvedShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule, data = read_manifest(baseline_folder()), (baseline_folder() / "model.onnx").read_bytes()
    told = MembersFile(hashlib.sha256(b"members").hexdigest(), {"a": 1.0}, 9.0)
    manifest = replace(rule, name="value", version="v1", is_baseline=False, members=told)
    beside = {"members.onnx": b"members"}
    folder = store_model(shop.models_dir, data, manifest, beside)
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    for writes in range(3):
        for name in ("members.onnx", "model.onnx"):
            (folder / name).write_bytes(b"half")
        left = iter(range(writes))

        def killed(path: Path, content: bytes, *, left: Iterator[int] = left) -> None:
            if next(left, None) is None:
                raise KeyboardInterrupt
            write_atomic(path, content)

        monkeypatch.setattr(model_store, "write_atomic", killed)
        with pytest.raises(KeyboardInterrupt):
            store_model(shop.models_dir, data, manifest, beside)
        monkeypatch.undo()
        assert store_model(shop.models_dir, data, manifest, beside) == folder
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == whole


def test_what_cannot_be_compared_is_said(
    shop: ResolvedShop, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    store("a")
    deploy(shop.models_dir, "a")
    store("b", dates=("2024-07-01",))
    store("c", target="margin")
    call("models compare b", shop)
    said = capsys.readouterr().out
    assert "their figures do not compare" in said
    assert "known after a first cva run" in said
    assert compare_models(shop, "c").why_not == "they predict margin and spend"
    with pytest.raises(UsageError, match="there is no model v9"):
        compare_models(shop, "v9")


def test_a_comparison_says_whose_tier_changes_and_the_money(
    sample_shop: Any, cva: Any, rows: Any
) -> None:
    shop = open_shop(sample_shop.db)
    found = compare_models(shop, "rule")
    assert found.changes is not None
    ((customers, total, high),) = rows(
        sample_shop.db,
        "select count(*), sum(predicted_value), count(*) filter (value_tier = 'high')"
        " from customer_value",
    )
    assert found.changes.customers == customers
    assert found.changes.before == pytest.approx(total)
    assert found.changes.after != pytest.approx(total)
    assert found.changes.tier_changes == sum(flow.customers for flow in found.changes.flows) > 0
    out_of = sum(f.customers for f in found.changes.flows if f.tier_before == "high")
    into = sum(f.customers for f in found.changes.flows if f.tier_after == "high")
    assert 0 < out_of == into < high
    sizes = [abs(move.after - move.before) for move in found.changes.moves]
    assert sizes == sorted(sizes, reverse=True)
    itself = compare_models(shop, sample_shop.trained.version)
    assert itself.is_comparable
    assert itself.changes is not None
    assert (itself.changes.tier_changes, itself.changes.moves) == (0, ())
    done = cva("models", "compare", "rule", sample_shop.trained.version, "--db", sample_shop.db)
    assert done.returncode == 0, done.stderr
    assert f"{found.changes.tier_changes:,} of {customers:,} customers would change" in done.stdout
    told = cva("models", "compare", "rule", "--db", sample_shop.db, "--json")
    assert json.loads(told.stdout)["changes"]["tier_changes"] == found.changes.tier_changes


def test_a_rollback_restores_every_table_bit_by_bit(
    sample_shop: Any, cva: Any, tmp_path: Path
) -> None:
    db = sample_shop.copy_to(tmp_path / "shop")
    current = db.parent / "published" / "current"
    as_of = ("--as-of", sample_shop.run.as_of)
    but_the_run = "columns(lambda c: c not in ('scored_at', 'run_id'))"  # what says when
    now = "{cva_now: '2026-06-01'}"

    def done(*line: object) -> None:
        found = cva(*line, "--db", db)
        assert found.returncode == 0, found.stderr

    def published() -> dict[str, list[tuple[Any, ...]]]:
        with duckdb.connect(str(current / "cva.duckdb"), read_only=True) as con:
            names = [row[0] for row in con.execute("show tables").fetchall()]
            return {
                name: sorted(map(repr, con.execute(f"select {but_the_run} from {name}").fetchall()))
                for name in names
            }

    done("run", *as_of, "--vars", now)
    before = published()
    done("train", "--deploy", "lightgbm", *as_of)
    done("run", *as_of, "--vars", now)
    other = published()
    assert other["customer_value"] != before["customer_value"]
    done("models", "rollback")
    done("run", *as_of, "--vars", now)
    again = published()
    assert sorted(again) == sorted(before)
    assert [name for name in before if again[name] != before[name]] == []
    shown = audited(open_shop(db), "select what, command from cva_model_audit")
    assert shown[-1] == ("rolled back", "models rollback")
