"""Temporal back-test: at each date train on what was known, predict, compare with what came."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from cva_sql.models_onnx.value.arrays import Floats
from cva_sql.models_onnx.value.backtesting.ablation import FIGURES, ablate
from cva_sql.models_onnx.value.backtesting.benchmarks import BENCHMARKS, predict_benchmarks
from cva_sql.models_onnx.value.data.cutoffs import Plan
from cva_sql.models_onnx.value.data.dataset import Dataset
from cva_sql.models_onnx.value.graph.builder import Q_LEVELS
from cva_sql.models_onnx.value.judging.bootstrap import (
    Metric,
    Sample,
    evaluate_dates,
    mean_differences,
)
from cva_sql.models_onnx.value.judging.deciles import Decile, mean_deciles, measure_deciles
from cva_sql.models_onnx.value.judging.verdicts import (
    figure,
    figures_verdict,
    gain_verdict,
    ranking_verdict,
)
from cva_sql.models_onnx.value.members.registry import ENSEMBLE, kinds, network_names
from cva_sql.models_onnx.value.training.families import has_family
from cva_sql.models_onnx.value.training.fit import (
    Fitting,
    finish_model,
    fit_model,
    without_family,
)
from cva_sql.models_onnx.value.training.validation import RULE, Report, reference_predictions

MODEL = "cva"
WITHOUT = f"{MODEL} without "  # and the name of an optional family
BENCHMARK = "mbgnbd"  # what MODEL has to rank above to be worth its members
CALIBRATED = "_calibrated"  # beside a benchmark of the same name whose total is its own
# On which figures two models are compared; the first of them decides, fixed beforehand: of four
# figures one differs by luck too often.
DECISIVE = "ngini"
QUIET_SECONDS = 2.0  # a line of progress at most this often
COMPARED = ("spearman", DECISIVE, "mae", "d2_tweedie")

Outputs = dict[str, Floats]


def names_of_kinds(learned: Sequence[str] = ()) -> dict[str, str]:
    """Kind -> what it is called beside the benchmarks; by default of every packaged one."""
    found = learned or kinds()
    return {kind: f"{kind}{CALIBRATED}" if kind in BENCHMARKS else kind for kind in found}


def _is_rule(name: str, added: Sequence[str] = ()) -> bool:
    """Whether what is measured is neither ours, nor a benchmark, nor a model made elsewhere."""
    known = {MODEL, *names_of_kinds().values(), *network_names(), *BENCHMARKS, *added}
    return name not in known and not name.startswith(WITHOUT)


@dataclass(frozen=True)
class Gain:
    """What a family adds: each figure of MODEL less that without it, means over the dates.

    The intervals hold the luck of who the customers are, not that of fitting again.
    """

    differences: dict[str, Metric]
    verdict: str


@dataclass(frozen=True)
class Backtest:
    """`metrics` is model -> (one dict of metrics a date, their means); `verdicts` are sentences.

    A member or benchmark that could not be fitted on every date is left out. `comparisons` are
    paired differences of MODEL less another, by the other's name; `gains` what each optional family
    adds, of those that have data on every date; `ablation` those of the ensemble
    without an ingredient less the whole, by ingredient: both means over the dates.
    """

    horizon_days: int
    dates: tuple[date, ...]
    customers: tuple[int, ...]
    metrics: dict[str, tuple[list[dict[str, Metric]], dict[str, Metric]]]
    verdicts: tuple[str, ...]
    gains: dict[str, Gain] = field(default_factory=dict)
    deciles: tuple[Decile, ...] = ()
    comparisons: dict[str, dict[str, Metric]] = field(default_factory=dict)
    ablation: dict[str, dict[str, Metric]] = field(default_factory=dict)
    target: str = "spend"
    added: tuple[str, ...] = ()  # models made elsewhere; without metrics on dates they had seen
    own: tuple[Sample, ...] = ()  # of MODEL, one a date

    @property
    def rules(self) -> tuple[str, ...]:
        """The rules among the models."""
        return tuple(name for name in self.metrics if _is_rule(name, self.added))


@dataclass(frozen=True)
class _Date:
    """One date's samples by model, those of the ensemble less an ingredient, and the verdict."""

    samples: dict[str, Sample]
    lean: dict[str, Sample]
    verdict: str


