"""`cva doctor`: what is there, what is wrong with it, what to do next."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import typer

from cva_sql.cli.options import Json, ModelsDir, ShopDb, Vars
from cva_sql.udfs.errors import CvaError

if TYPE_CHECKING:
    from cva_sql.cli.dbt import Shop
    from cva_sql.cli.doctor.advice import Advice
    from cva_sql.cli.doctor.machine import EncoderState, Machine, ValueState
    from cva_sql.cli.doctor.tables import Findings, Outliers, Table


@dataclass(frozen=True)
class Report:
    """All that was found. `findings` is None where the database cannot be read."""

    is_fine: bool
    problems: tuple[str, ...]
    advice: tuple[Advice, ...]
    database: str
    published: str | None
    machine: Machine
    encoder: EncoderState
    value_model: ValueState
    findings: Findings | None


def doctor(
    db: ShopDb = None,
    variables: Vars = None,
    models_dir: ModelsDir = None,
    as_json: Json = False,
) -> None:
    """Look at versions, models and tables, and say what to do next. Nothing is written.

    The exit code is 1 where something is broken: a file that is not what its manifest says, a
    required column that is missing, a database that cannot be read.
    """
    from cva_sql.cli.sql_command import find_shop

    report = examine(find_shop(db, models_dir, variables))
    print(json.dumps(asdict(report), indent=2) if as_json else "\n".join(describe(report)))
    if not report.is_fine:
        raise typer.Exit(1)


def examine(shop: Shop) -> Report:
    """Everything there is to say of the shop."""
    from cva_sql.cli.doctor.advice import advise
    from cva_sql.cli.doctor.machine import (
        look_at_encoder,
        look_at_machine,
        look_at_value_model,
    )
    from cva_sql.cli.publish import CURRENT

    machine = look_at_machine()
    encoder = look_at_encoder(shop.models_dir)
    model = look_at_value_model(shop.models_dir, shop.db)
    findings, unreadable = _look_at_database(shop)
    problems = [
        *(f"{name} is not installed" for name, found in machine.versions.items() if not found),
        encoder.problem,
        model.problem,
        unreadable,
        *(table.problem for table in (findings.tables if findings else ())),
    ]
    current = shop.published / CURRENT
    return Report(
        not any(problems),
        tuple(problem for problem in problems if problem),
        tuple(advise(shop, model, findings)) if findings else (),
        str(shop.db),
        current.resolve().name if current.exists() else None,
        machine,
        encoder,
        model,
        findings,
    )


def _look_at_database(shop: Shop) -> tuple[Findings | None, str | None]:
    import duckdb

    from cva_sql.cli.doctor.tables import look_at_database
    from cva_sql.cli.load_sql import one_line
    from cva_sql.cli.options import connect

    try:
        con = connect(shop.db, read_only=True)
        try:
            return look_at_database(con, shop), None
        finally:
            con.close()
    except CvaError as error:
        return None, str(error)
    except duckdb.Error as error:
        return None, f"{shop.db} cannot be read: {one_line(error)}"


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
    yield from _describe_model(report.value_model)
    yield f"database: {report.database}"
    if report.findings is not None:
        yield from _describe_findings(report.findings)
    yield f"published: {report.published or 'nothing yet'}"
    for problem in report.problems:
        yield f"broken: {problem}"
    for advice in report.advice:
        yield f"next: {advice.text}"
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


def _describe_outliers(outliers: Outliers) -> Iterator[str]:
    from cva_sql.cli.doctor.advice import count_of
    from cva_sql.cli.doctor.tables import DEVIATIONS, FACTOR

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
