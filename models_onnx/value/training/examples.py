"""From rows of past dates to examples, and from these to fitted members."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date

import numpy as np

from cva_sql.models_onnx.value.arrays import Floats, logit
from cva_sql.models_onnx.value.data.dataset import Dataset
from cva_sql.models_onnx.value.data.preprocessing import (
    LogScale,
    fit_log_scale,
    fit_preprocessing,
)
from cva_sql.models_onnx.value.data.shop_past import outlier_place, outlier_times
from cva_sql.models_onnx.value.data.terms import Terms
from cva_sql.models_onnx.value.estimators.lifetimes import COLUMNS, INPUTS
from cva_sql.models_onnx.value.estimators.linear import fit_logit_linear
from cva_sql.models_onnx.value.members.contract import Examples, FittedMember, Rows
from cva_sql.models_onnx.value.members.purchase import PurchaseModel
from cva_sql.models_onnx.value.members.registry import (
    NONE_JOINED,
    all_members,
    learners,
)
from cva_sql.models_onnx.value.members.rules import PLAINEST, rules_for
from cva_sql.models_onnx.value.model.ensemble import Members, shrinkage_by
from cva_sql.models_onnx.value.preparation.cold_start import (
    AGE,
    LEAST,
    MOST,
    ColdStart,
    fit_cold_start,
)
from cva_sql.models_onnx.value.preparation.directions import column_signs
from cva_sql.models_onnx.value.preparation.rows import (
    SPEND_FLOOR,
    Constants,
    Preparation,
    Prepared,
)
from cva_sql.models_onnx.value.total.calibration import logit_shift
from cva_sql.models_onnx.value.training.learning import Learning

MIN_COLD_ROWS = 50  # fewer customers without an order, and a guess serves
BESIDE = "sequence"  # the family of features that stand beside the matrix
COLD_SHARE = 0.01  # that guess, of what a customer with orders spends or how often one buys


def fit_members(
    learning: Learning,
    dates: Sequence[date],
    as_of: date,
    horizon: int,
    rule: str = PLAINEST,
    joined: Mapping[str, float] = NONE_JOINED,
) -> Members:
    """All members on the examples of these dates, for rows of `as_of`; newer ones weigh more.

    The ensemble leans on `rule`, by how few customers had come back by `as_of`; the networks of
    `joined` are a part of it.
    """
    unfitted, examples = read_examples(learning, dates, as_of, horizon, rule, joined)
    fitted = _fit_all(examples, learning.rows.terms, unfitted.preparation)
    return replace(unfitted, fitted=fitted)


def read_examples(
    learning: Learning,
    dates: Sequence[date],
    as_of: date,
    horizon: int,
    rule: str = PLAINEST,
    joined: Mapping[str, float] = NONE_JOINED,
) -> tuple[Members, Examples]:
    """What `fit_members` fits, with no member fitted yet, and what they are fitted to."""
    rows = learning.at(dates).base()
    beside = [name for name in rows.numbers if rows.families.get(name) == BESIDE]
    preprocessing = fit_preprocessing(rows.numbers, rows.categories, _needed(rows), beside)
    constants = fit_constants(rows, learning.plan.label_days)
    preparation = learning.prepare(
        preprocessing,
        learning.lifetimes[as_of],
        constants,
        learning.plan.label_days,
        rows.target,
    )
    parts = [(day, part) for day in dates if len(part := learning.at([day]))]
    prepared = learning.stack(preparation, parts)
    value = np.concatenate([part.label_value for _, part in parts])
    orders = np.concatenate([_over_mean(part.label_orders) for _, part in parts])
    age = np.concatenate([np.full(len(part), (as_of - day).days) for day, part in parts])
    weight = recency_weight(age, learning.plan.label_days)
    far = replace(preparation, horizon_days=horizon)
    shrinkage = shrinkage_by(learning.repeat_customers[as_of], rule)
    examples, log_scale = _examples(far, prepared, value, weight, -age, rows.terms.monotone)
    ids = np.concatenate([part.customer_id.astype(str) for _, part in parts])
    examples = replace(
        examples,
        orders_over_mean=orders,
        customers=np.unique(ids, return_inverse=True)[1].astype(np.float64),
        label_days=learning.plan.label_days,
    )
    return Members(far, log_scale, examples.purchase, {}, shrinkage, joined), examples


def recency_weight(days_ago: Floats, label_days: int) -> Floats:
    """What an example counts beside one of today: half as much two labels ago."""
    return np.asarray(0.5 ** (days_ago / (2.0 * label_days)))


def _over_mean(orders: Floats) -> Floats:
    """Orders over their mean, 0 where nobody orders."""
    mean = float(orders.mean()) if len(orders) else 0.0
    return orders / mean if mean > 0 else np.zeros(len(orders))


def _fit_all(examples: Examples, terms: Terms, preparation: Preparation) -> dict[str, FittedMember]:
    """Every member, the networks that were asked for, and the rules, by name."""
    fitted = {
        member.name: member.fit_with(examples, terms.settings.get(member.name, {}))
        for member in learners(terms.networks)
    }
    rules = rules_for(preparation.preprocessing.numbers, preparation.target)
    return fitted | {name: rule.fit(examples) for name, rule in rules.items()}


def _needed(rows: Dataset) -> set[str]:
    """The features that stay in the matrix whether they vary or not."""
    needed = {*INPUTS, rows.target.decayed}
    for member in all_members():
        for name in member.needs:
            if name not in rows.numbers:
                raise ValueError(f"member {member.name} needs feature {name}, which is not there")
        needed |= set(member.needs)
    rules = rules_for(rows.numbers, rows.target)
    return needed.union(*(rule.needs for rule in rules.values()))


def _examples(
    preparation: Preparation,
    rows: Prepared,
    value: Floats,
    weight: Floats,
    dates: Floats,
    monotone: Mapping[str, int],
) -> tuple[Examples, LogScale]:
    """`dates` is a number by date, whose rows lie together: a date's total is no member's task."""
    bought = (value > 0).astype(np.float64)
    ends = np.flatnonzero(np.diff(dates)) + 1
    unit = preparation.constants.mean_spend
    spend_offset, spend_mean, logit_offset, logit_mean = [], [], [], []
    for y, buys, own, own_logit in zip(
        *(np.split(c, ends) for c in (value, bought, rows.log_spend, rows.logit_purchase)),
        strict=True,
    ):
        mean = np.log(max(float(y.mean()), SPEND_FLOOR * unit))
        spend_offset.append(own + (mean - np.log(np.exp(own).mean())))
        spend_mean.append(np.full(len(y), mean))
        rate = float(np.clip(buys.mean(), 0.5 / len(y), 1 - 0.5 / len(y)))
        logit_offset.append(own_logit + logit_shift(own_logit, rate))
        logit_mean.append(np.full(len(y), float(logit(np.array(rate)))))
    log_scale = fit_log_scale(rows.matrix, weight, logs=len(COLUMNS))
    z = log_scale.transform(rows.matrix)
    signs = column_signs(preparation.preprocessing, monotone)
    plain = fit_logit_linear(z, bought, weight, np.concatenate(logit_mean), signs)
    average = float(np.average(np.concatenate(logit_mean), weights=weight))
    purchase = PurchaseModel(
        fit_logit_linear(z, bought, weight, np.concatenate(logit_offset), signs),
        replace(plain, intercept=plain.intercept + average),
    )
    examples = Examples(
        Rows(rows, z, preparation.preprocessing),
        value,
        weight,
        unit,
        np.concatenate(spend_offset),
        np.concatenate(spend_mean),
        purchase,
        monotone,
        np.concatenate(logit_offset),
        dates=dates,
    )
    return examples, log_scale


def fit_constants(rows: Dataset, label_days: int) -> Constants:
    """What is frozen about the shop, by the rows that are learned from."""
    is_cold = np.isnan(rows.numbers["t_days"])
    warm_mean = float(rows.label_value[~is_cold].mean()) if (~is_cold).any() else 0.0
    warm_rate = float((rows.label_value[~is_cold] > 0).mean()) if (~is_cold).any() else 0.0
    guess = float(np.clip(COLD_SHARE * warm_rate, LEAST, MOST))
    cold = ColdStart(COLD_SHARE * warm_mean, guess)
    if is_cold.sum() >= MIN_COLD_ROWS:
        age = None if AGE in rows.terms.monotone else rows.numbers.get(AGE)
        known = None if age is None else age[is_cold].astype(np.float64)
        cold = fit_cold_start(rows.label_value[is_cold], known)
    newest = rows.as_of_date == rows.as_of_date.max()  # each customer once
    largest = np.sort(rows.numbers[rows.target.decayed][newest].astype(np.float64))[::-1]
    place = min(len(largest), outlier_place(len(largest))) - 1
    return Constants(
        label_days=label_days,
        mean_spend=float(rows.label_value.mean()) or 1.0,
        cold=cold,
        decayed_cap=outlier_times(len(largest)) * float(largest[place]),
    )
