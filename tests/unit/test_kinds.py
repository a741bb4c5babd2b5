"""The contract of kinds of models: found, trained, gated, deployed and called each by itself."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import numpy as np
import pytest

from cva_sql.cli.export_model.command import export_model
from cva_sql.cli.models.command import info, list_models
from cva_sql.cli.shop.model_store import deploy, store_model, withdraw
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.cli.train.deployment import UNASKED, Wish
from cva_sql.cli.train.kinds import TrainedOther, leave_untrained, train_others
from cva_sql.cli.train.report import describe
from cva_sql.cli.train.training import Trained
from cva_sql.models_onnx import kinds
from cva_sql.models_onnx.kinds.contract import judge
from cva_sql.models_onnx.kinds.registry import all_kinds, other_kinds
from cva_sql.models_onnx.value.data.cutoffs import Plan
from cva_sql.models_onnx.value.data.dataset import RULE_COLUMNS, Dataset
from cva_sql.udfs.errors import ModelError, UsageError
from cva_sql.udfs.manifest import OUTPUTS, read_manifest
from cva_sql.udfs.register import register, unregister
from cva_sql.udfs.sessions import baseline_folder, deployed_folder, deployed_versions

AS_OF = date(2025, 1, 1)
PLAN = Plan(AS_OF, 90, 90, (AS_OF - timedelta(days=90), AS_OF - timedelta(days=180)))
# All that a new kind is, beside its mart (sql and yml) and its test.
TOY = '''
"""A toy: how likely customers are to buy nothing, from how long ago they last did."""
from __future__ import annotations
import numpy as np
from cva_sql.models_onnx.kinds.contract import Kind, Past, TrainedKind, judge, trained_kind
from cva_sql.models_onnx.value.graph.builder import Graph
from cva_sql.udfs.manifest import Feature

NAME, OUTPUTS = "toy", ("leaving_probability", "log_odds")
FEATURE = "days_since_last_order"


def train(past: Past) -> TrainedKind | None:
    newest = past.plan.cutoffs[0]
    test = past.examples.at([newest], past.plan.label_days)
    if len(test) < 10:
        return None
    graph = Graph()
    days = graph.whole_blocks([graph.number_input(FEATURE)])
    odds = graph.op("Mul", graph.op("Sub", days, 100.0), SLOPE)
    graph.output("leaving_probability", graph.op("Sigmoid", odds))
    graph.output("log_odds", odds)
    left = test.label_value == 0
    told = 1 / (1 + np.exp(-SLOPE * (test.numbers[FEATURE].astype(float) - 100)))
    figures = {
        NAME: {"brier": float(np.mean((told - left) ** 2))},
        "everybody_alike": {"brier": float(np.mean((left.mean() - left) ** 2))},
    }
    return trained_kind(
        NAME, OUTPUTS, past, graph.to_bytes("toy"), [Feature(FEATURE, "number")], figures,
        judge(figures, NAME, "brier", more_is_better=False), dates=[newest],
    )


KIND = Kind(NAME, OUTPUTS, train)
'''


@pytest.fixture
def add_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Writes a kind's file into a second folder of the package."""
    folder = tmp_path / "kinds"
    folder.mkdir()
    monkeypatch.setattr(kinds, "__path__", [*kinds.__path__, str(folder)])
    names: list[str] = []

    def add(name: str = "toy", text: str = TOY, slope: float = 0.05) -> None:
        (folder / f"{name}.py").write_text(f"{text}\nSLOPE = {slope}\n", encoding="utf-8")
        names.append(f"{kinds.__name__}.{name}")
        for known in names:
            sys.modules.pop(known, None)
        importlib.invalidate_caches()

    yield add
    for known in names:
        sys.modules.pop(known, None)


@pytest.fixture
def shop(tmp_path: Path) -> Any:
    db = tmp_path / "shop.duckdb"
    with duckdb.connect(str(db)) as con:
        con.execute(
            "create table customer_features as select 'c' || range as customer_id, "
            "date '2025-01-01' as as_of_date, range * 10.0 as days_since_last_order from range(20)"
        ).fetchall()
    return ResolvedShop(db, tmp_path / "cva_models")


