"""Value models made elsewhere: read, judged on dates they had not seen, written to the contract."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pytest
from onnx import TensorProto, helper

from cva_sql.cli.load.table import load_table
from cva_sql.cli.models.deploying import deploy_version
from cva_sql.cli.models.inventory import chosen_model, model_details
from cva_sql.cli.models.report import describe_added
from cva_sql.cli.shop.model_store import deploy, deployed_version, version_before
from cva_sql.cli.shop.resolver import open_shop
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.cli.train import examples
from cva_sql.cli.train.added import added_files, added_models, added_to_score, given_of
from cva_sql.cli.train.adding import ROUNDING, Request, add_model
from cva_sql.cli.train.terms import known_features
from cva_sql.models_onnx.value.added.given import AddedFile, Given, Mapped, read_given
from cva_sql.models_onnx.value.added.graph import build_added
from cva_sql.models_onnx.value.added.manifest import build_added_manifest
from cva_sql.models_onnx.value.added.model import fit_added
from cva_sql.models_onnx.value.backtesting.added import with_added
from cva_sql.models_onnx.value.backtesting.backtest import Backtest
from cva_sql.models_onnx.value.data.terms import Terms
from cva_sql.models_onnx.value.model.parity import check_parity
from cva_sql.udfs.errors import ModelError, UsageError
from cva_sql.udfs.explain import explain
from cva_sql.udfs.explainer import load_explainer
from cva_sql.udfs.manifest import MANIFEST_FILE, MODEL_FILE, parse_manifest
from cva_sql.udfs.predict import predict_struct
from cva_sql.udfs.sessions import load_model, open_session
from tests.converters import of_lightgbm, of_scikit_learn
from tests.unit.test_value_model import AS_OF, PLAN, make_examples

NUMBERS = ("decayed_spend", "historic_value", "orders_count", "days_since_last_order")
KNOWN = {**dict.fromkeys(NUMBERS, "number"), "country": "category", "t_days": "number"}
UNTIL = PLAN.cutoffs[2]


def saved(
    nodes: Sequence[Any],
    inputs: dict[str, tuple[int, Sequence[Any]]],
    outputs: dict[str, int],
    *,
    opset: int = 15,
    ml: int = 1,
    initializers: Sequence[Any] = (),
    functions: Sequence[Any] = (),
) -> bytes:
    """A file of these nodes."""
    graph = helper.make_graph(
        nodes,
        "made elsewhere",
        [helper.make_tensor_value_info(n, kind, shape) for n, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info(n, kind, None) for n, kind in outputs.items()],
        initializer=list(initializers),
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", ml)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8, functions=list(functions))
    return bytes(model.SerializeToString())


def forest(opset: int = 8) -> bytes:
    """A forest of scikit-learn's."""
    from sklearn.ensemble import RandomForestRegressor

    x, y = made_up()
    fitted = RandomForestRegressor(3, max_depth=4, random_state=1).fit(x, y)
    return of_scikit_learn(fitted.estimators_, len(NUMBERS), opset)


def boosted() -> bytes:
    """LightGBM's trees, with a log link."""
    import lightgbm

    x, y = made_up()
    x[::5, 3] = np.nan
    settings = {"objective": "tweedie", "num_leaves": 6, "verbosity": -1, "num_threads": 1}
    return of_lightgbm(lightgbm.train(settings, lightgbm.Dataset(x, y), 20), len(NUMBERS))


def made_up() -> tuple[Any, Any]:
    random = np.random.default_rng(3)
    x = random.gamma(1.0, 60.0, (2000, len(NUMBERS))).astype(np.float32)
    return x, x[:, 0] * 0.4 + random.gamma(1.0, 3.0, 2000)


