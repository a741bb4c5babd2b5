"""The model file says the same everywhere: bare onnxruntime, SQL, Python, the published table."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from cva_sql.cli.run import gates as gates
from cva_sql.cli.shop.resolver import open_shop
from cva_sql.models_onnx.value.data.cutoffs import plan_cutoffs
from cva_sql.models_onnx.value.data.dataset import Dataset, read_dataset
from cva_sql.models_onnx.value.graph.baseline import build_baseline
from cva_sql.models_onnx.value.members.registry import candidates
from cva_sql.models_onnx.value.model.graph import build_model
from cva_sql.models_onnx.value.model.parity import check_parity
from cva_sql.models_onnx.value.training import fit, validation
from cva_sql.models_onnx.value.training.manifest import build_manifest
from cva_sql.udfs import predict as predict_module
from cva_sql.udfs.errors import CvaError, ModelError
from cva_sql.udfs.manifest import MODEL_FILE, OUTPUTS
from cva_sql.udfs.register import register, unregister
from cva_sql.udfs.sessions import baseline_folder, load_model

# What a team without cva would write: the exported folder, the features, nothing of ours.
BARE = """
import json, sys
from pathlib import Path
import duckdb, numpy as np, onnxruntime
db, folder = sys.argv[1], Path(sys.argv[2])
manifest = json.loads((folder / "manifest.json").read_text())
with duckdb.connect(db, read_only=True) as con:
    columns = con.execute("from customer_features order by customer_id").fetchnumpy()
    table = con.execute("from customer_value order by customer_id").fetchnumpy()
inputs = {}
for feature in manifest["features"]:
    column = np.ma.asarray(columns[feature["name"]])
    if feature["kind"] == "number":
        column = np.ma.filled(column.astype(np.float64), np.nan).astype(np.float32)
    else:
        column = np.where(np.ma.getmaskarray(column), "", np.ma.getdata(column)).astype(object)
    inputs[feature["name"]] = column.reshape(-1, 1)
session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
names = [output.name for output in session.get_outputs()]
worst = {}
for name, values in zip(names, session.run(names, inputs)):
    got = values.reshape(-1)
    if not np.isfinite(got).all():
        worst[name] = float("inf")
    if name in table and not (name == "score" and manifest["is_baseline"]):
        want = np.ma.filled(np.ma.asarray(table[name], dtype=np.float64), np.nan)
        worst[name] = float(np.max(np.abs(got - want) / np.maximum(np.abs(want), 1e-9)))
