"""Explanations are those of the deployed file: exact by family, adding up, alone as in company."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from itertools import permutations
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
import shap

from cva_sql.cli.explain.members import explain_members
from cva_sql.cli.explain.report import member_lines
from cva_sql.cli.shop.model_store import store_model
from cva_sql.models_onnx.value.data.cutoffs import Plan, plan_cutoffs
from cva_sql.models_onnx.value.data.dataset import Dataset, read_dataset
from cva_sql.models_onnx.value.graph.builder import Graph
from cva_sql.models_onnx.value.members.registry import candidates
from cva_sql.models_onnx.value.model.fitted import FittedModel
from cva_sql.models_onnx.value.model.graph import build_members, build_model
from cva_sql.models_onnx.value.model.parity import check_members
from cva_sql.models_onnx.value.training import fit, validation
from cva_sql.models_onnx.value.training.families import FamilyWeight
from cva_sql.models_onnx.value.training.manifest import build_manifest, describe_members
from cva_sql.models_onnx.value.training.typical_customer import (
    build_explanation,
    typical_number,
    typical_text,
)
from cva_sql.udfs import explained_rows, shop_explainer
from cva_sql.udfs import play as play_module
from cva_sql.udfs.coalitions import Explainer, Game
from cva_sql.udfs.errors import ModelError
from cva_sql.udfs.explain import Attributions, explain, find_context
from cva_sql.udfs.explainer import load_explainer
from cva_sql.udfs.manifest import (
    MANIFEST_FILE,
    MEMBERS_FILE,
    MODEL_FILE,
    OUTPUTS,
    Explanation,
    Feature,
    inputs_from_columns,
    read_manifest,
)
from cva_sql.udfs.members import predict_members
from cva_sql.udfs.play import FormulaPlay, WholePlay
from cva_sql.udfs.predict import predict_struct, run_session
from cva_sql.udfs.register import register, unregister
from cva_sql.udfs.sessions import baseline_folder, load_model

BASELINE, RFM = "baseline", "rfm_quintiles"
FIRST_ORDER = date(2023, 7, 1)
Folders = dict[str, Path]


@dataclass(frozen=True)
class Fitted:
    """The fitted model of each kind and its folder; the packaged rule has a folder alone."""

    examples: Dataset
    plan: Plan
    fitting: fit.Fitting
    models: dict[str, FittedModel]
    folders: Folders


@pytest.fixture(scope="module")
def fitted(sample_shop: Any, tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    """Every kind, of one fit of all members; reviews correct the ensemble, by half."""
    with duckdb.connect(str(sample_shop.db), read_only=True) as con:
        examples = read_dataset(con, "cva_train")
    reviews = {name: "reviews" for name, of in examples.optional.items() if of == "reviews"}
    examples = replace(examples, optional=reviews)  # the members read attributes' categories
    half = FamilyWeight("reviews", 0.5, 0.0, 0.0, 0.0, ())
    plan = plan_cutoffs(FIRST_ORDER, date(2026, 1, 1), 90)
    assert plan is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(validation, "VALIDATION_DATES", 1)
        patch.setattr(fit, "weigh_families", lambda *_: (half,))
        fitting = fit.fit_model(examples, plan, lambda _: None)
    members = fitting.members
    assert members is not None
    models = {
        kind: fit.finish_model(fitting.learning, members, fitting.folds, kind)
        for kind in candidates()
    }
    found = Fitted(examples, plan, fitting, models, {BASELINE: baseline_folder()})
    folder = tmp_path_factory.mktemp("models")
    found.folders.update({kind: store(model, found, folder) for kind, model in models.items()})
    return found


def store(model: FittedModel, fitted: Fitted, folder: Path, plan: Plan | None = None) -> Path:
    """The folder that the model was written to, explained against the shop's typical customer."""
    data, members = build_model(model), build_members(model)
    manifest = build_manifest(
        model,
        data,
        plan or fitted.plan,
        fit.choose(fitted.fitting.folds, model.kind),
        FIRST_ORDER,
        explanation=build_explanation(model, fitted.examples.seen_from(fitted.plan.as_of)),
    )
    manifest = replace(manifest, members=describe_members(model, members))
    return store_model(folder, data, manifest, {MEMBERS_FILE: members})