def named(opset: int = 17) -> bytes:
    """max(0.5 · spend − 3, …) with another name, a double column, a text, and a second output."""
    nodes = [
        helper.make_node("Cast", ["spend"], ["v0"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["v0", "half"], ["scaled"]),
        helper.make_node(
            "LabelEncoder", ["country"], ["plus"], domain="ai.onnx.ml",
            keys_strings=["DE"], values_floats=[2.0], default_float=-3.0,
        ),
        helper.make_node("Add", ["scaled", "plus"], ["told"]),
        helper.make_node("Neg", ["told"], ["other"]),
    ]  # fmt: skip
    inputs = {
        "spend": (TensorProto.DOUBLE, ["n", 1]),
        "country": (TensorProto.STRING, ["n", 1]),
    }
    half = helper.make_tensor("half", TensorProto.FLOAT, [1], [0.5])
    outputs = {"told": TensorProto.FLOAT, "other": TensorProto.FLOAT}
    return saved(nodes, inputs, outputs, opset=opset, ml=3, initializers=[half])


FILES: dict[str, tuple[bytes, Mapped, str | None]] = {
    "trees": (forest(), NUMBERS, None),
    "boosted trees": (boosted(), NUMBERS, None),
    "trees of a newer opset": (forest(opset=18), NUMBERS, None),
    "named inputs": (named(), {"spend": "decayed_spend"}, "told"),
}


@lru_cache(maxsize=4)
def given(name: str) -> Given:
    return read_given(FILES[name][0], KNOWN, *FILES[name][1:])


@pytest.mark.parametrize("name", FILES)
def test_a_file_keeps_the_contract_and_its_own_value(name: str, tmp_path: Path) -> None:
    data = make_examples(PLAN)
    model, judged, _ = fit_added("mine", given(name), data, PLAN, UNTIL)
    onnx_file, now = build_added(model), data.seen_from(AS_OF)
    manifest = build_added_manifest(
        model, onnx_file, PLAN, judged, now,
        trained_until=UNTIL, added_at=datetime.now(UTC), first_order=date(2023, 1, 1), database="s",
    )  # fmt: skip
    assert check_parity(model, onnx_file, manifest, now, ROUNDING).worst < 1e-6
    assert judged.dates == PLAN.cutoffs[:3]
    assert judged.left_out == PLAN.cutoffs[3:]
    assert set(judged.scores) == {
        "mine", "baseline", "past_spend", "last_window", "decayed_spend", "rfm_quintiles"
    }  # fmt: skip
    folder = tmp_path / "value" / manifest.version
    folder.mkdir(parents=True)
    (folder / MODEL_FILE).write_bytes(onnx_file)
    (folder / MANIFEST_FILE).write_text(manifest.to_json())
    loaded = load_model(folder)
    columns = {n: pa.array(column, from_pandas=True) for n, column in now.numbers.items()}
    columns |= {n: pa.array(column.tolist()) for n, column in now.categories.items()}
    rows = pa.StructArray.from_arrays(list(columns.values()), names=list(columns))
    told = predict_struct(loaded, rows)
    own = given(name).predict(now)
    value = told.field("predicted_value").to_numpy()
    np.testing.assert_array_equal(value, own)
    assert own.min() >= 0
    quantiles = [told.field(f"predicted_value_p{q}").to_numpy() for q in (10, 50, 90)]
    assert (quantiles[0] <= quantiles[1]).all()
    assert (quantiles[1] <= quantiles[2]).all()
    chance = told.field("purchase_probability").to_numpy()
    assert ((chance > 0) & (chance < 1)).all()
    score = told.field("score").to_numpy()
    order = np.argsort(value, kind="stable")
    assert (np.diff(score[order]) >= 0).all()
    assert score.max() == pytest.approx(100)
    assert told.field("is_extrapolated").null_count == len(now)
    assert told[0].as_py()["is_judged"] is True
    found = explain(load_explainer(folder), columns, len(now))
    np.testing.assert_allclose(found.baseline + found.money.sum(axis=1), value, atol=1e-3)
    assert set(load_explainer(folder).players) == set(given(name).features)
    assert (np.abs(found.money).sum(axis=0) > 0).any()
    facts = parse_manifest(manifest.to_json()).training
    assert facts["sources"]["predicted_value"] == "the file, nothing below 0"
    assert facts["added"]["inputs"] == given(name).mapping


def test_the_interval_is_that_of_outcomes_on_dates_it_had_not_seen() -> None:
    """A model that says half of what comes has p90s as high as outcomes were, not as it thinks."""
    data = make_examples(PLAN)
    half, full = (
        fit_added("mine", given(name), data, PLAN, UNTIL)[0].predict(data.seen_from(AS_OF))
        for name in ("trees", "named inputs")
    )
    for told in (half, full):
        test = data.at([PLAN.cutoffs[0]], 90)
        assert np.isfinite(told["predicted_value_p90"]).all()
        covered = float((test.label_value <= np.median(told["predicted_value_p90"])).mean())
        assert covered > 0.6


REFUSED: list[tuple[bytes, Mapped, str | None, str]] = [
    (b"nothing", None, None, "the model is no ONNX file that can be run here"),
    (
        forest(),
        None,
        None,
        "the model has one input, X, of 4 columns; name their features in order",
    ),
    (forest(), {"X": "t_days"}, None, "name their features in order, as a list"),
    (forest(), NUMBERS[:3], None, "--inputs names 3 features; input X has 4 columns"),
    (
        forest(),
        (*NUMBERS[:2], "orders_cnt", "xyzzy"),
        None,
        "customer_features has no orders_cnt (nearest: orders_count), xyzzy that models may read",
    ),
    (forest(), (*NUMBERS[:3], "country"), None, "feature country is a category"),
    (named(), None, "told", "customer_features has no spend that models may read"),
    (named(), NUMBERS[:2], "told", "--inputs is a list; the model has 2 inputs (spend, country)"),
    (
        named(),
        {"spent": "t_days"},
        "told",
        "--inputs maps spent; the model's inputs are spend, cou",
    ),
    (named(), {"spend": "country"}, "told", "input spend is tensor(double); feature country is a"),
    (named(), {"spend": "t_days"}, None, "the model has outputs told, other; say which is the"),
    (named(), {"spend": "t_days"}, "x", "--output x: expected one of told, other"),
    (
        saved(
            [helper.make_node("Cast", ["t_days"], ["y"], to=TensorProto.FLOAT)],
            {"t_days": (TensorProto.INT64, ["n", 1])},
            {"y": TensorProto.FLOAT},
        ),
        None,
        None,
        "input t_days is tensor(int64); expected tensor(float), which has a place for what is",
    ),
    (
        saved(
            [helper.make_node("Identity", ["X"], ["y"])],
            {"X": (TensorProto.FLOAT, ["n", 2])},
            {"y": TensorProto.FLOAT},
        ),
        NUMBERS[:2],
        None,
        "output y has shape (3, 2) for 3 rows; expected one number a row",
    ),
]


@pytest.mark.parametrize(("file", "mapped", "output", "said"), REFUSED)
def test_what_cannot_be_used_is_one_line(
    file: bytes, mapped: Mapped, output: str | None, said: str
) -> None:
    with pytest.raises(UsageError) as error:
        read_given(file, KNOWN, mapped, output)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert "retrain" not in str(error.value)


def test_a_model_without_a_date_or_a_number_is_refused() -> None:
    data = make_examples(PLAN)
    late = PLAN.cutoffs[0] + timedelta(days=1)
    with pytest.raises(UsageError, match="mine can be judged on no date: none at or after"):
        fit_added("mine", given("trees"), data, PLAN, late)
    cold = saved(
        [helper.make_node("Identity", ["t_days"], ["y"])],
        {"t_days": (TensorProto.FLOAT, ["n", 1])},
        {"y": TensorProto.FLOAT},
    )
    with pytest.raises(UsageError, match=r"mine gives no number for 50 of 500 customers; features"):
        fit_added("mine", read_given(cold, KNOWN), data, PLAN, UNTIL)


def test_the_back_test_has_it_beside_ours_on_the_dates_that_it_had_not_seen() -> None:
    data = make_examples(PLAN)
    data = replace(data, label_days=np.full(len(data), 90))
    plans = [replace(PLAN, as_of=day) for day in (PLAN.cutoffs[0], PLAN.cutoffs[3])]
    empty = Backtest(90, tuple(p.as_of for p in plans), (500, 500), {}, ("ours",))
    files = [
        AddedFile("mine", given("trees"), PLAN.cutoffs[1], 90),
        AddedFile("old", given("trees"), PLAN.cutoffs[5], 90),
        AddedFile("late", given("trees"), AS_OF, 90),
        AddedFile("month", given("trees"), PLAN.cutoffs[5], 30),
    ]
    found = with_added(empty, files, data, plans, 0, lambda _: None)
    assert found.added == ("mine", "old")
    by_date, means = found.metrics["mine"]
    assert [bool(metrics) for metrics in by_date] == [True, False]
    assert means == {}
    by_date, means = found.metrics["old"]
    mean = np.mean([metrics["mae"].value for metrics in by_date])
    assert means["mae"].value == pytest.approx(mean)
    assert found.rules == ()
    day, first = PLAN.cutoffs[3], PLAN.cutoffs[0]
    assert found.verdicts == (
        "ours",
        f"mine: left out on {day}, as it was trained on what was before {PLAN.cutoffs[1]} "
        "(--trained-until)",
        f"late: left out on {first}, {day}, as it was trained on what was before {AS_OF} "
        "(--trained-until)",
        f"month: left out on {first}, {day}, as it says what is spent in 30 days",
    )


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ResolvedShop:
    """A shop whose examples are made up."""
    file = tmp_path / "orders.csv"
    file.write_text("order_id,customer_id,ordered_at,amount\n1,a,2024-01-01,3\n")
    load_table("orders", [file], db=tmp_path / "shop.duckdb")
    (tmp_path / "trees.onnx").write_bytes(forest())
    (tmp_path / "other.onnx").write_bytes(named())
    (tmp_path / "map.yml").write_text("".join(f"- {name}\n" for name in NUMBERS))
    (tmp_path / "other.yml").write_text("spend: decayed_spend\n")
    found = examples.TrainingSet(date(2023, 1, 1), PLAN, examples.NO_TEXTS, make_examples(PLAN))
    history = examples.History(date(2023, 1, 1), AS_OF)
    monkeypatch.setattr(examples, "read_history", lambda *_: history)
    monkeypatch.setattr(examples, "read_training_set", lambda *_, **__: found)
    return open_shop(tmp_path / "shop.duckdb")


def request(shop: ResolvedShop, **given: Any) -> Request:
    folder = shop.db.parent
    usual: dict[str, Any] = {
        "file": folder / "trees.onnx",
        "name": "mine",
        "trained_until": UNTIL,
        "inputs": folder / "map.yml",
    }
    return Request(**{**usual, **given})


def other(shop: ResolvedShop, **given: Any) -> Request:
    folder = shop.db.parent
    files = {"file": folder / "other.onnx", "inputs": folder / "other.yml", "output": "told"}
    return request(shop, **files, **given)


def test_a_model_is_added_deployed_by_its_name_and_replaced_when_told(shop: ResolvedShop) -> None:
    first = add_model(shop, request(shop))
    folder = shop.models_dir / "value" / first.version
    assert (folder / "given.onnx").read_bytes() == forest()
    assert not (folder / "given.onnx").is_symlink()
    assert (first.is_deployed, deployed_version(shop.models_dir)) == (False, None)
    chosen = chosen_model(shop.models_dir, "mine")
    assert (chosen.version, chosen.kind) == (first.version, "mine")
    details, problem = model_details(chosen)
    assert problem is None
    assert details["training"]["added"]["trained_until"] == UNTIL.isoformat()
    said = describe_added(first, "mine", shop)
    assert f"left out, before --trained-until: {PLAN.cutoffs[5]}, {PLAN.cutoffs[4]}" in said
    assert "to let it score: cva models deploy mine" in said

    with pytest.raises(UsageError, match=r"there is a model mine already, .* with --replace"):
        add_model(shop, other(shop))
    assert list(added_models(shop.models_dir)) == ["mine"]
    deploy(shop.models_dir, first.version)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    second = add_model(shop, other(shop, replace=True))
    assert second.replaced == first.version
    assert second.is_deployed  # as the one in whose place it is
    assert deployed_version(shop.models_dir) == second.version
    assert version_before(shop.models_dir) == first.version
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    assert added_models(shop.models_dir)["mine"].version == second.version
    assert chosen_model(shop.models_dir, first.version).version == first.version


@pytest.mark.parametrize(
    "name", ["ensemble", "glm", "past_spend", "cva", "rule", "encoder", "Mine", "../x", "", "ridge"]
)
def test_a_name_that_is_taken_is_refused(shop: ResolvedShop, name: str) -> None:
    with pytest.raises(UsageError, match="expected a name of a-z, 0-9 and _"):
        add_model(shop, request(shop, name=name))
    assert not (shop.models_dir / "value").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- 3\n", "expected a list of features in order"),
        ("historic_value", "expected a list"),
        ("a: [b]\n", "input: feature"),
        ("{", "cannot be read"),
        ("", "expected a list"),
    ],
)
def test_a_map_that_is_none_is_refused(shop: ResolvedShop, text: str, said: str) -> None:
    (shop.db.parent / "map.yml").write_text(text)
    with pytest.raises(UsageError, match=said):
        add_model(shop, request(shop))


