"""Whether customers are still those that the deployed model learned from: reads cva_drift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cva_sql.udfs.errors import CvaError

if TYPE_CHECKING:
    from cva_sql.cli.shop.shop import ResolvedShop

TABLE = "cva_drift"
SHOWN = 3  # inputs in a message of one line


@dataclass(frozen=True)
class Moved:
    """A row of cva_drift: an input or output, a metric and how far it is from the training's."""

    input: str
    metric: str
    kind: str
    value: float
    usual: float
    threshold: float
    is_anomaly: bool
    importance: float
    is_blocking: bool


@dataclass(frozen=True)
class Drift:
    """What cva_drift says of the last build, the worst first, measured in thresholds.

    `as_of` and `model_version` are None, and `rows` empty, where the deployed model does not know
    what it was trained on: a rule, or one of a former version.
    """

    as_of: str | None
    model_version: str | None
    rows: tuple[Moved, ...]

    @property
    def anomalies(self) -> tuple[Moved, ...]:
        """The rows beyond their threshold."""
        return tuple(row for row in self.rows if row.is_anomaly)

    @property
    def blocks(self) -> bool:
        """Whether so much has moved that a run is not published."""
        return any(row.is_blocking for row in self.rows)

    @property
    def moved_share(self) -> float:
        """The share of the importance that inputs beyond a threshold have, 0 to 1."""
        return sum({row.input: row.importance for row in self.anomalies}.values())

    def said(self) -> str:
        """The inputs that moved most, in a few words."""
        moved = {row.input: row for row in reversed(self.anomalies) if row.kind != "output"}
        worst = list(reversed(moved.values()))
        named = ", ".join(
            f"{row.input} ({row.metric} {row.value:.2f}, above {row.threshold:.2f})"
            for row in worst[:SHOWN]
        )
        more = f" and {len(worst) - SHOWN} more" if len(worst) > SHOWN else ""
        return f"{named}{more}, {self.moved_share:.0%} of what the model looks at"


def read_drift(shop: ResolvedShop) -> Drift:
    """The last build's; raises CvaError where there is none yet."""
    from cva_sql.cli.shop.connection import connect, find_relation

    con = connect(shop.db, read_only=True)
    try:
        table = find_relation(con, shop.schema, TABLE)
        if table is None:
            raise CvaError(
                f"{shop.db} has no {shop.schema}.{TABLE}; make it with: {shop.command('run')}"
            )
        names = ", ".join(Moved.__dataclass_fields__)
        rows = con.execute(
            f"select as_of_date::varchar, model_version, {names} from {table} "
            "order by value / threshold desc, input, metric"
        ).fetchall()
    finally:
        con.close()
    as_of, version = rows[0][:2] if rows else (None, None)
    return Drift(as_of, version, tuple(Moved(*row[2:]) for row in rows))


def check_drift(shop: ResolvedShop, *, is_accepted: bool = False) -> Drift:
    """Raises CvaError where the model scored customers unlike those that it learned from.

    `is_accepted`: it says so, and no more.
    """
    from cva_sql.cli.shop.progress import say
    from cva_sql.udfs.distributions import FACTS
    from cva_sql.udfs.manifest import read_manifest
    from cva_sql.udfs.sessions import deployed_folder

    drift = read_drift(shop)
    manifest = read_manifest(deployed_folder(shop.models_dir))
    if not manifest.is_baseline and FACTS not in manifest.training:
        say(
            f"  {manifest.version} does not know what it was trained on, so {TABLE} is empty; "
            "the next cva train writes it down"
        )
    if not drift.blocks:
        return drift
    text = f"customers are not those that {drift.model_version} learned from: {drift.said()}"
    if is_accepted:
        say(f"  {text}; accepted")
        return drift
    raise CvaError(
        f"{text}, so nothing was published; learn anew with: {shop.command('train')}, or publish "
        f"all the same with: {shop.command('run')} --accept-drift"
    )
