"""Training examples as arrays."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.value.data.shop_past import ShopPast
from cva_sql.models_onnx.value.data.target import SPEND, Target
from cva_sql.models_onnx.value.data.terms import NO_TERMS, Terms
from cva_sql.udfs.manifest import Feature

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def rule_columns(target: Target) -> dict[str, str]:
    """What a rule calls a column -> the feature that it is for this target."""
    return {
        "historic_value": target.historic,
        "spend_horizon_1": target.window,
        "decayed_spend": target.decayed,
        "days_since_last_order": "days_since_last_order",
        "order_days_count": "order_days_count",
        "shop_spend_level": target.level,
        "shop_retention_rate": "shop_retention_rate",
        "shop_history_days": "shop_history_days",
    }


RULE_COLUMNS = tuple(rule_columns(SPEND))


@dataclass(frozen=True)
class Dataset:
    """Rows of customer × date. `numbers` is float32 with NaN for NULL, `categories` text with ''.

    `label_value` and `label_orders` are float64: the `target`, spend if not told otherwise, and
    orders in the `label_days` from the row's date on; NaN where the shop gave no label. With a
    target that is priced `label_spend` is the spend beside it and `label_shortfall` how far it was
    below 0, which counts as 0. `rules` has the columns that the reference rules need, float64.
    `families` maps a feature to its family in the catalogue, `reason_families` to the one that
    reasons count it in, `by_itself` to what becomes of it while nothing happens: grows or fades;
    `shops` a date to score on to the shop's past then. `optional` maps the features that are not of
    the base to their family, which has to earn its weight. Models are learned under these `terms`.
    """

    customer_id: NDArray[Any]
    as_of_date: NDArray[np.datetime64]
    label_days: NDArray[np.int64]
    numbers: dict[str, NDArray[np.float32]]
    categories: dict[str, NDArray[Any]]
    label_value: NDArray[np.float64]
    label_orders: NDArray[np.float64]
    rules: dict[str, NDArray[np.float64]]
    families: dict[str, str] = field(default_factory=dict)
    reason_families: dict[str, str] = field(default_factory=dict)
    shops: dict[date, ShopPast] = field(default_factory=dict)
    by_itself: dict[str, str] = field(default_factory=dict)
    terms: Terms = NO_TERMS
    target: Target = SPEND
    label_spend: NDArray[np.float64] | None = None
    label_shortfall: NDArray[np.float64] | None = None
    optional: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.customer_id)

    def select(self, mask: NDArray[np.bool_]) -> Dataset:
        """The rows of a mask."""
        return replace(
            self,
            customer_id=self.customer_id[mask],
            as_of_date=self.as_of_date[mask],
            label_days=self.label_days[mask],
            numbers={name: column[mask] for name, column in self.numbers.items()},
            categories={name: column[mask] for name, column in self.categories.items()},
            label_value=self.label_value[mask],
            label_orders=self.label_orders[mask],
            rules={name: column[mask] for name, column in self.rules.items()},
            label_spend=None if self.label_spend is None else self.label_spend[mask],
            label_shortfall=None if self.label_shortfall is None else self.label_shortfall[mask],
        )

    @property
    def optional_families(self) -> tuple[str, ...]:
        """The families that have to earn their weight and have a feature here, by name."""
        return tuple(sorted({self.optional[n] for n in self._features() if n in self.optional}))

    def of_family(self, family: str) -> Dataset:
        """The same rows with the features of this optional family alone."""
        return self._with_features([n for n in self._features() if self.optional.get(n) == family])

    def base(self) -> Dataset:
        """The same rows without the features of any optional family."""
        if not self.optional:
            return self
        return self._with_features([n for n in self._features() if n not in self.optional])

    def under(self, terms: Terms) -> Dataset:
        """The rows to learn from under these terms; what rules are measured with stays."""
        kept = [name for name in self._features() if name not in terms.features_off]
        return replace(self._with_features(kept), terms=terms)

    def _features(self) -> list[str]:
        return [*self.numbers, *self.categories]

    def _with_features(self, names: Sequence[str]) -> Dataset:
        return replace(
            self,
            numbers={n: column for n, column in self.numbers.items() if n in names},
            categories={n: column for n, column in self.categories.items() if n in names},
        )

    def without_customers(self, ids: Collection[str]) -> Dataset:
        """The rows of all other customers."""
        if not ids:
            return self
        return self.select(~np.isin(self.customer_id.astype(str), np.array(sorted(ids))))

    def at(self, dates: Sequence[date], label_days: int) -> Dataset:
        """The rows of these dates with labels of this length."""
        wanted = np.isin(self.as_of_date, np.array(dates, dtype="datetime64[D]"))
        is_known = ~np.isnan(self.label_value)
        return self.select(wanted & is_known & (self.label_days == label_days))

    @property
    def unit(self) -> float:
        """What a unit of spend is in the target, over all rows; 1 where nothing is priced."""
        if not self.target.is_priced or self.label_spend is None:
            return 1.0
        value, spend = float(np.nansum(self.label_value)), float(self.label_spend.sum())
        return value / spend if value > 0 and spend > 0 else 1.0

    def in_units_of(self, unit: float) -> Dataset:
        """The same rows with labels in multiples of `unit`."""
        return self if unit == 1.0 else replace(self, label_value=self.label_value / unit)

    def seen_from(self, day: date) -> Dataset:
        """Each customer's row on one date, for its features: its label may be unfinished."""
        rows = self.as_of_date == np.datetime64(day, "D")
        lengths = self.label_days[rows]
        return self.select(rows & (self.label_days == lengths.min(initial=np.iinfo(np.int64).max)))