def test_a_file_that_is_none_is_refused(shop: ResolvedShop) -> None:
    for name, said in (("absent.onnx", "cannot be read"), ("map.yml", "is no ONNX file")):
        with pytest.raises(UsageError, match=said):
            add_model(shop, request(shop, file=shop.db.parent / name))


def test_what_is_not_held_or_not_there_does_not_score(shop: ResolvedShop) -> None:
    asked = replace(shop, vars={"cva_monotone": {"historic_value": 1}})
    with pytest.raises(UsageError, match="mine reads historic_value, and nothing says that it kee"):
        add_model(asked, request(asked, deploy=True))
    add_model(asked, request(asked))  # to be looked at
    with pytest.raises(UsageError, match="mine reads historic_value, and nothing says that it kee"):
        deploy_version(asked, "mine")
    assert deployed_version(shop.models_dir) is None
    deploy_version(shop, "mine")
    assert deployed_version(shop.models_dir) == added_models(shop.models_dir)["mine"].version
    added = added_models(shop.models_dir)["mine"]
    with pytest.raises(UsageError, match="nothing says that it keeps to cva_monotone"):
        added_to_score(shop, added, Terms({"orders_count": 1}))
    with pytest.raises(UsageError, match="mine reads orders_count, which models may not learn fr"):
        added_to_score(shop, added, Terms({}, ("orders_count",)))
    assert added_to_score(shop, added, Terms({"rating_mean": 1})).features == NUMBERS
    assert [file.name for file in added_files(shop)] == ["mine"]


