"""Two models side by side: their figures, and what would change for today's customers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cva_sql.cli.models.choosing import FIGURE
from cva_sql.cli.models.inventory import FIGURES, RULE, Model, chosen_model, value_models
from cva_sql.udfs.errors import CvaError, ModelError, UsageError
from cva_sql.udfs.manifest import Manifest, read_manifest
from cva_sql.udfs.sessions import VALUE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cva_sql.cli.shop.shop import ResolvedShop

TIERS = ("high", "medium", "low")
SHOWN_MOVES = 10
TABLE = "customer_features"


@dataclass(frozen=True)
class Side:
    """A model as it is compared: `figures` are means over its validation `dates`."""

    version: str
    kind: str
    as_of: str | None
    horizon_days: int | None
    target: str
    dates: tuple[str, ...]
    figures: dict[str, float]


@dataclass(frozen=True)
class Flow:
    """Customers of one tier by the one model and another by the other, and their money by each."""

    tier_before: str
    tier_after: str
    customers: int
    before: float
    after: float


@dataclass(frozen=True)
class Move:
    """What the two models predict for a customer."""

    customer_id: str
    tier_before: str
    tier_after: str
    before: float
    after: float


@dataclass(frozen=True)
class Changes:
    """What changes for the customers of `customer_features` where the first model scores.

    Money is predicted value in the shop's currency; `flows` are those between tiers, `moves` the
    largest by money, whatever the tier.
    """

    as_of: str
    customers: int
    tier_changes: int
    before: float
    after: float
    flows: tuple[Flow, ...]
    moves: tuple[Move, ...]


@dataclass(frozen=True)
class Comparison:
    """Two models, the first the one that would score; `why_not` says why there are no changes."""

    first: Side
    second: Side
    is_comparable: bool
    changes: Changes | None
    why_not: str | None = None


def compare_models(shop: ResolvedShop, first: str, second: str | None = None) -> Comparison:
    """Compares two value models; the second is by default what is deployed.

    Raises UsageError for a version that is not there or of another kind.
    """
    pair = [_model(shop, first), _model(shop, second)]
    manifests = [read_manifest(Path(model.folder)) for model in pair]
    one, other = (_side(m, manifest) for m, manifest in zip(pair, manifests, strict=True))
    is_comparable = bool(one.dates) and (one.dates, one.target, one.horizon_days) == (
        other.dates,
        other.target,
        other.horizon_days,
    )
    changes, why_not = None, _apart(one, other)
    if why_not is None:
        try:
            changes = _changes(shop, [Path(model.folder) for model in pair])
        except CvaError as error:
            why_not = str(error)
    return Comparison(one, other, is_comparable, changes, why_not)


def _model(shop: ResolvedShop, version: str | None) -> Model:
    model = (
        value_models(shop.models_dir)[-1]
        if version == RULE
        else chosen_model(shop.models_dir, version)
    )
    if model.problem is not None:
        raise ModelError(model.problem)
    if model.kind != RULE and Path(model.folder).parent.name != VALUE:
        raise UsageError(f"{model.version} is no value model; compare two of cva models list")
    return model


def _side(model: Model, manifest: Manifest) -> Side:
    found = manifest.evaluation.get("scores", {}).get(model.kind, {})
    return Side(
        model.version,
        model.kind,
        model.as_of,
        model.horizon_days,
        manifest.target,
        tuple(manifest.evaluation.get("validation_dates") or ()),
        {name: found[name] for name in (FIGURE, *FIGURES) if found.get(name) is not None},
    )


def _apart(one: Side, other: Side) -> str | None:
    """Why what two models say of a customer cannot be compared."""
    days = {side.horizon_days for side in (one, other) if side.horizon_days}
    if len(days) > 1:
        return f"they look {one.horizon_days} and {other.horizon_days} days ahead"
    if one.target != other.target:
        return f"they predict {one.target} and {other.target}"
    return None


def _changes(shop: ResolvedShop, folders: Sequence[Path]) -> Changes | None:
    """What changes from the second to the first; None where the shop has no features yet."""
    import numpy as np

    from cva_sql.udfs.predict import predict
    from cva_sql.udfs.sessions import load_model

    models = [load_model(folder) for folder in folders]
    rows = _read(shop, {f.name for model in models for f in model.manifest.features})
    if rows is None or not len(rows):
        return None
    columns = {name: rows.column(name).combine_chunks() for name in rows.column_names}
    ids = np.asarray(columns["customer_id"].to_pylist(), dtype=object)
    after, before = (predict(model, columns, len(ids))["predicted_value"] for model in models)
    shares = shop.var("cva_tier_shares")
    tiers = [_tiers(ids, values, shares) for values in (before, after)]
    moves = np.lexsort((ids, -np.abs(after - before)))[:SHOWN_MOVES]
    return Changes(
        str(columns["as_of_date"][0]),
        len(ids),
        int((tiers[0] != tiers[1]).sum()),
        float(before.sum()),
        float(after.sum()),
        tuple(_flows(tiers, before, after)),
        tuple(
            Move(
                str(ids[i]),
                TIERS[tiers[0][i]],
                TIERS[tiers[1][i]],
                float(before[i]),
                float(after[i]),
            )
            for i in moves
            if before[i] != after[i]
        ),
    )


def _read(shop: ResolvedShop, features: set[str]) -> Any:
    """customer_features as Arrow, what models read of it alone; None where it is not there."""
    from cva_sql.cli.shop.connection import connect, find_relation
    from cva_sql.cli.shop.sql_text import column_names, quoted

    if not shop.db.is_file():
        return None
    con = connect(shop.db, read_only=True)
    try:
        relation = find_relation(con, shop.schema, TABLE)
        if relation is None:
            return None
        wanted = features | {"customer_id", "as_of_date", "horizon_days"}
        names = [name for name in column_names(con, f"from {relation}") if name in wanted]
        return con.sql(f"select {', '.join(map(quoted, names))} from {relation}").to_arrow_table()
    finally:
        con.close()


def _tiers(
    ids: NDArray[Any], values: NDArray[np.float64], shares: Sequence[float]
) -> NDArray[np.int64]:
    """Places in TIERS, as the macro value_tier gives them: the largest first, ties by id."""
    import numpy as np

    rank = np.empty(len(ids), dtype=np.int64)
    rank[np.lexsort((ids, -values))] = np.arange(1, len(ids) + 1)
    high, medium = Decimal(str(shares[0])), Decimal(str(round(shares[0] + shares[1], 9)))
    ends = [int(-(-(share * len(ids)) // 1)) for share in (high, medium)]
    return np.searchsorted(ends, rank).astype(np.int64)


def _flows(
    tiers: Sequence[NDArray[np.int64]],
    before: NDArray[np.float64],
    after: NDArray[np.float64],
) -> list[Flow]:
    found = []
    for i, old in enumerate(TIERS):
        for j, new in enumerate(TIERS):
            them = (tiers[0] == i) & (tiers[1] == j)
            if i != j and them.any():
                sums = float(before[them].sum()), float(after[them].sum())
                found.append(Flow(old, new, int(them.sum()), *sums))
    return found