@pytest.fixture(scope="module")
def folders(fitted: Fitted) -> Folders:
    """A model folder for each kind, and the packaged rule's."""
    return fitted.folders


@pytest.fixture(scope="module")
def columns(sample_shop: Any) -> dict[str, Any]:
    with duckdb.connect(str(sample_shop.db), read_only=True) as con:
        table = con.sql("from customer_features order by customer_id").to_arrow_table()
    return {name: table.column(name).combine_chunks() for name in table.column_names}


def part(columns: dict[str, Any], first: int, count: int) -> dict[str, Any]:
    return {name: column.slice(first, count) for name, column in columns.items()}


@pytest.mark.parametrize("kind", [BASELINE, *candidates()])
def test_explanations_add_up_for_every_customer(
    folders: Folders, columns: dict[str, Any], kind: str
) -> None:
    explainer = load_explainer(folders[kind])
    rows = len(columns["customer_id"])
    found = explain(explainer, columns, rows)
    model = load_model(folders[kind])
    inputs = inputs_from_columns(model.manifest, columns, rows)
    predicted = run_session(model, inputs, rows)["predicted_value"]
    assert np.array_equal(found.predicted, predicted)
    # The contract is 1e-4; all is in double, so what is left is rounding.
    assert found.baseline + found.money.sum(axis=1) == pytest.approx(predicted, rel=1e-9, abs=1e-9)
    for place in range(len(explainer.families)):
        features = found.money[:, explainer.family_of == place].sum(axis=1)
        assert features == pytest.approx(found.family_money[:, place], rel=1e-9, abs=1e-9)
    assert (explainer.ready is None) == (kind == BASELINE)
    assert (explainer.wide is not None) == (kind == RFM)  # which looks scores up in tables


@pytest.mark.parametrize("kind", [BASELINE, *candidates()])
def test_families_are_a_brute_force_over_the_whole_file(
    folders: Folders, columns: dict[str, Any], kind: str
) -> None:
    count = 6
    few = part(columns, 40, count)
    explainer = load_explainer(folders[kind])
    found = explain(explainer, few, count)
    assert found.family_money == pytest.approx(
        brute_force(folders[kind], explainer, few, count), rel=1e-9, abs=1e-9
    )


def brute_force(
    folder: Path, explainer: Explainer, columns: dict[str, Any], rows: int
) -> np.ndarray:
    """Means over all orders of families, each prediction by the deployed file as it is."""
    model = load_model(folder)
    own = inputs_from_columns(model.manifest, columns, rows)
    reference, family_of = model.manifest.explanation, {}
    assert reference is not None
    family_of = reference.families

    def predict(families: frozenset[str]) -> np.ndarray:
        mixed = dict(own)
        for name, value in reference.reference.items():
            if family_of[name] in families:
                continue
            typical: Any = value
            if own[name].dtype == object:
                typical = value or ""
            elif value is None:
                typical = np.nan
            mixed[name] = np.full_like(own[name], typical)
        return run_session(model, mixed, rows)["predicted_value"]

    orders = list(permutations(explainer.families))
    total = np.zeros((rows, len(explainer.families)))
    seen: dict[frozenset[str], np.ndarray] = {}
    for order in orders:
        before: frozenset[str] = frozenset()
        for family in order:
            after = before | {family}
            for coalition in (before, after):
                if coalition not in seen:
                    seen[coalition] = predict(coalition)
            total[:, explainer.families.index(family)] += seen[after] - seen[before]
            before = after
    return total / len(orders)


def game_of(explainer: Explainer, columns: dict[str, Any], rows: int) -> Game:
    return Game(explainer, inputs_from_columns(explainer.manifest, columns, rows), rows)