def backtest(
    data: Dataset,
    plans: Sequence[Plan],
    replicates: int,
    report: Report,
    *,
    is_ablated: bool = False,
) -> Backtest:
    """Evaluates what would have been deployed on each date, its members, benchmarks and rules.

    Also the deployed model without each optional family that has data.
    """
    dates = [_evaluate_date(data, plan, report, is_ablated) for plan in plans]
    report("bootstrapping")
    names = [n for n in dates[0].samples if all(n in one.samples for one in dates)]
    samples = {name: [one.samples[name] for one in dates] for name in names}
    found = _measure(samples, replicates, report)
    rules = [name for name in names if _is_rule(name)]
    best = max(rules, key=lambda name: found[name][1][DECISIVE].value)
    others = [best, *(name for name in (BENCHMARK,) if name in samples)]
    compared = {name: _less(samples[MODEL], samples[name], replicates) for name in others}
    verdicts = _date_verdicts(plans, dates, replicates)
    verdicts += [
        ranking_verdict(MODEL, name, differences[DECISIVE], is_rule=name in rules)
        for name, differences in compared.items()
    ]
    means = {name: mean for name, (_, mean) in found.items()}
    for kind, names in (
        ("rule", rules),
        ("benchmark", [name for name in BENCHMARKS if name in means]),
    ):
        verdicts += [figures_verdict(MODEL, means, names, kind)] if names else []
    return Backtest(
        plans[0].horizon_days,
        tuple(plan.as_of for plan in plans),
        tuple(len(data.at([plan.as_of], plan.horizon_days)) for plan in plans),
        found,
        tuple(verdicts),
        {
            family: _gain(family, samples[MODEL], samples[f"{WITHOUT}{family}"], replicates)
            for family in data.optional_families
            if f"{WITHOUT}{family}" in samples
        },
        tuple(_deciles(plans, samples)),
        compared,
        _ablation(samples, dates, replicates) if is_ablated else {},
        data.target.name,
        own=tuple(samples[MODEL]),
    )


def _evaluate_date(data: Dataset, plan: Plan, report: Report, is_ablated: bool) -> _Date:
    report(f"as of {plan.as_of}")
    test = data.at([plan.as_of], plan.horizon_days)
    chosen = fit_model(data, plan, report)
    unit = chosen.learning.unit
    rules = reference_predictions(test, plan.horizon_days)
    rules = {name: value * unit for name, value in rules.items()}
    outputs, verdict = _deployed(chosen, test, rules)
    samples = {MODEL: _sample(test, outputs)}
    lean: dict[str, Sample] = {}
    if chosen.members is not None and chosen.model is not None:
        report("members and benchmarks")
        models = {chosen.model.kind: chosen.model}
        names = names_of_kinds(chosen.members.kinds)
        for kind, name in sorted(names.items(), key=lambda k: k[0] != ENSEMBLE):
            if kind == chosen.model.kind and chosen.choice.has_won:
                samples[name] = samples[MODEL]  # the same object is measured once
                continue
            if kind not in models:
                models[kind] = finish_model(chosen.learning, chosen.members, chosen.folds, kind)
            samples[name] = _sample(test, models[kind].predict(test))
        deviation = chosen.model.forecast.standard_deviation
        benchmarks = predict_benchmarks(
            chosen.learning, chosen.members, chosen.folds, test, deviation
        )
        samples |= {name: _sample(test, benchmark) for name, benchmark in benchmarks.items()}
        if is_ablated:
            outcomes = ablate(
                chosen.learning, chosen.members, chosen.folds, models[ENSEMBLE], test, report
            )
            lean = {name: _sample(test, outcome) for name, outcome in outcomes.items()}
    samples |= {name: _sample(test, {"predicted_value": value}) for name, value in rules.items()}
    for family in data.optional_families:
        if not has_family(chosen.learning.rows, family):
            continue
        other = without_family(chosen, family)
        is_same = other is chosen.model or other is None or not chosen.choice.has_won
        own = samples[MODEL] if is_same or other is None else _sample(test, other.predict(test))
        samples[f"{WITHOUT}{family}"] = own
    for weight in chosen.choice.families:
        verdict += f"; {weight.family} at scale {weight.scale:.1f}"
    return _Date(samples, lean, verdict)


