"""What a run found in Prometheus' text format, for its node_exporter to collect.

Written by hand: it is lines of a name, labels and a number, and prometheus_client would be another
package for each of them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cva_sql.cli.shop.files import write_atomic, written_to
from cva_sql.cli.shop.progress import say
from cva_sql.udfs.errors import CvaError, UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from cva_sql.cli.run.build import Run
    from cva_sql.cli.run.drift import Drift
    from cva_sql.cli.shop.shop import ResolvedShop

MARK = "# Written by cva run --metrics"  # the first line: another file is not overwritten
Sample = tuple[Mapping[str, str], float | int | None]


@dataclass(frozen=True)
class Metric:
    """A gauge: its samples are labels and a number each; those without a number are left out."""

    name: str
    text: str
    samples: tuple[Sample, ...]


def check_metrics_file(file: Path) -> None:
    """Raises UsageError where the file cannot be written, or is not one that cva wrote."""
    if not file.parent.is_dir():
        raise UsageError(f"--metrics {file}: {file.parent} is no folder; make it, or name another")
    if not os.access(file.parent, os.W_OK | os.X_OK):
        raise UsageError(f"--metrics {file}: {file.parent} cannot be written; name another folder")
    if not (file.exists() or file.is_symlink()):
        return
    try:
        with file.open("rb") as found:
            is_ours = found.read(len(MARK)) == MARK.encode() and not file.is_symlink()
    except OSError as error:
        raise UsageError(f"--metrics {file} cannot be read: {error.strerror}") from None
    if not is_ours:
        raise UsageError(
            f"--metrics {file} exists and was not written by cva; move it away, or name another"
        )


def write_metrics(shop: ResolvedShop, file: Path, run: Run, drift: Drift, seconds: float) -> None:
    """Writes the file whole, in place of the former one.

    What is published is: where the file cannot be written any more, that is said and no failure.
    """
    try:
        check_metrics_file(file)
        text = exposition(_metrics(shop, run, drift, seconds))
        with written_to(file.parent):
            write_atomic(file, text.encode())
    except (CvaError, OSError) as error:
        say(f"  the run was published, but --metrics was not written: {error}")


def exposition(metrics: Iterable[Metric]) -> str:
    """The text format 0.0.4: per metric its help, its type and a line a sample."""
    lines = [MARK]
    for metric in metrics:
        samples = [(labels, value) for labels, value in metric.samples if value is not None]
        if samples:
            lines += [f"# HELP {metric.name} {metric.text}", f"# TYPE {metric.name} gauge"]
            lines += [f"{metric.name}{_labels(labels)} {value!r}" for labels, value in samples]
    return "\n".join(lines) + "\n"


def _labels(labels: Mapping[str, str]) -> str:
    parts = [f'{name}="{_escaped(value)}"' for name, value in labels.items()]
    return f"{{{','.join(parts)}}}" if parts else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _metrics(shop: ResolvedShop, run: Run, drift: Drift, seconds: float) -> Iterator[Metric]:
    from cva_sql.udfs.manifest import read_manifest
    from cva_sql.udfs.sessions import deployed_folder

    manifest = read_manifest(deployed_folder(shop.models_dir))
    facts = _facts(shop, run)
    yield Metric(
        "cva_customers", "Customers by score_status.",
        tuple(({"status": name}, count) for name, count in run.statuses.items()),
    )  # fmt: skip
    yield Metric(
        "cva_predicted_value", "Predicted value of all customers, with its 90 % interval.",
        tuple(({"bound": bound}, facts.get(bound)) for bound in ("mean", "p05", "p95")),
    )  # fmt: skip
    yield Metric(
        "cva_rejected_rows", "Raw rows that could not be used.",
        tuple(({"table": r["table"], "reason": r["reason"]}, r["rows"]) for r in run.rejects),
    )  # fmt: skip
    yield Metric(
        "cva_drift", "Distance of an input from the training's.",
        tuple(({"input": row.input, "metric": row.metric}, row.value) for row in drift.rows),
    )  # fmt: skip
    yield Metric(
        "cva_drift_threshold", "The distance above which an input has drifted.",
        tuple(({"input": row.input, "metric": row.metric}, row.threshold) for row in drift.rows),
    )  # fmt: skip
    if drift.rows:
        share = "Share of the importance that inputs beyond a threshold have."
        yield Metric("cva_drift_moved_share", share, (({}, drift.moved_share),))
    yield Metric(
        "cva_realised_ratio", "What came over what was predicted, of the last horizon that passed.",
        (({}, facts.get("realised_ratio")),),
    )  # fmt: skip
    yield Metric(
        "cva_realised_interval_coverage", "Share of customers within p10 to p90 of that horizon.",
        (({}, facts.get("interval_coverage")),),
    )  # fmt: skip
    info = {"version": manifest.version, "hash": manifest.sha256, "kind": _kind(manifest.training)}
    yield Metric("cva_model_info", "The model that scores.", ((info, 1),))
    trained = manifest.trained_until
    dates = {
        "cva_model_trained_as_of_seconds": ("The date that the model was trained for.", trained),
        "cva_as_of_seconds": ("The date that the run looked from.", run.as_of),
    }
    for name, (text, day) in dates.items():
        yield Metric(name, text, (({}, _seconds(str(day)) if day else None),))
    yield Metric("cva_run_duration_seconds", "How long the run took.", (({}, round(seconds, 3)),))
    yield Metric("cva_run_published_seconds", "When it was published.", (({}, round(time.time())),))


def _kind(training: Mapping[str, Any]) -> str:
    return str(training.get("kind", "rule"))


def _seconds(day: str) -> int:
    return round(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())


def _facts(shop: ResolvedShop, run: Run) -> dict[str, float]:
    """The total of the run with its interval, and the newest horizon that has passed."""
    from cva_sql.cli.shop.connection import connect

    con = connect(shop.db, read_only=True)
    try:
        live = f'"{shop.schema}".cva_live_performance'
        facts = _row(
            con, f'select sum(predicted_value) as mean from "{shop.schema}".customer_value'
        )
        facts |= _row(
            con,
            "select predicted_value_p05 as p05, predicted_value_p95 as p95 "
            f"from {live} where as_of_date = '{run.as_of}'",
        )
        return facts | _row(
            con,
            f"select realised_ratio, interval_coverage from {live} where has_passed "
            "order by ends_on desc, as_of_date desc limit 1",
        )
    finally:
        con.close()


def _row(con: DuckDBPyConnection, query: str) -> dict[str, float]:
    found = con.execute(query)
    names = [column[0] for column in found.description or ()]
    rows = found.fetchall()
    return dict(zip(names, rows[0], strict=True)) if rows else {}