def test_trees_share_as_shap_says_of_the_booster(fitted: Fitted, columns: dict[str, Any]) -> None:
    explainer = load_explainer(fitted.folders["lightgbm"])
    rows = 50
    play = FormulaPlay(game_of(explainer, part(columns, 0, rows), rows))
    model = fitted.models["lightgbm"]
    booster = model.members.fitted["lightgbm"].trees.booster
    assert explainer.ready is not None
    matrix, typical = play.parts.matrix[:, :rows].T, explainer.ready.typical
    player_of = np.array(explainer.ready.player_of)
    for place in range(len(explainer.families)):
        mine = explainer.family_of == place
        everybody = (1 << len(explainer.families)) - 1 - (1 << place)
        links, error = play.shares(place, np.full(rows, everybody))
        assert not error.any()
        for row in range(0, rows, 10):
            without = np.where(mine[player_of], typical, matrix[row])[None, :]
            tree = shap.TreeExplainer(booster, data=without, feature_perturbation="interventional")
            values = tree.shap_values(matrix[row : row + 1], check_additivity=False)[0]
            by_player = np.zeros(len(explainer.players))
            np.add.at(by_player, player_of, values)
            # shap keeps values in single precision: 3e-7 of a sum of 80 leaves.
            assert np.abs(links[row] - model.slope * by_player).max() < 1e-4


def test_the_trees_see_the_matrix_that_they_learned_from(
    fitted: Fitted, columns: dict[str, Any]
) -> None:
    explainer = load_explainer(fitted.folders["lightgbm"])
    rows = len(columns["customer_id"])
    inputs = inputs_from_columns(explainer.manifest, columns, rows)
    numbers = {n: c.reshape(rows) for n, c in inputs.items() if c.dtype != object}
    texts = {n: c.reshape(rows) for n, c in inputs.items() if c.dtype == object}
    preprocessing = fitted.models["lightgbm"].members.preparation.preprocessing
    matrix = FormulaPlay(Game(explainer, inputs, rows)).parts.matrix[:, :rows].T
    assert texts
    np.testing.assert_array_equal(matrix, preprocessing.matrix(numbers, texts))


@pytest.mark.parametrize("kind", candidates())
def test_shares_in_logs_add_up_to_what_the_file_says_of_the_family(
    fitted: Fitted, columns: dict[str, Any], kind: str
) -> None:
    # Money adds up by `share_out` whatever the shares are, so it cannot show this.
    explainer = load_explainer(fitted.folders[kind])
    rows = len(columns["customer_id"])
    game = game_of(explainer, columns, rows)
    play, whole = FormulaPlay(game), WholePlay(game)
    lines, values = play.families()
    assert play.is_sum.mean() > 0.99
    from_file, _ = whole.families()
    assert np.abs(lines - from_file)[:, play.is_sum].max() < 1e-9
    np.testing.assert_array_equal(values[0], whole.families()[1][0])
    for place in range(len(explainer.families)):
        mine = explainer.family_of == place
        context = find_context(lines, place)
        links, _ = play.shares(place, context)
        effect = lines[context | (1 << place), np.arange(rows)] - lines[context, np.arange(rows)]
        assert links[:, mine].sum(axis=1) == pytest.approx(effect, abs=1e-9)  # double throughout
        assert (links[:, ~mine] == 0).all()


