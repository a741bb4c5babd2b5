"""The report of `cva doctor` for a person."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cva_sql.cli.doctor.examination import Report
from cva_sql.cli.load.doubts import types_named

if TYPE_CHECKING:
    from cva_sql.cli.doctor.machine import ValueState
    from cva_sql.cli.doctor.orders import Outliers
    from cva_sql.cli.doctor.tables import Findings, Table


def describe(report: Report) -> Iterator[str]:
    """The report for a person, line by line."""
    machine = report.machine
    yield "  ".join(f"{name} {found or 'missing'}" for name, found in machine.versions.items())
    extensions = [f"{name} {'yes' if on else 'no'}" for name, on in machine.extensions.items()]
    memory = [f"{machine.memory_bytes / 1e9:.1f} GB memory"] if machine.memory_bytes else []
    yield f"cpu: {', '.join([machine.cpu, *extensions, f'{machine.cores} cores', *memory])}"
    encoder = report.encoder
    if encoder.key:
        kind = "own" if encoder.is_own else "packaged"
        yield f"encoder: {encoder.key} ({kind}), sha256 as in its manifest"
        path = (
            f"; whole numbers (tier fast) by {machine.integer_path}" if machine.integer_path else ""
        )
        yield f"texts: about {encoder.texts_per_second or 0:,.0f} a second on one core{path}"
    yield from _describe_model(report.value_model)
    yield f"database: {report.database}"
    if report.findings is not None:
        yield from _describe_findings(report.findings)
    yield f"published: {report.published or 'nothing yet'}"
    for problem in report.problems:
        yield f"broken: {problem}"
    for advice in report.advice:
        yield f"next: {advice.text}"
        if advice.command is not None:
            yield f"      {advice.command}"
    if not report.problems and not report.advice:
        yield "all is well"


def _describe_model(model: ValueState) -> Iterator[str]:
    if model.version is None:
        return
    line = f"value model: {model.version}" + (
        "" if model.problem else ", sha256 as in its manifest"
    )
    if model.is_rule:
        yield f"{line}; the packaged rule scores: {model.rule_because}"
    else:
        yield (
            f"{line}; trained on {model.database} as of {model.as_of} for {model.horizon_days} days"
        )


def _describe_findings(findings: Findings) -> Iterator[str]:
    counted = "last build" if findings.are_rejects_of_last_build else "counted now"
    for table in findings.tables:
        if table.relation:
            yield from _describe_table(table, counted)
    absent = [table.name for table in findings.tables if not table.relation]
    if absent:
        yield f"not there: {', '.join(absent)}"
    if findings.unknown_statuses:
        from cva_sql.cli.doctor.orders import NAMED

        named = [f"{name!r} ({count:,})" for name, count in findings.unknown_statuses.items()]
        more = f" and {len(named) - NAMED} more" if len(named) > NAMED else ""
        yield f"statuses not known, so they count: {', '.join(named[:NAMED])}{more}"
    if findings.outliers is not None:
        yield from _describe_outliers(findings.outliers)
    build = findings.build
    if build is None:
        yield "built: nothing yet"
        return
    statuses = ", ".join(f"{count:,} {name}" for name, count in build.statuses.items())
    scored = ", ".join(build.model_versions) or "no model"
    yield (
        f"built: customer_value as of {build.as_of}, {build.customers:,} customers ({statuses}), "
        f"scored by {scored}"
    )
    if build.text_statuses:
        texts = [f"{count:,} {status or 'fine'}" for status, count in build.text_statuses.items()]
        yield f"review texts: {', '.join(texts)}"


def _describe_table(table: Table, counted: str) -> Iterator[str]:
    span = f", {table.first} .. {table.last}" if table.first else ""
    yield f"{table.name}: {table.relation}, {table.rows:,} rows{span}"
    columns = table.columns or {}
    shown = [
        name if sql.strip('"').lower() == name else f"{name} = {sql}"
        for name, sql in columns.items()
    ]
    if shown:
        without = f"; without {', '.join(table.missing)}" if table.missing else ""
        yield f"  columns: {', '.join(shown)}{without}"
    if table.age_days is not None:
        gap = table.usual_gap_days
        usual = f"; 95 % of the gaps were at most {gap:.0f} days" if gap is not None else ""
        yield f"  newest: {table.age_days} days old{usual}"
    if table.rejects:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in table.rejects.items())
        yield f"  not used ({counted}): {reasons}"
    if table.unknown_types:
        yield f"  types not known, whose visits count: {types_named(table.unknown_types)}"


def _describe_outliers(outliers: Outliers) -> Iterator[str]:
    from cva_sql.cli.doctor.orders import DEVIATIONS, FACTOR
    from cva_sql.cli.shop.progress import count_of

    yield (
        f"outliers: {count_of(outliers.count, 'order')} above {outliers.limit:,.2f} (log amount "
        f"more than {DEVIATIONS} robust standard deviations, 1.4826 x MAD, above the median of "
        f"{outliers.median:,.2f}, and at least {FACTOR} times it)"
    )
    for order in outliers.named:
        yield (
            f"  order_id {order.order_id}, customer_id {order.customer_id}, "
            f"amount {order.amount:,.2f}"
        )
    if outliers.count > len(outliers.named):
        yield f"  and {outliers.count - len(outliers.named):,} more"