def training_set(rows: int = 400) -> Any:
    """Customers who buy the rarer the longer they have not."""
    random = np.random.default_rng(5)
    days = np.repeat([np.datetime64(day, "D") for day in PLAN.cutoffs], rows // 2)
    since = random.integers(1, 200, rows).astype(np.float32)
    left = random.random(rows) < 1 / (1 + np.exp(-0.05 * (since - 100.0)))
    data = Dataset(
        customer_id=np.array([f"c{i}" for i in range(rows)], dtype=object),
        as_of_date=days,
        label_days=np.full(rows, 90),
        numbers={"days_since_last_order": since},
        categories={},
        label_value=np.where(left, 0.0, 10.0),
        label_orders=np.where(left, 0.0, 1.0),
        rules={name: np.ones(rows) for name in RULE_COLUMNS},
    )
    texts = SimpleNamespace(projection=None, words=None, head=None)
    return SimpleNamespace(plan=PLAN, first_order=date(2023, 1, 1), data=data, texts=texts)


def scores(shop: Any, query: str) -> list[Any]:
    with duckdb.connect(str(shop.db), read_only=True) as con:
        register(con, models_dir=shop.models_dir)
        try:
            return con.execute(query).fetchall()
        finally:
            unregister(con)


def test_the_value_model_is_a_kind_and_so_far_the_only_one() -> None:
    assert [(kind.name, kind.outputs) for kind in all_kinds()] == [("value", OUTPUTS)]
    assert other_kinds() == []


def test_a_kind_that_beats_its_rules_is_deployed_beside_the_value_model(
    add_kind: Any, shop: Any
) -> None:
    add_kind()
    shop.models_dir.mkdir()
    deploy(shop.models_dir, "v1")
    (other,) = train_others(shop, training_set(), UNASKED)
    assert other.is_deployed
    assert other.reason.startswith("toy is better than every rule (brier 0.")
    assert deployed_versions(shop.models_dir) == {"value": "v1", "toy": other.version}
    manifest = read_manifest(deployed_folder(shop.models_dir, "toy"))
    assert (manifest.name, manifest.outputs) == ("toy", ("leaving_probability", "log_odds"))
    assert manifest.horizon_days == 90
    assert set(manifest.evaluation["scores"]) == {"toy", "everybody_alike"}
    assert manifest.training["database"] == "shop.duckdb"


def test_a_deployed_kind_has_a_sql_function_of_its_own(add_kind: Any, shop: Any) -> None:
    add_kind()
    (other,) = train_others(shop, training_set(), UNASKED)
    (row, nothing) = scores(
        shop,
        "select cva_toy(case when customer_id = 'c10' then f end) from customer_features as f "
        "where customer_id in ('c10', 'c11') order by customer_id",
    )
    assert row[0] == {
        "leaving_probability": pytest.approx(0.5),
        "log_odds": pytest.approx(0.0, abs=1e-9),
        "model_version": other.version,
        "model_hash": read_manifest(deployed_folder(shop.models_dir, "toy")).sha256,
    }
    assert nothing == (None,)
    with pytest.raises(duckdb.Error, match="feature `days_since_last_order` is missing"):
        scores(shop, "select cva_toy({'x': 1})")
    withdraw(shop.models_dir, "toy")
    with pytest.raises(duckdb.Error, match="cva_toy does not exist"):
        scores(shop, "select cva_toy(f) from customer_features as f")


def test_a_kind_that_is_no_better_leaves_what_is_deployed(add_kind: Any, shop: Any) -> None:
    add_kind()
    (first,) = train_others(shop, training_set(), UNASKED)
    deploy(shop.models_dir, "v1")
    add_kind(slope=-0.05)
    (other,) = train_others(shop, training_set(), UNASKED)
    assert not other.is_deployed
    assert "toy is not better than every rule" in other.reason
    assert (shop.models_dir / "toy" / str(other.version) / "model.onnx").is_file()
    assert deployed_versions(shop.models_dir) == {"value": "v1", "toy": first.version}
    train_others(shop, training_set(), Wish(withdraw=True))
    assert deployed_versions(shop.models_dir) == {"value": "v1"}


def test_too_little_to_learn_from_leaves_what_is_deployed(add_kind: Any, shop: Any) -> None:
    add_kind()
    (first,) = train_others(shop, training_set(), UNASKED)
    deploy(shop.models_dir, "v1")
    assert train_others(shop, training_set(8), UNASKED) == (
        TrainedOther("toy", None, False, "too little to learn from"),
    )
    assert leave_untrained(shop, "too short", UNASKED) == (
        TrainedOther("toy", None, False, "too short"),
    )
    assert deployed_versions(shop.models_dir) == {"value": "v1", "toy": first.version}
    (left,) = leave_untrained(shop, "too short", Wish(withdraw=True))
    assert left.reason == f"too short; {first.version} was withdrawn, as asked"
    assert deployed_versions(shop.models_dir) == {"value": "v1"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("if len(test) < 10:", "if 1 / 0:"), "division by zero"),
        (('graph.output("log_odds", odds)', ""), "output log_odds of .* is missing"),
        (('[Feature(FEATURE, "number")]', "[]"), "inputs of .* and its features differ"),
        (("NAME, OUTPUTS, past", '"other", OUTPUTS, past'), "trained a model of kind other"),
    ],
)
def test_a_kind_that_fails_changes_nothing_and_is_said(
    add_kind: Any, shop: Any, change: tuple[str, str], said: str
) -> None:
    shop.models_dir.mkdir()
    deploy(shop.models_dir, "v1")
    deploy(shop.models_dir, "t1", "toy")
    add_kind(text=TOY.replace(*change))
    others = train_others(shop, training_set(), UNASKED)
    with pytest.raises(AssertionError, match=f"failed, nothing was changed: .*{said}"):
        raise AssertionError(others[0].reason)
    assert deployed_versions(shop.models_dir) == {"value": "v1", "toy": "t1"}
    trained = Trained("v1", True, "it is better", {}, (), 1e-9, 10, others=others)
    assert "toy: not deployed: failed" in describe(trained, shop)
    assert len(trained.to_dict()["others"]) == 1
    assert "others" not in replace(trained, others=()).to_dict()