def read_features(con: DuckDBPyConnection, schema: str) -> tuple[Feature, ...]:
    """The model inputs of a schema's catalogue, by name."""
    rows = con.execute(
        f'select feature, kind from "{schema}_cva".cva_feature_catalog '
        "where is_model_input order by feature"
    ).fetchall()
    return tuple(Feature(name, kind) for name, kind in rows)


def read_families(
    con: DuckDBPyConnection, schema: str, column: str = "family", condition: str = "true"
) -> dict[str, str]:
    """Feature -> `family`, `reason_family` or `by_itself` in a schema's catalogue.

    `condition`, in SQL, says of which features.
    """
    rows = con.execute(
        f'select feature, {column} from "{schema}_cva".cva_feature_catalog '
        f"where {condition} order by feature"
    ).fetchall()
    return dict(rows)


def read_dataset(con: DuckDBPyConnection, schema: str, target: Target = SPEND) -> Dataset:
    """The training examples of a schema, made for this target, ordered by date and customer."""
    features = read_features(con, schema)
    numbers = [feature.name for feature in features if feature.kind == "number"]
    categories = [feature.name for feature in features if feature.kind == "category"]
    of_rules = rule_columns(target)
    beside = ("label_spend", "label_shortfall") if target.is_priced else ()
    extra = [name for name in (*of_rules.values(), *beside) if name not in numbers]
    select = [f'cast("{name}" as float) as "{name}"' for name in numbers]
    select += [f'coalesce("{name}", \'\') as "{name}"' for name in categories]
    select += [f'cast("{name}" as double) as "{name}"' for name in extra]
    columns = con.execute(
        f"select customer_id, as_of_date, label_days, cast(label_value as double) as label_value, "
        f"cast(label_orders_count as double) as label_orders, {', '.join(select)} "
        f'from "{schema}".cva_training_examples order by as_of_date, label_days, customer_id'
    ).fetchnumpy()

    def number(name: str, dtype: Any) -> NDArray[Any]:
        return np.ma.filled(np.ma.asarray(columns[name], dtype=dtype), np.nan)

    rules = {name: number(column, np.float64) for name, column in of_rules.items()}
    if target.window_days is not None:  # as much a day, for as many days as the label has
        days = np.asarray(columns["label_days"], dtype=np.float64)
        rules["spend_horizon_1"] = rules["spend_horizon_1"] * (days / target.window_days)
    return Dataset(
        customer_id=np.asarray(columns["customer_id"], dtype=object),
        as_of_date=np.asarray(columns["as_of_date"], dtype="datetime64[D]"),
        label_days=np.asarray(columns["label_days"], dtype=np.int64),
        numbers={name: number(name, np.float32) for name in numbers},
        categories={name: np.asarray(columns[name], dtype=object) for name in categories},
        label_value=number("label_value", np.float64),
        label_orders=number("label_orders", np.float64),
        rules=rules,
        families=read_families(con, schema),
        reason_families=read_families(con, schema, "reason_family"),
        by_itself={
            name: change
            for name, change in read_families(con, schema, "by_itself").items()
            if change
        },
        target=target,
        label_spend=number("label_spend", np.float64) if beside else None,
        label_shortfall=number("label_shortfall", np.float64) if beside else None,
        optional=read_families(con, schema, condition="not is_base"),
    )
