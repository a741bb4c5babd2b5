"""The back-test: members, benchmarks, deciles, coverage, ablation, verdicts, training runs."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from types import SimpleNamespace

import duckdb
import numpy as np
import pytest

from cva_sql.cli.evaluate.evaluation import decile_rows, metric_rows
from cva_sql.cli.evaluate.report import WIDTH, describe
from cva_sql.models_onnx.value.backtesting import backtest as backtesting
from cva_sql.models_onnx.value.backtesting.ablation import predictor_without
from cva_sql.models_onnx.value.backtesting.backtest import MODEL, Backtest, backtest, names_of_kinds
from cva_sql.models_onnx.value.backtesting.benchmarks import BENCHMARKS, LIFETIMES
from cva_sql.models_onnx.value.data.cutoffs import Plan
from cva_sql.models_onnx.value.data.dataset import RULE_COLUMNS, Dataset
from cva_sql.models_onnx.value.data.shop_past import Outlier
from cva_sql.models_onnx.value.estimators.curves import CurvePoint
from cva_sql.models_onnx.value.estimators.lifetimes import expect
from cva_sql.models_onnx.value.judging import metrics as metrics
from cva_sql.models_onnx.value.judging.bootstrap import Metric, Sample, evaluate, mean_differences
from cva_sql.models_onnx.value.judging.deciles import (
    mean_deciles,
    measure_deciles,
    tier_masks,
    value_order,
)
from cva_sql.models_onnx.value.judging.verdicts import (
    figures_verdict,
    gain_verdict,
    ranking_verdict,
)
from cva_sql.models_onnx.value.members.registry import ENSEMBLE, parts, weights
from cva_sql.models_onnx.value.training import choice as choosing
from cva_sql.models_onnx.value.training.choice import Choice, choose
from cva_sql.models_onnx.value.training.examples import fit_members
from cva_sql.models_onnx.value.training.learning import prepare_learning
from cva_sql.models_onnx.value.training.runs import (
    COLUMNS,
    Run,
    append_training_run,
    training_entries,
)
from cva_sql.models_onnx.value.training.validation import validate

AS_OF = date(2025, 1, 1)
CUSTOMERS = 300
CALIBRATED = "mbgnbd_calibrated"
PLANS = [
    Plan(day, 90, 90, tuple(day - timedelta(days=90 + 30 * k) for k in range(5)))
    for day in (AS_OF, AS_OF + timedelta(days=90))
]
ROUNDING = 1e-9  # relative: sums of the same terms in another order


@lru_cache(maxsize=1)
def make_examples() -> Dataset:
    """Customers who differ in a `taste`, which no rule knows, and in how often they bought."""
    random = np.random.default_rng(7)
    taste = random.normal(size=CUSTOMERS)
    days = sorted({day for plan in PLANS for day in (*plan.cutoffs, plan.as_of)})
    parts: dict[str, list[np.ndarray]] = {}
    for _ in days:
        decayed = random.gamma(1.0, 40.0, CUSTOMERS)
        rate = np.exp(0.9 * taste) * (0.3 + decayed / 100)
        bought, t_days = 1.0 + random.poisson(rate), random.integers(100, 600, CUSTOMERS) * 1.0
        order_mean, orders = random.gamma(4.0, 8.0, CUSTOMERS), random.poisson(rate * 0.5)
        row = {
            "taste": taste,
            "decayed_spend": decayed,
            "decayed_spend_30d": decayed * random.random(CUSTOMERS),
            "spend_horizon_1": decayed * random.random(CUSTOMERS),
            "frequency": bought - 1.0,
            "days_since_last_order": t_days
            - np.where(bought > 1, t_days * random.random(CUSTOMERS), 0.0),
            "t_days": t_days,
            "order_days_count": bought,
            "orders_count": bought,
            "historic_value": bought * order_mean,
            "monetary_value": np.where(bought > 1, order_mean, np.nan),
            "first_order_day_amount": order_mean,
            "order_max_amount": 1.5 * order_mean,
            "value": orders * random.gamma(4.0, 8.0, CUSTOMERS),
            "orders": orders * 1.0,
        }
        for name, column in row.items():
            parts.setdefault(name, []).append(column)
    columns = {name: np.concatenate(part) for name, part in parts.items()}
    rows = len(days) * CUSTOMERS
    value, orders = columns.pop("value"), columns.pop("orders")
    rules = {name: columns["decayed_spend"] for name in RULE_COLUMNS} | {
        "days_since_last_order": random.integers(1, 200, rows).astype(float),
        "shop_spend_level": np.ones(rows),
        "shop_retention_rate": np.full(rows, 0.8),
        "shop_history_days": np.full(rows, 700.0),
    }
    return Dataset(
        customer_id=np.array([f"c{i % CUSTOMERS:03}" for i in range(rows)], dtype=object),
        as_of_date=np.repeat([np.datetime64(day, "D") for day in days], CUSTOMERS),
        label_days=np.full(rows, 90),
        numbers={name: column.astype(np.float32) for name, column in columns.items()},
        categories={},
        label_value=value,
        label_orders=orders,
        rules=rules,
    )


@lru_cache(maxsize=1)
def evaluated() -> Backtest:
    return backtest(make_examples(), PLANS, 40, lambda _: None, is_ablated=True)


def test_members_and_peers_stand_beside_the_model_and_the_rules() -> None:
    names = list(evaluated().metrics)
    assert names[:2] == [MODEL, ENSEMBLE]
    assert names_of_kinds()["mbgnbd"] == CALIBRATED
    assert set(names) >= {
        *names_of_kinds().values(),
        *BENCHMARKS,
        "baseline",
        "decayed_spend",
        "rfm_quintiles",
    }
    assert set(evaluated().rules).isdisjoint({MODEL, *names_of_kinds().values(), *BENCHMARKS})
    for name in (MODEL, *LIFETIMES):
        assert "coverage_p90_positive_high" in evaluated().metrics[name][1]
    assert "brier" not in evaluated().metrics["ridge"][1]


def test_a_model_that_is_deployed_is_its_ensemble_or_a_member_far_ahead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A taste that past spend knows nothing of: the ensemble's rule and buy till you die spoil it.
    alone = evaluated()
    monkeypatch.setattr(choosing, "MEMBER_LEAD", 0.1)
    together = backtest(make_examples(), PLANS[:1], 0, lambda _: None)
    for result, name, said in (
        (alone, "glm", "glm alone"),
        (together, ENSEMBLE, "ensemble explains"),
    ):
        ours, its = (result.metrics[which][0][0] for which in (MODEL, name))
        assert {n: m.value for n, m in ours.items()} == {n: m.value for n, m in its.items()}
        assert any(str(PLANS[0].as_of) in v and said in v for v in result.verdicts)


def test_buy_till_you_die_keeps_its_own_total_and_the_member_has_the_forecast_one() -> None:
    plan, data = PLANS[0], make_examples()
    test = data.at([plan.as_of], 90)
    own = expect(prepare_learning(data, plan).lifetimes[plan.as_of], test.numbers, 90)
    by_date = {name: evaluated().metrics[name][0][0] for name in ("mbgnbd", CALIBRATED, ENSEMBLE)}
    expected = metrics.bias(test.label_value, own.spend)
    assert by_date["mbgnbd"]["bias"].value == pytest.approx(expected, rel=ROUNDING)
    assert by_date[CALIBRATED]["bias"].value == pytest.approx(by_date[ENSEMBLE]["bias"].value)
    assert by_date["mbgnbd"]["ngini"].value == pytest.approx(
        by_date[CALIBRATED]["ngini"].value, abs=1e-3
    )  # the member's floor of spend reorders nobody here but for rounding


def test_the_back_test_repeats_itself() -> None:
    again = backtest(make_examples(), PLANS[:1], 0, lambda _: None)
    for name, (by_date, _) in again.metrics.items():
        first = evaluated().metrics[name][0][0]
        assert {n: m.value for n, m in by_date[0].items()} == {n: m.value for n, m in first.items()}


def test_ingredients_are_differences_from_the_ensemble() -> None:
    found = evaluated().ablation
    assert set(found) >= {"member glm", "member decayed", "logistic pair", "slope"}
    assert set(found) >= {"own past labels", "decayed spends", "total in intervals"}
    nothing = {name: found[name]["ngini"].value for name in ("own total: lifetimes'", "slope")}
    assert nothing == pytest.approx({name: 0.0 for name in nothing}, abs=ROUNDING)
    assert found["logistic pair"]["brier"].value != 0
    assert found["logistic pair"]["mae"].value == pytest.approx(0, abs=ROUNDING)
    assert found["total in intervals"]["mae"].value == 0
    assert found["total in intervals"]["pinball_p90"].value != 0
    assert found["member glm"]["ngini"].value != 0


def test_a_linear_predictor_without_a_part_is_the_mean_of_the_others() -> None:
    plan, data = PLANS[0], make_examples()
    learning = prepare_learning(data, plan)
    members = fit_members(learning, plan.cutoffs, plan.as_of, 180)
    rows = members.preparation.apply(data.at([plan.as_of], 90))
    names = (ENSEMBLE, *parts())
    predictors = {name: members.linear_predictor(rows, name) for name in names}
    decayed = rows.log_decayed + rows.spend_extrapolation
    assert predictors["decayed"] == pytest.approx(decayed, rel=ROUNDING)
    assert sum(parts().values()) == pytest.approx(1, rel=ROUNDING)
    others = sum(share * predictors[part] for part, share in parts().items() if part != "hurdle")
    trust = members.shrinkage.trust
    assert 0.5 < trust < 1
    alone = others / (1 - weights(ENSEMBLE)["hurdle"])
    expected = trust * alone + (1 - trust) * predictors["decayed"]
    without = predictor_without(predictors, "hurdle", trust)
    assert without == pytest.approx(expected, rel=ROUNDING)


def test_rows_of_the_tables_are_plain_and_differences_have_their_own() -> None:
    result = evaluated()
    rows = metric_rows(result)
    models = {row["model"] for row in rows}
    assert {"cva less mbgnbd", "ensemble without slope"} <= models
    assert sum(model.startswith("cva less") for model in models) == 2
    deciles = decile_rows(result)
    assert {row["as_of_date"] for row in deciles} == {*(str(p.as_of) for p in PLANS), None}
    assert {row["model"] for row in deciles} == {MODEL, *BENCHMARKS}
    json.dumps([*rows, *deciles])


def test_printed_tables_fit_and_an_ablation_leaves_the_dates_out() -> None:
    lines = describe(evaluated()).splitlines()
    assert "mean over the dates" in lines
    assert not any(line.endswith("customers)") for line in lines)
    assert max(map(len, lines)) <= WIDTH + 5
    title = next(line for line in lines if line.startswith("without "))
    assert {"nGini", "R²", "MAE", "dMAPE", "|bias|", "Brier"} <= set(title.split())
    plain = describe(replace(evaluated(), ablation={})).splitlines()
    assert sum(line.endswith("customers)") for line in plain) == len(PLANS)
    assert sum(line.startswith("random_forest") for line in plain) == len(PLANS) + 1
    assert not any(line.startswith(CALIBRATED) for line in plain)


def test_with_too_few_examples_the_rule_stands_alone() -> None:
    data = make_examples()
    few = data.select(np.isin(data.customer_id.astype(str), ["c000", "c001"]))
    result = backtest(few, PLANS[:1], 5, lambda _: None, is_ablated=True)
    assert set(result.metrics) == {MODEL, *result.rules}
    assert "too few examples" in result.verdicts[0]
    assert result.ablation == {}
    describe(result)


def test_where_the_resampling_is_said_a_line_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backtesting, "QUIET_SECONDS", 0.0)
    few = make_examples().select(make_examples().customer_id < "c010")
    said: list[str] = []
    names = list(backtest(few, PLANS[:1], 0, said.append).metrics)
    lines = said[said.index("bootstrapping") + 1 :]
    assert lines == [f"bootstrapping {n}/{len(names)} {name}" for n, name in enumerate(names, 1)]


def test_with_too_few_to_judge_the_ensemble_scores_and_says_how_little_is_known() -> None:
    data = make_examples()
    few = data.select(np.char.startswith(data.customer_id.astype(str), "c00"))
    result = backtest(few, PLANS[:1], 5, lambda _: None)
    assert "ensemble is not judged" in result.verdicts[0]
    assert "and decayed_spend the rest" in result.verdicts[0]
    ours, rule = (result.metrics[name][1] for name in (MODEL, "decayed_spend"))
    assert ours["ngini"].value == pytest.approx(rule["ngini"].value, abs=0.05)
    describe(result)


def test_deciles_are_tenths_by_prediction_with_ties_by_customer() -> None:
    ids = np.array([f"c{i:02}" for i in range(20)], dtype=object)[::-1]
    actual = np.arange(20.0)
    found = measure_deciles(AS_OF, "m", ids, actual, np.ones(20), None)
    assert [d.customers for d in found] == [2] * 10
    assert found[0].actual_value == 18.5  # c00 and c01 have the last rows
    assert found[0].lift == pytest.approx(18.5 / 9.5)
    assert found[0].purchase_probability is None
    assert found[-1].capture == pytest.approx(1)
    assert found[-1].buyers_rate == 0.5
    assert list(value_order(actual, None)) == list(range(19, -1, -1))


def test_fewer_customers_than_deciles_leave_some_out() -> None:
    found = measure_deciles(
        AS_OF, "m", np.array(list("abc"), dtype=object), np.zeros(3), np.arange(3.0), np.ones(3)
    )
    assert sum(d.customers for d in found) == 3
    assert all(math.isnan(d.lift) for d in found)


def test_means_of_deciles_have_a_chance_only_where_every_date_has() -> None:
    ids, spend = np.arange(10).astype(str).astype(object), np.arange(10.0)
    one = measure_deciles(AS_OF, "m", ids, spend, spend, np.full(10, 0.2))
    other = measure_deciles(AS_OF, "m", ids, 3 * spend, spend, None)
    means = mean_deciles([*one, *other])
    assert [d.decile for d in means] == list(range(1, 11))
    assert means[0].actual_value == 18
    assert means[0].purchase_probability is None
    assert mean_deciles(one)[0].purchase_probability == 0.2


def test_tiers_are_a_fifth_three_tenths_and_the_rest() -> None:
    ids = np.arange(100).astype(str).astype(object)
    masks = tier_masks(np.arange(100.0), ids)
    assert {name: int(mask.sum()) for name, mask in masks.items()} == {
        "high": 20,
        "medium": 30,
        "low": 50,
    }
    assert masks["high"][80:].all()


def test_coverage_by_group_counts_that_group_alone() -> None:
    predicted = np.arange(10.0)
    p90 = np.where(predicted >= 5, 2.0, 0.0)
    actual = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1, 3.0])
    sample = Sample(actual, predicted, quantiles={0.1: np.zeros(10), 0.9: p90})
    found = {n: m.value for n, m in evaluate(sample, replicates=0).items()}
    assert found["coverage_p90"] == pytest.approx(0.8)
    assert found["coverage_p90_positive"] == pytest.approx(0.8)
    assert found["coverage_p90_high"] == pytest.approx(0.5)
    assert found["coverage_p90_low"] == pytest.approx(0.8)
    assert math.isnan(found["coverage_p90_positive_low"])
    assert found["coverage_p10_positive"] == 0


def test_differences_over_dates_share_their_draws_and_know_absolute_bias() -> None:
    random = np.random.default_rng(0)
    actual = random.gamma(1.0, 30.0, 200)
    base = [Sample(actual, actual * factor) for factor in (1.2, 0.8)]
    right = [Sample(actual, actual)] * 2
    found = mean_differences(base, {"a": right, "b": right}, ["abs_bias", "brier"], replicates=20)
    assert found["a"]["abs_bias"].value == pytest.approx(-0.2)
    assert found["a"]["abs_bias"] == found["b"]["abs_bias"]
    assert math.isnan(found["a"]["brier"].value)


@pytest.mark.parametrize(
    ("lower", "upper", "said"),
    [
        (0.001, 0.003, "cva ranks above the best rule x"),
        (-0.001, 0.003, "cva ranks like the best rule x"),
        (-0.003, -0.001, "rule x wins: over the dates cva ranks below it"),
        (math.nan, math.nan, "no replicates, so no verdict"),
    ],
)
def test_verdict_says_who_wins(lower: float, upper: float, said: str) -> None:
    middle = 0.002 if math.isnan(lower) else (lower + upper) / 2
    difference = Metric("ngini_difference", middle, lower, upper)
    assert said in ranking_verdict("cva", "x", difference, is_rule=True)


@pytest.mark.parametrize(
    ("lower", "upper", "said"),
    [
        (0.001, 0.003, "reviews add +0.0020 nGini"),
        (-0.001, 0.003, "reviews add nothing that can be told from chance here"),
        (-0.003, -0.001, "reviews make the ranking worse, by -0.0020 nGini"),
    ],
)
def test_gain_is_said_as_far_as_its_interval_tells(lower: float, upper: float, said: str) -> None:
    gain = Metric("ngini_difference", (lower + upper) / 2, lower, upper)
    assert gain_verdict("reviews", gain).startswith(said)


def test_rules_that_are_better_on_a_figure_are_named() -> None:
    def means(**values: float) -> dict[str, Metric]:
        names = ("spearman", "ngini", "top_capture", "mae", "r2", "decile_mape", "abs_bias")
        return {n: Metric(n, values.get(n, 0.5), math.nan, math.nan) for n in names}

    ours = means()
    assert figures_verdict("cva", {"cva": ours, "x": means()}, ["x"]).startswith("no rule has")
    better = {"cva": ours, "x": means(mae=0.4, spearman=0.4), "y": means(spearman=0.6)}
    said = figures_verdict("cva", better, ["x", "y"])
    assert said == "a rule has the better Spearman (y 0.600, cva 0.500), MAE (x 0.400, cva 0.500)"


POINTS = (CurvePoint("lightgbm", 1, 0.5),)


def choice(dates: tuple[date, ...]) -> Choice:
    return Choice(ENSEMBLE, True, "it is better", {"glm": {"ngini": 0.7}}, dates, (0.1,), POINTS)


def test_curves_fall_over_the_rounds_on_rows_not_learned_from() -> None:
    folds = validate(prepare_learning(make_examples(), PLANS[1]), lambda _: None)
    curves = choose(folds).curves
    assert {point.model for point in curves} == {"lightgbm", "hurdle"}
    losses = [point.loss for point in curves if point.model == "lightgbm"]
    assert [p.rounds for p in curves if p.model == "lightgbm"][-1] == 80
    assert 10 <= len(losses) <= 15
    assert min(losses) < losses[0]
    assert choose([]).curves == ()


def test_training_runs_are_added_to_those_before_with_every_column_described() -> None:
    training = {
        "kind": ENSEMBLE,
        "label_days": 90,
        "cutoff_dates": ["2024-10-03", "2024-09-03"],
        "total_forecast": {"total": 10.0, "former_year": None, "backtest_log_errors": [0.1]},
        "lifetimes": {"dropout": {"r": 0.2, "report": "3 of 3"}, "largest_order": float("inf")},
        "outliers": {"count": 1, "spend": [1e9]},
    }
    manifest = SimpleNamespace(training=training)
    outliers = [Outlier("c1", 1e9)]
    entries = training_entries(manifest, choice((AS_OF,)), outliers)  # type: ignore[arg-type]
    run = Run(datetime(2025, 1, 2, 3), "v1", PLANS[0], True, "it is better")
    with duckdb.connect() as con:
        append_training_run(con, "main", run, entries)
        append_training_run(con, "main", replace(run, model_version=None), [])
        count, runs = con.execute(
            "select count(*), count(distinct coalesce(model_version, '')) from cva_training_runs"
        ).fetchall()[0]
        assert (count, runs) == (len(entries) + 1, 2)
        found = con.execute(
            "select name, step, value, text from cva_training_runs where kind = 'setting' "
            "and name in ('cutoff_date', 'outlier', 'report', 'largest_order', 'former_year') "
            "order by name, step"
        ).fetchall()
        assert found == [
            ("cutoff_date", 1, None, "2024-10-03"),
            ("cutoff_date", 2, None, "2024-09-03"),
            ("former_year", None, None, None),
            ("largest_order", None, None, None),
            ("outlier", 1, 1e9, "c1"),
            ("report", None, None, "3 of 3"),
        ]
        described = con.execute("select count(comment) from duckdb_columns() where not internal")
        assert described.fetchall() == [(len(COLUMNS),)]
