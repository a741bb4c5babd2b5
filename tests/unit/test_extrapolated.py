"""Which scores are flagged as beyond what was learned from, and which only grew old."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pytest

from cva_sql.models_onnx.value.data.dataset import Dataset
from cva_sql.models_onnx.value.model.graph import build_model
from cva_sql.models_onnx.value.training.fit import fit_model
from cva_sql.models_onnx.value.training.manifest import build_manifest
from cva_sql.udfs.changes import predict_changed
from cva_sql.udfs.manifest import Feature, Manifest, parse_manifest
from cva_sql.udfs.predict import predict_struct
from cva_sql.udfs.ranges import is_extrapolated
from cva_sql.udfs.sessions import ValueModel, baseline_folder, load_model, open_session
from tests.unit.test_value_model import AS_OF, PLAN, make_examples

NEWEST = date(2025, 3, 1)
MANIFEST = Manifest(
    name="value",
    version="v",
    sha256="0" * 64,
    features=(
        Feature("spend", "number", low=1.0, high=10.0),
        Feature("age_days", "number", low=2.0, high=100.0, by_itself="grows"),
        Feature("faded", "number", low=0.5, high=7.0, by_itself="fades"),
        Feature("never_known", "number"),
        Feature("country", "category", ("DE",)),
    ),
    horizon_days=90,
    is_baseline=False,
    opset=17,
    training={"as_of": "2025-05-30", "cutoff_dates": ["2025-01-01", NEWEST.isoformat()]},
    evaluation={},
)


def flagged(
    spend: float = 5, age: float = 50, faded: float = 5, as_of: pa.Array | None = None
) -> bool:
    inputs = {
        "spend": np.array([[spend]], dtype=np.float32),
        "age_days": np.array([[age]], dtype=np.float32),
        "faded": np.array([[faded]], dtype=np.float32),
        "never_known": np.array([[3]], dtype=np.float32),
        "country": np.array([["XX"]], dtype=object),
    }
    found = is_extrapolated(MANIFEST, inputs, as_of, 1)
    assert found is not None
    return bool(found[0])


def test_a_number_below_the_least_or_above_the_largest_is_beyond() -> None:
    assert not flagged()
    assert not flagged(spend=1)
    assert not flagged(spend=10)
    assert flagged(spend=0.99)
    assert flagged(spend=10.01)
    assert not flagged(spend=float("nan"))


def test_who_only_grew_older_is_not_beyond() -> None:
    days = [NEWEST, NEWEST + timedelta(days=400), NEWEST - timedelta(days=30)]
    for kind in (pa.date32(), pa.timestamp("us")):
        newest, later, before = (pa.array([day]).cast(kind) for day in days)
        assert not flagged(age=100, as_of=newest)
        assert flagged(age=101, as_of=newest)
        assert not flagged(age=500, as_of=later)
        assert flagged(age=501, as_of=later)
        assert flagged(age=101, as_of=before)
    # Without a date, as on the day that the model was made for: 90 days later.
    for unknown in (None, pa.array([None], pa.date32()), pa.array(["2030-01-01"])):
        assert not flagged(age=190, as_of=unknown)
        assert flagged(age=191, as_of=unknown)
    assert flagged(age=1)


def test_what_faded_is_not_beyond() -> None:
    assert not flagged(faded=1e-9)
    assert not flagged(faded=0)
    assert flagged(faded=-1)
    assert flagged(faded=7.1)


@lru_cache(maxsize=1)
def trained() -> tuple[Dataset, ValueModel]:
    data = replace(make_examples(PLAN), by_itself={"t_days": "grows", "decayed_spend": "fades"})
    fitting = fit_model(data, PLAN, lambda _: None, "ensemble")
    assert fitting.model is not None
    onnx = build_model(fitting.model)
    manifest = build_manifest(
        fitting.model,
        onnx,
        PLAN,
        fitting.choice,
        date(2023, 1, 1),
        learned=fitting.learning.at(PLAN.cutoffs),
    )
    return data, ValueModel(parse_manifest(manifest.to_json()), open_session(onnx))


def struct_of(rows: Dataset) -> pa.StructArray:
    columns = {name: pa.array(column, from_pandas=True) for name, column in rows.numbers.items()}
    columns |= {name: pa.array(column.tolist()) for name, column in rows.categories.items()}
    columns["as_of_date"] = pa.array(rows.as_of_date)
    return pa.StructArray.from_arrays(list(columns.values()), names=list(columns))


def test_ranges_are_those_of_the_examples_and_no_example_is_beyond() -> None:
    data, model = trained()
    learned = data.at(PLAN.cutoffs, 90)
    by_name = {feature.name: feature for feature in model.manifest.features}
    for name in ("taste", "historic_value", "t_days"):
        column = learned.numbers[name]
        found = by_name[name]
        assert (found.low, found.high) == (np.nanmin(column), np.nanmax(column))
    assert by_name["t_days"].by_itself == "grows"
    assert by_name["decayed_spend"].by_itself == "fades"
    assert by_name["country"].low is None
    flags = predict_struct(model, struct_of(learned)).field("is_extrapolated")
    assert flags.to_pylist() == [False] * len(learned)


def test_a_row_that_is_beyond_is_flagged_and_what_if_says_so_too() -> None:
    data, model = trained()
    now = data.seen_from(AS_OF)
    calm = replace(now, numbers={**now.numbers, "taste": np.clip(now.numbers["taste"], -1, 1)})
    rows = struct_of(calm)
    before = predict_struct(model, rows).field("is_extrapolated").to_pylist()
    assert sum(before) < 0.05 * len(before)
    changes = pa.StructArray.from_arrays([pa.array(["=99"] * len(rows))], names=["taste"])
    after = predict_changed(model, rows, changes).field("is_extrapolated").to_pylist()
    assert after == [True] * len(rows)


@pytest.mark.parametrize("kind", ["decayed_spend", "rfm_quintiles"])
def test_a_rule_has_no_ranges(kind: str) -> None:
    data, _ = trained()
    fitting = fit_model(data, PLAN, lambda _: None, kind)
    assert fitting.model is not None
    onnx = build_model(fitting.model)
    learned = fitting.learning.at(PLAN.cutoffs)
    manifest = build_manifest(
        fitting.model, onnx, PLAN, fitting.choice, date(2023, 1, 1), learned=learned
    )
    assert '"low"' not in manifest.to_json()
    model = ValueModel(manifest, open_session(onnx))
    flags = predict_struct(model, struct_of(data.seen_from(AS_OF))).field("is_extrapolated")
    assert flags.null_count == len(flags)


def test_the_packaged_rule_and_a_manifest_of_before_have_none_either() -> None:
    packaged = load_model(baseline_folder())
    names = [feature.name for feature in packaged.manifest.features]
    rows = pa.StructArray.from_arrays([pa.array([1.0])] * len(names), names=names)
    assert predict_struct(packaged, rows)[0].as_py()["is_extrapolated"] is None
    data, model = trained()
    before = replace(
        model.manifest,
        features=tuple(Feature(f.name, f.kind, f.values) for f in model.manifest.features),
    )
    old = ValueModel(parse_manifest(before.to_json()), model.session)
    found = predict_struct(old, struct_of(data.seen_from(AS_OF)))
    assert found.field("is_extrapolated").null_count == len(found)


@pytest.mark.parametrize(
    ("part", "value"),
    [("low", None), ("high", "9"), ("low", 1e9), ("by_itself", "shrinks")],
)
def test_a_range_that_is_none_is_refused(part: str, value: object) -> None:
    text = MANIFEST.to_json()
    given = {"low": '"low": 1.0', "high": '"high": 10.0', "by_itself": '"by_itself": "grows"'}[part]
    shown = {None: "null", "9": '"9"', 1e9: "1e9", "shrinks": '"shrinks"'}[value]
    with pytest.raises(ValueError, match="features is list, expected a list"):
        parse_manifest(text.replace(given, f'"{part}": {shown}', 1))