modules = [name for name in sys.modules if name.startswith("cva_sql")]
print(json.dumps({"rows": len(table["customer_id"]), "worst": worst, "ours": modules}))
"""
COLUMNS = set(OUTPUTS) - {"horizon_retention_rate"}  # which customer_value uses and does not show


def compare_bare(db: Path, folder: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", BARE, str(db), str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_bare_onnxruntime_gives_the_trained_scores_of_the_table(
    sample_shop: Any, cva: Any, tmp_path: Path
) -> None:
    exported = cva("export-model", "value", "--out", tmp_path / "out", "--db", sample_shop.db)
    assert exported.returncode == 0, exported.stderr
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["manifest.json", "model.onnx"]
    found = compare_bare(sample_shop.db, tmp_path / "out")
    assert found["rows"] == sample_shop.run.customers
    assert found["ours"] == []
    assert found["worst"].keys() == COLUMNS
    assert max(found["worst"].values()) <= 1e-4  # relative: inputs are single precision


def test_bare_onnxruntime_gives_the_packaged_rules_scores_of_the_table(
    sample_shop: Any, cva: Any, tmp_path: Path
) -> None:
    db = sample_shop.copy_to(tmp_path / "shop")
    nothing = ("--models-dir", tmp_path / "nothing deployed")
    assert cva("run", "--db", db, *nothing).returncode == 0
    exported = cva("export-model", "rule", "--out", tmp_path / "out")
    assert exported.returncode == 0, exported.stderr
    found = compare_bare(db, tmp_path / "out")
    assert found["worst"].keys() == COLUMNS - {"score"}
    assert max(found["worst"].values()) <= 1e-4


@pytest.fixture
def con(sample_shop: Any) -> Any:
    connection = duckdb.connect(str(sample_shop.db), read_only=True)
    register(connection, models_dir=sample_shop.models_dir)
    yield connection
    unregister(connection)
    connection.close()


def direct(con: Any, folder: Path, query: str) -> dict[str, Any]:
    table = con.sql(query).to_arrow_table()
    columns = {name: table.column(name).combine_chunks() for name in table.column_names}
    return predict_module.predict(load_model(folder), columns, table.num_rows)


FEATURES = "select * from customer_features order by customer_id"


def test_sql_function_and_python_function_agree_exactly(sample_shop: Any, con: Any) -> None:
    expected = direct(con, sample_shop.model_folder, FEATURES)
    got = con.execute(
        "select unnest(p) from (select cva_predict(t) as p "
        "from (from customer_features) as t order by t.customer_id)"
    ).fetchnumpy()
    for name in OUTPUTS:
        assert np.array_equal(got[name], expected[name]), name
    assert set(got["model_version"]) == {sample_shop.trained.version}


@pytest.mark.parametrize("size", [1, 7, 2048])
@pytest.mark.parametrize("kind", ["trained", "packaged"])
def test_a_row_scores_the_same_in_any_batch(
    sample_shop: Any, con: Any, size: int, kind: str
) -> None:
    folder = sample_shop.model_folder if kind == "trained" else baseline_folder()
    # Repeated, since a batch of 2,048 is larger than the sample shop.
    query = "select f.* from customer_features f, range(4) order by range, customer_id"
    table = con.sql(query).to_arrow_table()
    model = load_model(folder)
    columns = {name: table.column(name).combine_chunks() for name in table.column_names}
    whole = predict_module.predict(model, columns, table.num_rows)
    for start in range(0, table.num_rows if size > 1 else 300, size):
        part = {name: column[start : start + size] for name, column in columns.items()}
        count = len(part["customer_id"])
        for name, values in predict_module.predict(model, part, count).items():
            assert np.array_equal(values, whole[name][start : start + size]), (name, start)


@pytest.fixture(scope="module")
def examples(sample_shop: Any) -> Dataset:
    with duckdb.connect(str(sample_shop.db), read_only=True) as con:
        return read_dataset(con, "cva_train")


@pytest.mark.parametrize("kind", candidates())
def test_every_candidate_exports_to_a_file_that_says_the_same(
    examples: Dataset, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(validation, "VALIDATION_DATES", 1)
    first_order = date(2023, 7, 1)
    plan = plan_cutoffs(first_order, date(2026, 1, 1), 90)
    assert plan is not None
    fitting = fit.fit_model(examples, plan, lambda _: None, kind=kind)
    model, choice = fitting.model, fitting.choice
    assert model is not None
    assert model.kind == kind
    data = build_model(model)
    manifest = build_manifest(model, data, plan, choice, first_order)
    parity = check_parity(model, data, manifest, examples.seen_from(plan.as_of))
    assert parity.rows > 700
    assert parity.worst <= 1e-4


def test_the_packaged_rule_is_what_its_code_builds() -> None:
    assert (baseline_folder() / MODEL_FILE).read_bytes() == build_baseline()


def test_null_struct_gives_null(con: Any) -> None:
    query = """
    select customer_id, cva_predict(case when n % 2 = 0 then t end) is null from (
        select t, t.customer_id, row_number() over (order by customer_id) as n
        from customer_features as t) order by customer_id limit 4"""
    assert [is_null for _, is_null in con.execute(query).fetchall()] == [True, False, True, False]


def error_of(con: Any, query: str) -> str:
    with pytest.raises(duckdb.Error) as caught:
        con.execute(query).fetchall()
    return str(caught.value)


def test_a_missing_feature_is_named(con: Any) -> None:
    text = error_of(
        con,
        "select cva_predict(t) from (select * exclude (decayed_spend) from customer_features) t",
    )
    assert "feature `decayed_spend` is missing" in text
    assert "cva train" in text


def test_a_mistyped_feature_is_named(con: Any) -> None:
    text = error_of(
        con,
        "select cva_predict(t) from (select * replace ('much' as decayed_spend) "
        "from customer_features) t",
    )
    assert "feature `decayed_spend` is string; expected a number" in text


def test_an_extra_column_is_ignored(sample_shop: Any, con: Any) -> None:
    query = "select sum((cva_predict(t)).predicted_value) from ({}) t"
    plain = con.execute(query.format("from customer_features")).fetchall()
    more = con.execute(query.format("select *, 'x' as extra from customer_features")).fetchall()
    assert more[0][0] == pytest.approx(plain[0][0], rel=1e-12)  # a sum of doubles, in any order


def test_another_horizon_is_refused(con: Any) -> None:
    text = error_of(
        con,
        "select cva_predict(t) from (select * replace (45 as horizon_days) "
        "from customer_features) t",
    )
    assert "horizon_days is 45; the deployed model was trained for 90" in text
    assert "cva train --horizon-days 45" in text


def test_a_run_for_another_horizon_fails_in_one_line_and_publishes_nothing(
    sample_shop: Any, cva: Any, tmp_path: Path
) -> None:
    db = sample_shop.copy_to(tmp_path / "shop")
    published = (db.parent / "published" / "current").resolve()
    failed = cva("run", "--db", db, "--horizon-days", 45)
    assert failed.returncode == 1
    (line,) = [text for text in failed.stderr.splitlines() if text.startswith("cva: ")]
    assert failed.stderr.splitlines()[-1] == line
    assert "trained for 90. Retrain with: cva train --horizon-days 45" in line
    assert (db.parent / "published" / "current").resolve() == published


def test_an_altered_model_file_is_refused(sample_shop: Any, cva: Any, tmp_path: Path) -> None:
    db = sample_shop.copy_to(tmp_path / "shop")
    file = db.parent / "cva_models" / "value" / str(sample_shop.trained.version) / MODEL_FILE
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))
    failed = cva("run", "--db", db)
    assert failed.returncode == 1
    assert "sha256" in failed.stderr
    assert len(failed.stderr.splitlines()) == 1
    with pytest.raises(ModelError, match="retrain with: cva train"):
        load_model(file.parent)


def test_the_gate_passes_the_table_as_it_was_scored(sample_shop: Any) -> None:
    gate = gates.check_scores(open_shop(sample_shop.db), sample_shop.model_folder)
    assert (gate.rows, gate.model_version) == (
        sample_shop.run.customers,
        sample_shop.trained.version,
    )


@pytest.mark.parametrize("output", gates.COMPARED)
def test_the_gate_notices_a_prediction_that_is_one_percent_off(
    sample_shop: Any, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    real = predict_module.predict
    off = 0.01 if output == "predicted_value_p10" else 0.0  # which is zero for most customers

    def broken(*arguments: Any) -> dict[str, Any]:
        outputs = real(*arguments)
        return {**outputs, output: outputs[output] * 1.01 + off}

    monkeypatch.setattr(predict_module, "predict", broken)
    with pytest.raises(CvaError, match=rf"{output} in customer_value differs.*nothing was publish"):
        gates.check_scores(open_shop(sample_shop.db), sample_shop.model_folder)


def test_the_gate_notices_another_models_scores(sample_shop: Any) -> None:
    with pytest.raises(CvaError, match="was scored by model"):
        gates.check_scores(open_shop(sample_shop.db), baseline_folder())