def _deployed(fitting: Fitting, test: Dataset, rules: dict[str, Floats]) -> tuple[Outputs, str]:
    """The outputs of what would have scored on the date, and why it would have."""
    if fitting.model is None:
        return {"predicted_value": rules[RULE]}, "too few examples, the rule scores"
    if not fitting.choice.has_won:
        return {"predicted_value": rules[RULE]}, f"the rule scores: {fitting.choice.reason}"
    return fitting.model.predict(test), fitting.choice.reason


def _sample(test: Dataset, outputs: Mapping[str, Floats]) -> Sample:
    names = {level: f"predicted_value_p{round(level * 100)}" for level in Q_LEVELS}
    return Sample(
        test.label_value,
        outputs["predicted_value"],
        probability=outputs.get("purchase_probability"),
        quantiles={level: outputs[name] for level, name in names.items() if name in outputs},
        customer_id=test.customer_id,
    )


def _measure(
    samples: Mapping[str, Sequence[Sample]], replicates: int, report: Report
) -> dict[str, tuple[list[dict[str, Metric]], dict[str, Metric]]]:
    found, known = {}, {}
    said = time.monotonic()
    for place, (name, rows) in enumerate(samples.items(), 1):
        if time.monotonic() - said >= QUIET_SECONDS:
            said = time.monotonic()
            report(f"bootstrapping {place}/{len(samples)} {name}")
        key = tuple(id(sample) for sample in rows)
        if key not in known:
            known[key] = evaluate_dates(rows, replicates=replicates)
        found[name] = known[key]
    return found


def _less(first: Sequence[Sample], second: Sequence[Sample], replicates: int) -> dict[str, Metric]:
    found = mean_differences(second, {MODEL: first}, COMPARED, replicates=replicates)
    return found[MODEL]


def _date_verdicts(plans: Sequence[Plan], dates: Sequence[_Date], replicates: int) -> list[str]:
    verdicts = []
    for plan, one in zip(plans, dates, strict=True):
        verdicts.append(f"{plan.as_of}: {one.verdict}")
        pair = {MODEL: [one.samples[MODEL]]}
        rule = [one.samples[RULE]]
        found = mean_differences(rule, pair, [DECISIVE], replicates=replicates)[MODEL][DECISIVE]
        verdicts.append(f"  nGini less the rule's: {figure(found)}")
    return verdicts


def _gain(family: str, full: Sequence[Sample], lean: Sequence[Sample], replicates: int) -> Gain:
    differences = _less(full, lean, replicates)
    if all(difference.value == 0 for difference in differences.values()):
        return Gain(differences, f"{family} add nothing: the same scores with and without them")
    return Gain(differences, gain_verdict(family, differences[DECISIVE]))


def _deciles(plans: Sequence[Plan], samples: Mapping[str, Sequence[Sample]]) -> list[Decile]:
    """Those of MODEL and the benchmarks on each date, then their means over the dates."""
    found: list[Decile] = []
    for name in (MODEL, *BENCHMARKS):
        for plan, sample in zip(plans, samples.get(name, ()), strict=False):
            told = None if sample.probability is None else np.asarray(sample.probability)
            actual, predicted = np.asarray(sample.actual), np.asarray(sample.predicted)
            ids = np.asarray(sample.customer_id)
            found += measure_deciles(plan.as_of, name, ids, actual, predicted, told)
    return found + mean_deciles(found)


def _ablation(
    samples: Mapping[str, Sequence[Sample]], dates: Sequence[_Date], replicates: int
) -> dict[str, dict[str, Metric]]:
    if ENSEMBLE not in samples:
        return {}
    names = [n for n in dates[0].lean if all(n in one.lean for one in dates)]
    lean = {name: [one.lean[name] for one in dates] for name in names}
    return mean_differences(samples[ENSEMBLE], lean, FIGURES, replicates=replicates)