def test_a_model_held_against_no_rule_is_refused() -> None:
    with pytest.raises(ValueError, match="no rule to be held against"):
        judge({"toy": {"brier": 0.1}}, "toy", "brier", more_is_better=False)
    ahead, reason = judge(
        {"toy": {"auc": float("nan")}, "rule": {"auc": 0.6}}, "toy", "auc", more_is_better=True
    )
    assert not ahead
    assert "best rule rule 0.600" in reason


@pytest.mark.parametrize("name", ["predict", "encoder", "Toy", "value"])
def test_a_kind_cannot_take_a_name_that_is_taken(add_kind: Any, name: str) -> None:
    add_kind("another", TOY.replace('NAME, OUTPUTS = "toy"', f'NAME, OUTPUTS = "{name}"'))
    with pytest.raises(ValueError, match=f"a kind cannot be called {name}"):
        all_kinds()


def test_the_list_and_the_details_know_the_kind(
    add_kind: Any, shop: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    add_kind()
    (other,) = train_others(shop, training_set(), UNASKED)
    version = str(other.version)
    list_models(models_dir=shop.models_dir)
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith(f"* {version}") and " toy" in line for line in lines)
    assert any(line.startswith("* baseline-1") for line in lines)
    list_models(models_dir=shop.models_dir, as_json=True)
    listed = json.loads(capsys.readouterr().out)
    assert list(listed) == ["value", "toy", "encoder"]
    assert listed["toy"][0]["is_deployed"] is True
    info(version, models_dir=shop.models_dir)
    said = capsys.readouterr().out
    assert "outputs: leaving_probability, log_odds" in said
    assert "is_sha256_verified: yes" in said
    assert "everybody_alike" in said
    info(models_dir=shop.models_dir)
    assert "version: baseline-1" in capsys.readouterr().out


def test_a_deployed_kind_can_be_exported(
    add_kind: Any, shop: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_kind()
    (other,) = train_others(shop, training_set(), UNASKED)
    export_model("toy", tmp_path / "out", models_dir=shop.models_dir)
    assert f"toy model {other.version} (1 inputs) written" in capsys.readouterr().out
    assert read_manifest(tmp_path / "out").name == "toy"
    with pytest.raises(UsageError, match="there are: value, rule, toy, encoder"):
        export_model("nope", tmp_path / "out", models_dir=shop.models_dir)


def test_what_is_broken_about_a_kind_does_not_stop_the_value_model(
    shop: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    shop.models_dir.mkdir()
    for kind in ("toy", "predict", "x; drop"):
        deploy(shop.models_dir, "gone", kind)
    assert deployed_folder(shop.models_dir) == baseline_folder()
    assert scores(shop, "select cva_version() is not null") == [(True,)]
    said = capfd.readouterr().err
    assert "cva_toy is not there" in said
    assert "a kind cannot be called predict" in said
    assert "a kind cannot be called x; drop" in said
    with pytest.raises(ModelError, match="no model of kind other is deployed"):
        deployed_folder(shop.models_dir, "other")


def test_deploying_and_withdrawing_one_kind_leaves_the_others(tmp_path: Path) -> None:
    deploy(tmp_path, "v1")
    deploy(tmp_path, "t1", "toy")
    deploy(tmp_path, "v2")
    assert deployed_versions(tmp_path) == {"value": "v2", "toy": "t1"}
    assert withdraw(tmp_path)
    assert not withdraw(tmp_path)
    assert deployed_versions(tmp_path) == {"toy": "t1"}
    assert withdraw(tmp_path, "toy")
    assert not (tmp_path / "deployed.json").exists()
    (tmp_path / "deployed.json").write_text("{", encoding="utf-8")
    with pytest.raises(ModelError, match="deploy again with: cva train"):
        deployed_versions(tmp_path)
    assert not withdraw(tmp_path)
    assert not (tmp_path / "deployed.json").exists()


def test_a_manifest_without_outputs_is_the_value_models(tmp_path: Path) -> None:
    raw = json.loads((baseline_folder() / "manifest.json").read_text(encoding="utf-8"))
    raw.pop("outputs", None)
    (tmp_path / "manifest.json").write_text(json.dumps(raw), encoding="utf-8")
    assert read_manifest(tmp_path).outputs == OUTPUTS


def test_a_kind_of_the_same_version_is_stored_once(add_kind: Any, shop: Any) -> None:
    add_kind()
    first = train_others(shop, training_set(), UNASKED)
    assert train_others(shop, training_set(), UNASKED) == first
    folder = deployed_folder(shop.models_dir, "toy")
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert store_model(shop.models_dir, b"", read_manifest(folder)) == folder
