"""Optional families of features: each earns its weight, and costs nothing where it has none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from cva_sql.cli.train.report import describe_family
from cva_sql.models_onnx.kinds.contract import Past, TrainedKind
from cva_sql.models_onnx.kinds.value import Fitted, export_value, fit_value
from cva_sql.models_onnx.value.data.cutoffs import Plan
from cva_sql.models_onnx.value.data.dataset import Dataset
from cva_sql.models_onnx.value.data.terms import Terms
from cva_sql.models_onnx.value.members.registry import ENSEMBLE
from cva_sql.models_onnx.value.model.graph import build_members, build_model
from cva_sql.models_onnx.value.training.families import FamilyWeight
from cva_sql.models_onnx.value.training.fit import without_family
from cva_sql.models_onnx.value.training.runs import training_entries
from cva_sql.udfs.explain import explain
from cva_sql.udfs.explainer import is_as_the_file, load_explainer
from cva_sql.udfs.manifest import MEMBERS_FILE, parse_manifest
from tests.unit.test_value_model import AS_OF, CUSTOMERS, make_examples

PLAN = Plan(AS_OF, 90, 90, tuple(AS_OF - timedelta(days=90 + 30 * k) for k in range(9)))
OPTIONAL = {"mood": "likes", "tone": "likes", "region": "likes", "dust": "dice", "fog": "dice"}


def with_families(data: Dataset, link: float) -> Dataset:
    """Family `likes`, whose `mood` moves spend by `link`, and `dice`, which says nothing.

    Half of the customers have no `mood`; `taste` stays with the base.
    """
    random = np.random.default_rng(11)
    who = np.array([int(name[1:]) for name in data.customer_id])
    mood = np.round(random.normal(size=CUSTOMERS), 3)
    known = random.random(CUSTOMERS) < 0.7
    factor = np.exp(link * np.where(known, mood, 0.0))[who]
    numbers = {
        "mood": np.where(known, mood, np.nan)[who],
        "tone": random.normal(size=CUSTOMERS)[who],
        "dust": random.normal(size=len(data)),
        "fog": np.where(random.random(len(data)) < 0.5, np.nan, random.normal(size=len(data))),
    }
    region = np.array(["north", "south", ""], dtype=object)[random.integers(0, 3, CUSTOMERS)]
    return replace(
        data,
        numbers=data.numbers | {n: column.astype(np.float32) for n, column in numbers.items()},
        categories=data.categories | {"region": region[who]},
        label_value=data.label_value * factor,
        families=data.families | OPTIONAL,
        reason_families={"mood": "reviews", "tone": "reviews", "region": "attributes"},
        optional=OPTIONAL,
    )


@lru_cache(maxsize=4)
def examples(link: float = 0.8) -> Dataset:
    return with_families(make_examples(PLAN), link)


def past_of(data: Dataset, lines: list[str] | None = None) -> Past:
    said = lines if lines is not None else []
    return Past(None, "s", PLAN, date(2023, 1, 1), "shop.duckdb", data, None, said.append)  # type: ignore[arg-type]


def trained(data: Dataset, kind: str | None = ENSEMBLE) -> tuple[Fitted, TrainedKind]:
    past = past_of(data)
    found = fit_value(past, kind)
    exported = export_value(past, found)
    assert exported is not None
    return found, exported[0]


@lru_cache(maxsize=1)
def linked() -> tuple[Fitted, TrainedKind]:
    return trained(examples())


def weights_of(found: Fitted) -> Mapping[str, FamilyWeight]:
    return {one.family: one for one in found.choice.families}


def predictions(found: Fitted) -> dict[str, Any]:
    model = found.fitting.model
    assert model is not None
    return model.predict(found.rows.seen_from(AS_OF))


def test_a_strong_link_earns_a_weight_and_noise_none() -> None:
    found = weights_of(linked()[0])
    assert list(found) == ["dice", "likes"]
    assert found["dice"].scale == 0
    assert found["likes"].scale >= 0.5
    assert found["likes"].lower > 0
    # Weighed before the three dates that the gate judges.
    assert found["likes"].dates == PLAN.cutoffs[3:6]
    assert set(linked()[0].choice.dates).isdisjoint(found["likes"].dates)


def test_a_family_without_weight_is_no_input_and_a_cut_link_earns_little() -> None:
    _, model = linked()
    names = {feature.name for feature in model.manifest.features}
    assert {"mood", "tone", "region"} <= names
    assert not {"dust", "fog"} & names
    assert model.manifest.explanation is not None
    assert set(model.manifest.explanation.reference) == names
    cut = weights_of(trained(examples(0.0))[0])
    assert cut["likes"].scale <= 0.2


def test_without_any_weight_the_files_are_those_of_the_base_alone() -> None:
    data = examples()
    shuffled = replace(data, optional={"dust": "dice", "fog": "dice"})
    shuffled = shuffled.under(Terms(features_off=("mood", "tone", "region")))
    lean = replace(shuffled, terms=shuffled.terms).base()
    assert lean.optional_families == ()
    (found, with_dice), (_, base) = trained(shuffled), trained(lean)
    assert weights_of(found)["dice"].scale == 0
    assert with_dice.onnx == base.onnx
    assert with_dice.beside[MEMBERS_FILE] == base.beside[MEMBERS_FILE]
    assert "families" not in base.manifest.training


def test_families_that_are_off_leave_the_bytes_of_orders_alone() -> None:
    off = examples().under(Terms(features_off=tuple(sorted(OPTIONAL))))
    (found, model), (_, base) = trained(off), trained(examples().base())
    assert found.choice.families == ()
    assert model.onnx == base.onnx
    assert model.beside == base.beside


def test_the_total_is_as_forecast_with_and_without_a_family() -> None:
    found, _ = linked()
    model = found.fitting.model
    lean = without_family(found.fitting, "likes")
    assert model is not None
    assert lean is not None
    now = found.rows.seen_from(AS_OF)
    totals = [float(one.predict(now)["predicted_value"].sum()) for one in (model, lean)]
    assert totals == pytest.approx([model.forecast.total] * 2, rel=1e-6)
    # And the level step has as little to do as before: the correction has mean 1 by itself.
    assert model.spend_shift - lean.spend_shift == pytest.approx(0, abs=0.1)
    assert without_family(found.fitting, "dice") is model


def test_value_is_probability_times_value_if_purchase_and_quantiles_are_in_order() -> None:
    told = predictions(linked()[0])
    assert (told["predicted_value_p10"] <= told["predicted_value_p50"]).all()
    assert (told["predicted_value_p50"] <= told["predicted_value_p90"]).all()
    model = linked()[0].fitting.model
    assert model is not None
    if_purchase = told["predicted_value"] / told["purchase_probability"]
    assert (if_purchase <= model.largest_spend * (1 + 1e-9)).all()


def test_a_family_that_says_who_spends_more_makes_the_forecast_better_out_of_sample() -> None:
    found, _ = linked()
    with_it = np.mean([fold.scores[ENSEMBLE]["ngini"] for fold in found.fitting.folds])
    bases = [fold.base for fold in found.fitting.folds]
    without = np.mean([one.scores[ENSEMBLE]["ngini"] for one in bases if one])
    assert with_it > without + 0.01


def stored(model: TrainedKind, folder: Path) -> Path:
    folder.mkdir()
    (folder / "model.onnx").write_bytes(model.onnx)
    (folder / MEMBERS_FILE).write_bytes(model.beside[MEMBERS_FILE])
    (folder / "manifest.json").write_text(model.manifest.to_json(), encoding="utf-8")
    return folder


def test_attributions_with_a_family_in_are_exact(tmp_path: Path) -> None:
    found, model = linked()
    explainer = load_explainer(stored(model, tmp_path / "model"))
    assert explainer.ready is not None
    assert is_as_the_file(explainer)
    now = found.rows.seen_from(AS_OF)
    now = now.select(np.arange(len(now)) < 40)
    columns = {**now.numbers, **now.categories}
    inputs = {f.name: pa.array(columns[f.name]) for f in model.manifest.features}
    by_parts = explain(explainer, inputs, len(now))
    by_file = explain(replace(explainer, ready=None), inputs, len(now))
    total = by_parts.baseline + by_parts.money.sum(axis=1)
    np.testing.assert_allclose(total, by_parts.predicted, rtol=1e-9)
    for name in ("predicted", "family_money"):  # the whole file's: all coalitions of families
        one, other = getattr(by_parts, name), getattr(by_file, name)
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-8)
    likes = [explainer.players.index(name) for name in ("mood", "tone", "region")]
    assert (np.abs(by_parts.money[:, likes]).sum(axis=1) > 0).any()


def test_members_make_up_the_corrected_prediction() -> None:
    # check_members has held their geometric mean against the model; a family moves all alike.
    found, model = linked()
    assert model.manifest.members is not None
    assert sum(model.manifest.members.weights.values()) == pytest.approx(1)
    fitted = found.fitting.model
    assert fitted is not None
    assert build_members(fitted) == model.beside[MEMBERS_FILE]
    assert b"mood" in model.beside[MEMBERS_FILE]


def test_the_same_examples_give_the_same_bytes() -> None:
    again = trained(examples())[1]
    assert again.onnx == linked()[1].onnx
    assert again.manifest.to_json() == linked()[1].manifest.to_json()


def test_what_each_family_counts_is_kept_and_said() -> None:
    found, model = linked()
    facts = parse_manifest(model.manifest.to_json()).training["families"]
    assert [one["family"] for one in facts] == ["dice", "likes"]
    assert json.loads(json.dumps(facts)) == facts
    dice, likes = (describe_family(one) for one in facts)
    assert dice.startswith("dice: scale 0.0; in full it would have added ")
    assert likes.startswith(f"likes: scale {facts[1]['scale']:.1f}; adds +")
    assert likes.endswith(" on 2024-07-05, 2024-06-05, 2024-05-06")
    assert "\n" not in dice + likes
    entries = [e for e in training_entries(model.manifest, found.choice) if e.kind == "family"]
    assert {(e.model, e.name) for e in entries} == {
        (family, name)
        for family in ("dice", "likes")
        for name in ("scale", "gain", "lower", "upper", "date")
    }


def test_without_an_earlier_date_no_family_has_earned_a_weight() -> None:
    data = examples()
    plan = replace(PLAN, cutoffs=PLAN.cutoffs[:5])
    lines: list[str] = []
    past = replace(past_of(data, lines), plan=plan)
    found = fit_value(past, ENSEMBLE)
    weights = weights_of(found)
    assert [one.scale for one in weights.values()] == [0, 0]
    assert "likes: scale 0.0, as there is no date to weigh it on before those that are judged" in (
        lines
    )


@pytest.mark.parametrize("sign", [1, -1])
def test_a_direction_is_held_by_a_family_too(sign: int) -> None:
    data = examples().under(Terms({"mood": sign}))
    found, _ = trained(data)
    corrections = found.fitting.members
    assert corrections is not None
    for one in corrections.preparation.corrections:
        place = one.columns.preprocessing.numbers.index("mood")
        for part in (one.spend, one.purchase):
            assert part.coefficients[place] * sign >= 0


def test_a_kind_that_was_asked_for_is_corrected_itself() -> None:
    found, model = trained(examples(), "glm")
    members = found.fitting.members
    assert members is not None
    assert members.corrected == "glm"
    assert "mood" in {feature.name for feature in model.manifest.features}
    rule, of_rule = trained(examples(), "past_spend")
    assert rule.fitting.model is not None
    assert rule.fitting.model.members.preparation.corrections == ()
    assert "mood" not in {feature.name for feature in of_rule.manifest.features}
    assert build_model(rule.fitting.model) == of_rule.onnx