@pytest.mark.parametrize("kind", candidates())
def test_parts_share_as_all_coalitions_of_the_file_do(
    fitted: Fitted, columns: dict[str, Any], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The formula's parts, added up, are the values of the game that the whole file plays."""
    monkeypatch.setattr(play_module, "ENUMERATED", 12)
    explainer = load_explainer(fitted.folders[kind])
    rows = 5
    game = game_of(explainer, part(columns, 30, rows), rows)
    formula, whole = FormulaPlay(game), WholePlay(game)
    lines, _ = formula.families()
    checked = 0
    for place in range(len(explainer.families)):
        players = np.flatnonzero(explainer.family_of == place)
        if len(players) > 12:
            continue
        for context in (find_context(lines, place), np.full(rows, 0)):
            found, error = formula.shares(place, context)
            assert not error.any()
            assert np.abs(found - whole.enumerate(players, context)).max() < 1e-12
            checked += 1
    assert checked >= 4


def test_sampled_orders_find_what_the_trees_know_exactly(
    fitted: Fitted, columns: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = load_explainer(fitted.folders["lightgbm"])
    count = 100
    few = part(columns, 0, count)
    known = explain(exact, few, count)
    assert (known.standard_error == 0).all()
    off, told = [], []
    for seed in range(play_module.SEED, play_module.SEED + 6):
        monkeypatch.setattr(play_module, "SEED", seed)
        sampled = explain(replace(exact, ready=None), few, count)
        np.testing.assert_allclose(sampled.family_money, known.family_money, rtol=1e-9, atol=1e-9)
        off.append(np.mean((sampled.money - known.money) ** 2))
        told.append(np.mean(sampled.standard_error**2))
    # All customers share the drawn orders, so one draw says little of its own error: that of twelve
    # seeds on the sample shop was .6 to 2.1 times what was told, of all together 1.2 times.
    assert 0.6 < np.sqrt(np.mean(off) / np.mean(told)) < 1.8
    assert np.sqrt(np.max(off)) < 0.1 * np.sqrt(np.mean(known.money**2))


def test_trees_for_a_longer_horizon_than_their_labels_are_exact_too(
    fitted: Fitted, columns: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = fitted.models["lightgbm"]
    preparation = replace(trained.members.preparation, horizon_days=180)
    model = replace(trained, members=replace(trained.members, preparation=preparation))
    folder = store(model, fitted, tmp_path, replace(fitted.plan, horizon_days=180))
    explainer = load_explainer(folder)
    assert explainer.ready is not None
    assert explainer.ready.total.functions
    longer = {name: column for name, column in columns.items() if name != "horizon_days"}
    rows = len(columns["customer_id"])
    found = explain(explainer, longer, rows)
    assert found.baseline + found.money.sum(axis=1) == pytest.approx(found.predicted, rel=1e-9)
    assert not found.standard_error.any()
    game = game_of(explainer, part(longer, 30, 5), 5)
    formula, whole = FormulaPlay(game), WholePlay(game)
    context = find_context(formula.families()[0], 0)
    monkeypatch.setattr(play_module, "ENUMERATED", 12)
    players = np.flatnonzero(explainer.family_of == 0)[:12]
    assert len(players) == (explainer.family_of == 0).sum()
    expected = whole.enumerate(players, context)
    assert np.abs(formula.shares(0, context)[0] - expected).max() < 1e-12


def test_customers_at_the_most_that_is_predicted_are_explained_by_the_whole_file(
    fitted: Fitted, columns: dict[str, Any], tmp_path: Path
) -> None:
    model = fitted.models["ensemble"]
    rows = len(columns["customer_id"])
    usual = explain(load_explainer(fitted.folders["ensemble"]), columns, rows)
    bound = float(np.log(np.quantile(usual.predicted, 0.9)))
    folder = store(replace(model, log_highest=bound), fitted, tmp_path)
    explainer = load_explainer(folder)
    assert explainer.ready is not None
    play = FormulaPlay(game_of(explainer, columns, rows))
    play.families()
    assert 0.05 < 1 - play.is_sum.mean() < 0.5
    found = explain(explainer, columns, rows)
    whole = explain(replace(explainer, ready=None), columns, rows)
    assert found.predicted.max() == pytest.approx(np.exp(bound))
    np.testing.assert_allclose(found.family_money, whole.family_money, rtol=1e-9, atol=1e-9)
    at_bound = ~play.is_sum
    assert np.array_equal(found.money[at_bound], whole.money[at_bound])
    assert found.baseline + found.money.sum(axis=1) == pytest.approx(found.predicted, rel=1e-9)


def misread(kind: str) -> tuple[Any, Any]:
    """A graph of two features that is not what its nodes seem to say, and a manifest of it."""
    graph = Graph()
    matrix = graph.whole_blocks([graph.number_input("a"), graph.number_input("b")])
    a, b = graph.lines(matrix, 0, 1), graph.lines(matrix, 1, 2)
    total = graph.op("Add", a, b)
    if kind == "three bounds":
        total = graph.op("Min", total, 5.0, graph.op("Add", a, 0.2))
    elif kind == "a product":
        total = graph.op("Add", total, graph.op("Mul", a, b))
    elif kind == "not padded":
        hidden = graph.as_line(graph.double(graph.number_input("h")))
        of_all = graph.op("ReduceSum", hidden, graph.const([1], np.int64), keepdims=1)
        total = graph.op("Add", total, graph.op("Mul", of_all, 0.0))
    value = graph.op("Exp", total)
    graph.output("predicted_value", value)
    for name in OUTPUTS[1:]:
        graph.output(name, graph.op("Mul", value, 0.5))
    features = ("a", "b", "h") if kind == "not padded" else ("a", "b")
    return graph.to_bytes(kind), features


@pytest.mark.parametrize("kind", ["a sum", "a product", "three bounds", "not padded"])
def test_a_graph_that_looks_like_a_sum_is_explained_as_what_it_is(
    fitted: Fitted, kind: str, tmp_path: Path
) -> None:
    data, features = misread(kind)
    base = load_model(fitted.folders["mbgnbd"]).manifest
    manifest = replace(
        base,
        version="v",
        sha256=hashlib.sha256(data).hexdigest(),
        features=tuple(Feature(name, "number") for name in features),
        explanation=Explanation(
            {"a": 0.0, "b": 0.0}, {"a": "one", "b": "two"}, "log", "logarithmic mean"
        ),
        members=None,
    )
    explainer = load_explainer(store_model(tmp_path, data, manifest))
    assert (explainer.ready is not None) == (kind in ("a sum", "a product"))
    rows = {name: pa.array([0.5, 1.0, 0.0]) for name in features}
    found = explain(explainer, rows, 3)
    whole = explain(replace(explainer, ready=None), rows, 3)
    np.testing.assert_allclose(found.money, whole.money, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", [BASELINE, *candidates()])
def test_a_rows_explanation_does_not_depend_on_its_company(
    folders: Folders, columns: dict[str, Any], kind: str
) -> None:
    explainer = load_explainer(folders[kind])
    rows = 300
    whole = explain(explainer, part(columns, 0, rows), rows)
    for first, count in ((0, 1), (5, 1), (3, 100), (rows - 1, 1), (7, 0), (0, rows)):
        alone = explain(explainer, part(columns, first, count), count)
        for name in Attributions.__dataclass_fields__:
            assert np.array_equal(
                getattr(alone, name), getattr(whole, name)[first : first + count]
            ), (name, first, count)


def test_what_is_the_typical_customers_has_no_effect(
    folders: Folders, columns: dict[str, Any]
) -> None:
    explainer = load_explainer(folders["ensemble"])
    rows = len(columns["customer_id"])
    found = explain(explainer, columns, rows)
    differs = Game(explainer, inputs_from_columns(explainer.manifest, columns, rows), rows).differs
    assert 0.1 < differs.mean() < 0.95
    assert (found.money[~differs] == 0).all()
    assert (found.standard_error[~differs] == 0).all()
    # Sampling leaves less than a twentieth of what is told, or nobody should read it.
    error = np.sqrt((found.standard_error**2).mean())
    assert error < 0.05 * np.sqrt((found.money**2).mean())


@pytest.fixture
def con(sample_shop: Any) -> Any:
    connection = duckdb.connect(str(sample_shop.db), read_only=True)
    register(connection, models_dir=sample_shop.models_dir)
    yield connection
    unregister(connection)
    connection.close()


def test_sql_and_table_and_direct_call_agree_exactly(
    sample_shop: Any, con: Any, columns: dict[str, Any]
) -> None:
    explainer = load_explainer(sample_shop.model_folder)
    found = explain(explainer, columns, len(columns["customer_id"]))
    place = explainer.players.index("decayed_spend")
    queries = (
        "select customer_id, item.attribution from (select customer_id, "
        "unnest(cva_explain(f).feature_attributions) as item from customer_features as f) "
        "where item.feature = 'decayed_spend' order by customer_id",
        "select customer_id, attribution from customer_value_explain "
        "where feature = 'decayed_spend' order by customer_id",
    )
    for query in queries:
        got = con.execute(query).fetchnumpy()
        assert np.array_equal(np.asarray(list(got.values())[1]), found.money[:, place])


def test_features_come_in_order_of_rank(con: Any) -> None:
    wrong = con.execute(
        "select count(*) from (select customer_id, rank, abs(attribution) as size, lag(rank) over "
        "w as former_rank, lag(abs(attribution)) over w as former from customer_value_explain "
        "window w as (partition by customer_id order by rank)) "
        "where former < size or former_rank + 1 <> rank"
    ).fetchall()
    assert wrong == [(0,)]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("select * exclude (decayed_spend) from customer_features", "`decayed_spend` is missing"),
        ("select * replace ('x' as decayed_spend) from customer_features", "is string; expected"),
        ("select * replace (45 as horizon_days) from customer_features", "horizon_days is 45"),
    ],
)
def test_a_row_that_does_not_fit_is_named(con: Any, query: str, said: str) -> None:
    with pytest.raises(duckdb.Error, match=said):
        con.execute(f"select cva_explain(t) from ({query}) as t").fetchall()


def test_no_rows_and_null_rows_have_no_explanation(con: Any) -> None:
    query = "select cva_explain({}) from customer_features as f {}"
    assert con.execute(query.format("f", "where false")).fetchall() == []
    nothing = "case when false then f end"
    assert con.execute(query.format(nothing, "limit 2")).fetchall() == [(None,), (None,)]


@pytest.mark.parametrize("kind", candidates())
def test_the_prediction_is_the_geometric_mean_of_what_members_say_alone(
    fitted: Fitted, columns: dict[str, Any], kind: str
) -> None:
    model, folder = fitted.models[kind], fitted.folders[kind]
    rows, loaded = len(columns["customer_id"]), load_model(folder)
    inputs = inputs_from_columns(loaded.manifest, columns, rows)
    predicted = run_session(loaded, inputs, rows)["predicted_value"]
    members = loaded.manifest.members
    assert members is not None
    shares = model.members.shares(kind)
    assert members.weights == {name: shares[name] for name in members.weights}
    assert sum(members.weights.values()) == pytest.approx(1, abs=1e-12)
    found = predict_members(folder, loaded.manifest, columns, rows)
    mean = sum(members.weights[name] * logs for name, logs in found.items())
    below = mean < members.log_highest
    assert below.mean() > 0.99
    np.testing.assert_allclose(np.exp(mean)[below], predicted[below], rtol=1e-9)
    assert predicted[~below] == pytest.approx(np.exp(members.log_highest))
    # A row's do not depend on its company, and the same model is the same bytes.
    for first, count in ((0, 1), (7, 100), (rows - 1, 1)):
        alone = predict_members(folder, loaded.manifest, part(columns, first, count), count)
        for name, logs in found.items():
            assert np.array_equal(alone[name], logs[first : first + count])
    assert build_members(model) == (folder / MEMBERS_FILE).read_bytes()


def one_customer(columns: dict[str, Any], row: int) -> Any:
    return pa.StructArray.from_arrays(
        [column.slice(row, 1) for column in columns.values()], names=list(columns)
    )


def test_a_model_of_one_member_has_one_line_and_no_pull(
    folders: Folders, columns: dict[str, Any]
) -> None:
    row = one_customer(columns, 3)
    for kind in ("lightgbm", "decayed_spend"):
        folder = folders[kind]
        figures = predict_struct(load_model(folder), row)[0].as_py()
        (only,) = explain_members(folder, read_manifest(folder), row, figures)
        assert (only.name, only.weight, only.pull) == (kind, 1.0, None)
        assert only.predicted_value == pytest.approx(figures["predicted_value"], rel=1e-9)


def test_who_only_raises_what_is_at_its_most_pulls_nothing(
    fitted: Fitted, columns: dict[str, Any], tmp_path: Path
) -> None:
    low = replace(fitted.models["ensemble"], log_highest=-50.0)
    folder = store(low, fitted, tmp_path)
    row = one_customer(columns, 3)
    figures = predict_struct(load_model(folder), row)[0].as_py()
    predicted = figures["predicted_value"]
    assert predicted == pytest.approx(np.exp(-50.0))
    found = explain_members(folder, read_manifest(folder), row, figures)
    assert all(member.predicted_value > predicted for member in found)
    assert [member.pull for member in found] == pytest.approx([0.0] * len(found), abs=1e-30)
    assert member_lines(found, predicted)[-1].endswith("the model predicts 0.00 at most.")


def test_a_file_of_other_members_is_not_deployed(fitted: Fitted) -> None:
    model, now = fitted.models["ensemble"], fitted.examples.seen_from(fitted.plan.as_of)
    manifest = read_manifest(fitted.folders["ensemble"])
    check_members(model, build_members(model), manifest, now)
    other = build_members(replace(model, spend_shift=model.spend_shift + 0.01))
    with pytest.raises(ModelError, match=r"geometric mean differs by 1\.0e-02 from the"):
        check_members(model, other, manifest, now)


def test_a_model_from_before_explanations_says_what_to_do(folders: Folders, tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    (old / MODEL_FILE).write_bytes((folders["glm"] / MODEL_FILE).read_bytes())
    manifest = json.loads((folders["glm"] / MANIFEST_FILE).read_text())
    del manifest["explanation"]
    (old / MANIFEST_FILE).write_text(json.dumps(manifest))
    assert load_model(old).manifest.explanation is None
    with pytest.raises(ModelError, match="no typical customer to explain against; retrain with"):
        load_explainer(old)


def test_the_typical_customer_has_a_value_that_somebody_has() -> None:
    nan = np.nan
    cases: list[tuple[Callable[[Any], Any], list[Any], Any]] = [
        (typical_number, [3.0, 1.0, 2.0, 4.0], 2.0),
        (typical_number, [nan, nan, nan, 1.0], None),
        (typical_number, [nan, 5.0], 5.0),
        (typical_number, [], None),
        (typical_text, ["b", "a", "b"], "b"),
        (typical_text, ["b", "a"], "a"),
        (typical_text, ["", "", "a"], ""),
        (typical_text, [], ""),
    ]
    for function, column, expected in cases:
        dtype = np.float32 if function is typical_number else object
        assert function(np.array(column, dtype=dtype)) == expected


def test_every_row_is_explained_once(
    sample_shop: Any, con: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DuckDB calls a function again for a filter on its result, which would double a run."""
    explained, explain_struct = [], explained_rows.explain_struct

    def counted(explainer: Explainer, rows: Any) -> Any:
        explained.append(len(rows))
        return explain_struct(explainer, rows)

    monkeypatch.setattr(shop_explainer, "explain_struct", counted)
    folder = sample_shop.db.parent / ".cva" / "target" / "compiled"
    (model,) = folder.rglob("int_cva__customer_explanations.sql")
    con.execute(f"create temp table explained as ({model.read_text()})").fetchall()
    assert con.execute("select count(*) from explained").fetchall() == [(sum(explained),)]
    assert sum(explained) == sample_shop.run.customers


def test_a_model_from_before_explanations_scores_and_gives_no_reasons(
    sample_shop: Any, cva: Any, rows: Any, tmp_path: Path
) -> None:
    db = sample_shop.copy_to(tmp_path / "shop")
    file = db.parent / "cva_models" / "value" / sample_shop.model_folder.name / MANIFEST_FILE
    manifest = json.loads(file.read_text())
    del manifest["explanation"]
    file.write_text(json.dumps(manifest))
    with duckdb.connect(str(db)) as con:  # else what was explained before is kept
        con.execute("drop table main_cva.int_cva__customer_explanations")
    done = cva("run", "--db", db)
    assert done.returncode == 0, done.stderr
    counts = "select count(*), count(predicted_value), count(reason_1) from customer_value"
    assert rows(db, counts) == [(sample_shop.run.customers, sample_shop.run.customers, 0)]
    assert rows(db, "select count(*) from customer_value_explain") == [(0,)]
    filled = cva("explain", "--db", db)
    assert filled.returncode == 0, filled.stderr
    assert "no reasons: model" in filled.stderr
    assert ": 0 customers explained" in filled.stdout