def test_a_file_that_was_changed_is_left_out_and_said(
    shop: ResolvedShop, capsys: pytest.CaptureFixture[str]
) -> None:
    found = add_model(shop, request(shop))
    (shop.models_dir / "value" / found.version / "given.onnx").write_bytes(named())
    with pytest.raises(ModelError, match="is not the file that was added; add it again with: cva"):
        given_of(added_models(shop.models_dir)["mine"], known_features(shop))
    assert added_files(shop) == []
    assert "mine is left out: " in capsys.readouterr().err


def test_components_of_text_are_no_features_of_another_model(shop: ResolvedShop) -> None:
    known = known_features(shop)
    assert "text_1" not in known
    assert known["sentiment_mean"] == "number"
    assert known["country"] == "category"
    assert "age" not in known


def test_weights_in_another_file_are_refused(shop: ResolvedShop) -> None:
    model = onnx.load_from_string(named())
    model.graph.initializer[0].external_data.add(key="location", value="w.bin")
    (shop.db.parent / "trees.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(UsageError, match="has its weights in another file"):
        add_model(shop, request(shop))


def test_what_is_written_is_a_plain_session_away() -> None:
    data = make_examples(PLAN)
    model, _, _ = fit_added("mine", given("trees"), data, PLAN, UNTIL)
    session = open_session(build_added(model))
    assert set(session.inputs().values()) == {"tensor(float)"}
    assert set(session.outputs().values()) == {"tensor(double)"}
    assert json.loads(json.dumps(model.given.mapping)) == {"X": list(NUMBERS)}
