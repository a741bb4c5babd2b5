"""Drift and live performance: what the tables say, what stops a run, what asks for a training."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from cva_sql import Shop
from cva_sql.cli.run.drift import read_drift
from cva_sql.cli.run.metrics import Metric, check_metrics_file, exposition, write_metrics
from cva_sql.cli.shop.resolver import open_shop
from cva_sql.cli.train.needed import needs_training
from cva_sql.models_onnx.value.judging.metrics import ngini
from cva_sql.udfs.distributions import METRICS, number_bins, shares_of, text_bins
from cva_sql.udfs.errors import UsageError
from cva_sql.udfs.manifest import read_manifest

HORIZON = 90


@pytest.fixture(scope="module")
def watched(sample_shop: Any, tmp_path_factory: pytest.TempPathFactory, cva: Any) -> Path:
    """A shop that was run a horizon and ten days ago, and today."""
    folder = tmp_path_factory.mktemp("watched")
    db: Path = sample_shop.copy_to(folder / "shop")
    before = date.fromisoformat(sample_shop.run.as_of) - timedelta(days=HORIZON + 10)
    for options in (("--as-of", before, "--accept-drift"), ("--metrics", folder / "cva.prom")):
        done = cva("run", "--db", db, *options)
        assert done.returncode == 0, done.stderr
    return db


@pytest.fixture
def columns(watched: Path) -> Callable[[str], dict[str, Any]]:
    def read(query: str) -> dict[str, Any]:
        with duckdb.connect(str(watched), read_only=True) as con:
            return con.execute(query).fetchnumpy()

    return read


def test_the_table_has_the_distances_that_python_finds(
    sample_shop: Any, watched: Path, columns: Any
) -> None:
    facts = read_manifest(sample_shop.model_folder).training["distributions"]
    features = columns("from customer_features order by customer_id")
    features |= columns(
        "select predicted_value, purchase_probability from customer_value order by customer_id"
    )
    told = {(row.input, row.metric): row for row in Shop(watched).drift().rows}
    wanted = {(one["name"], metric) for one in facts["inputs"] for metric in one["usual"]}
    assert set(told) == wanted
    for one in facts["inputs"]:
        values = np.ma.asarray(features[one["name"]])
        if one["kind"] == "category":
            bins = text_bins(values.filled(""), one["texts"])
        else:
            width = np.float64 if one["kind"] == "output" else np.float32
            bins = number_bins(values.astype(width).filled(np.nan), one["edges"])
        expected = np.array(one["shares"])
        for metric, usual in one["usual"].items():
            row = told[one["name"], metric]
            found = METRICS[metric](expected, shares_of(bins, len(expected) - 1))
            assert row.value == pytest.approx(found, abs=1e-9), one["name"]
            assert (row.usual, row.threshold > 1.5 * usual) == (usual, True)
    assert sum(r.importance for r in {r.input: r for r in told.values()}.values()) == pytest.approx(
        1
    )
    assert not read_drift(open_shop(watched)).anomalies


def test_what_came_is_held_against_what_was_predicted(columns: Any, sample_shop: Any) -> None:
    found = columns("from cva_live_performance order by as_of_date")
    assert found["has_passed"].tolist() == [True, False]
    for name in ("realised_value", "is_total_within", "ngini", "interval_coverage"):
        assert np.ma.getmaskarray(np.ma.asarray(found[name])).tolist() == [False, True]
    rows = columns(
        "with runs as (from customer_value_history where as_of_date < "
        f"date '{sample_shop.run.as_of}'), spent as (select customer_id, sum(amount) as spent from "
        "main_cva.int_cva__orders_valid as orders, (select min(as_of_date) as day from runs) "
        f"where order_date >= day and order_date < day + {HORIZON} and (cancelled_at is null or "
        f"cancelled_at >= day + {HORIZON}) group by all) select runs.*, "
        "coalesce(spent, 0)::double as spent from runs left join spent using (customer_id)"
    )
    spent, said = rows["spent"], rows["predicted_value"]
    assert found["realised_value"][0] == pytest.approx(spent.sum())
    assert found["predicted_value"][0] == pytest.approx(said.sum())
    assert found["realised_ratio"][0] == pytest.approx(spent.sum() / said.sum())
    assert found["ngini"][0] == pytest.approx(ngini(spent, said))
    assert found["mean_absolute_error"][0] == pytest.approx(np.abs(spent - said).mean())
    inside = (spent >= rows["predicted_value_p10"]) & (spent <= rows["predicted_value_p90"])
    assert found["interval_coverage"][0] == pytest.approx(inside.mean())
    for place in (0, 1):
        low, mean, high = (found[f"predicted_value{end}"][place] for end in ("_p05", "", "_p95"))
        assert 0 < low < mean < high
        assert found["expected_absolute_error"][place] > 0


def test_the_metrics_are_what_the_run_found(watched: Path, sample_shop: Any, columns: Any) -> None:
    text = (watched.parents[1] / "cva.prom").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    values = {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines}
    ((total,),) = zip(columns("select sum(predicted_value) as t from customer_value")["t"])
    assert values['cva_predicted_value{bound="mean"}'] == pytest.approx(total)
    assert values['cva_customers{status="ok"}'] == sample_shop.run.statuses["ok"]
    assert values["cva_drift_moved_share"] == 0
    assert values["cva_run_duration_seconds"] > 0
    assert 0 < values["cva_realised_interval_coverage"] <= 1
    assert any(f'version="{sample_shop.trained.version}"' in line for line in lines)
    assert text.count("# TYPE cva_drift gauge") == 1


def test_labels_are_escaped_and_what_is_unknown_is_left_out() -> None:
    metric = Metric("m", "What.", (({"a": 'x"\\\n'}, 1), ({}, None)))
    lines = exposition([metric, Metric("n", "None.", (({}, None),))]).splitlines()[1:]
    assert lines == ["# HELP m What.", "# TYPE m gauge", r'm{a="x\"\\\n"} 1']


def test_a_file_that_cva_did_not_write_is_not_overwritten(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no folder"):
        check_metrics_file(tmp_path / "absent" / "m.prom")
    for name, content in (("mine", b"mine"), ("empty", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UsageError, match="was not written by cva"):
            check_metrics_file(tmp_path / name)
    (tmp_path / "ours").write_text(exposition([]))
    check_metrics_file(tmp_path / "ours")
    (tmp_path / "link").symlink_to(tmp_path / "ours")
    with pytest.raises(UsageError, match="was not written by cva"):
        check_metrics_file(tmp_path / "link")


def test_a_folder_that_cannot_be_written_fails_no_run_that_was_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(UsageError, match="cannot be written; name another folder"):
        check_metrics_file(tmp_path / "m.prom")
    nothing: Any = None  # what was found is not asked for
    write_metrics(nothing, tmp_path / "m.prom", nothing, nothing, 1.0)
    assert "was published, but --metrics was not written" in capsys.readouterr().err


def test_who_was_never_seen_is_no_drift_and_what_came_is_judged_by_a_published_run(
    watched: Path, cva: Any, rows: Any, tmp_path: Path, sample_shop: Any
) -> None:
    shutil.copytree(watched.parent, tmp_path / "shop", symlinks=True)
    db = tmp_path / "shop" / watched.name
    passed = "select realised_value, judged_by from cva_live_performance where has_passed"
    ((came, judge),) = rows(db, passed)
    as_of = date.fromisoformat(sample_shop.run.as_of)
    with duckdb.connect(str(db)) as con:
        con.execute(
            "insert into raw.customers (customer_id) select 'unseen-' || range from range(800)"
        )
        con.execute(
            "update cva_live_performance set realised_value = -1,"
            " judged_by = '20200101T000000000000' where has_passed"
        )
    now = ("--vars", f"{{cva_now: '{as_of + timedelta(days=1)}'}}")
    done = cva("run", "--db", db, *now)
    assert done.returncode == 0, done.stderr
    assert not read_drift(open_shop(db)).anomalies
    ((again, other),) = rows(db, passed)
    assert (again, other > judge) == (came, True)
    # A date that is far ahead, as one that was mistyped.
    far = cva("run", "--db", db, *now, "--as-of", as_of + timedelta(days=400), "--accept-drift")
    assert far.returncode == 0, far.stderr
    assert rows(db, passed) == [(came, other)]


def test_what_predicted_another_target_is_compared_with_nothing(
    watched: Path, cva: Any, rows: Any, tmp_path: Path
) -> None:
    shutil.copytree(watched.parent, tmp_path / "shop", symlinks=True)
    db = tmp_path / "shop" / watched.name
    live = "select as_of_date, realised_value, target from cva_live_performance order by 1"
    moves = "select count(*) > 0 from segment_moves"
    both = rows(db, live)
    assert [row[2] for row in both] == ["spend", "spend"]
    assert rows(db, moves) == [(True,)]
    steps = (
        ("'margin'", both[1:], True),
        ("'margin'", both[1:], False),  # said once
        ("null", both, False),  # of before it was kept
    )
    for target, expected, is_said in steps:
        with duckdb.connect(str(db)) as con:  # the newest date is run anew
            for table in ("main_cva.int_cva__value_history", "cva_live_performance"):
                con.execute(f"update {table} set target = {target}")
        done = cva("run", "--db", db)
        assert done.returncode == 0, done.stderr
        assert rows(db, live) == expected
        said = "1 date of customer_value_history predicted margin, not spend; cva_live_performance"
        assert (said in done.stderr) == is_said
        assert rows(db, moves) == [(target == "null",)]


def test_a_training_is_needed_where_something_says_so(
    watched: Path, cva: Any, tmp_path: Path
) -> None:
    shutil.copytree(watched.parent, tmp_path / "shop", symlinks=True)
    fine = tmp_path / "shop" / watched.name
    with duckdb.connect(str(fine)) as con:  # whatever came of it in this shop
        con.execute("update cva_live_performance set is_total_within = true where has_passed")
    shop = open_shop(fine)
    need = needs_training(shop)
    assert (need.is_needed, "0 days old" in need.reason) == (False, True), need
    wrong = replace(shop, vars={"cva_retrain_days": "x"})
    with pytest.raises(UsageError, match="cva_retrain_days is 'x'"):
        needs_training(wrong)
    done = cva("train", "--if-needed", "--db", fine, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["is_needed"] is False
    for change, reason in (
        ("update customer_value set as_of_date = as_of_date + 95", "95 days old"),
        (
            "update cva_live_performance set is_total_within = false where has_passed",
            "beyond their 90 % interval",
        ),
        ("drop table customer_value", "no run has looked at the customers"),
        ("drop table cva_drift", "no run has looked at the customers"),
    ):
        db = tmp_path / "copy.duckdb"
        db.write_bytes(fine.read_bytes())
        with duckdb.connect(str(db)) as con:
            con.execute(change)
        found = needs_training(open_shop(db, models_dir=shop.models_dir))
        assert (found.is_needed, reason in found.reason) == (True, True), found
    assert needs_training(open_shop(db, models_dir=tmp_path / "none")).is_needed
    for name, value, reason in (
        ("cva_target", "margin", "predicts spend, and cva_target is margin"),
        ("cva_horizon_days", 30, "looks 90 days ahead, and cva_horizon_days is 30"),
    ):
        other = needs_training(replace(shop, vars={name: value}))
        assert (other.is_needed, reason in other.reason) == (True, True), other


def test_customers_that_are_not_the_models_stop_a_run(
    watched: Path, cva: Any, rows: Any, tmp_path: Path, sample_shop: Any
) -> None:
    shutil.copytree(watched.parent, tmp_path / "shop", symlinks=True)
    db = tmp_path / "shop" / watched.name
    current = db.parent / "published" / "current"
    before = current.readlink()
    with duckdb.connect(str(db)) as con:
        con.execute("update raw.orders set amount = amount * 100")
    stopped = cva("run", "--db", db)
    assert stopped.returncode == 1
    said = stopped.stderr.splitlines()[-1]
    assert f"not those that {sample_shop.trained.version} learned from: " in said
    assert "so nothing was published; learn anew with: cva train" in said
    assert said.endswith("--accept-drift")
    assert current.readlink() == before
    shown = cva("drift", "--db", db)
    assert shown.returncode == 1
    assert "too much has moved to publish" in shown.stdout
    told = cva("drift", "--db", db, "--json")
    assert (told.returncode, json.loads(told.stdout)["blocks"]) == (1, True)
    assert "customers are not those" in needs_training(open_shop(db)).reason
    accepted = cva("run", "--db", db, "--accept-drift")
    assert accepted.returncode == 0, accepted.stderr
    assert current.readlink() != before
    # A model of before distributions were written down: nothing to compare with.
    file = next((db.parent / "cva_models" / "value").glob("*/manifest.json"))
    raw = json.loads(file.read_text(encoding="utf-8"))
    del raw["training"]["distributions"]
    file.write_text(json.dumps(raw), encoding="utf-8")
    old = cva("run", "--db", db)
    assert old.returncode == 0, old.stderr
    assert "does not know what it was trained on" in old.stderr
    assert rows(db, "select count(*) from cva_drift") == [(0,)]
    assert not (current / "cva_drift.parquet").exists()
    nothing = cva("drift", "--db", db)
    assert (nothing.returncode, nothing.stdout[:26]) == (0, "nothing to compare with: t")
