"""Everything that `cva doctor` looks at, as one report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cva_sql.udfs.errors import CvaError

if TYPE_CHECKING:
    from cva_sql.cli.doctor.advice import Advice
    from cva_sql.cli.doctor.machine import EncoderState, Machine, ValueState
    from cva_sql.cli.doctor.tables import Findings
    from cva_sql.cli.shop.shop import ResolvedShop


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


def examine(shop: ResolvedShop) -> Report:
    """Everything there is to say of the shop."""
    from cva_sql.cli.doctor.advice import advise
    from cva_sql.cli.doctor.machine import (
        look_at_encoder,
        look_at_machine,
        look_at_value_model,
    )
    from cva_sql.cli.shop.shop import CURRENT
    from cva_sql.udfs.encoder_tiers import TIER_VAR

    machine = look_at_machine()
    encoder = look_at_encoder(shop.models_dir, shop.var(TIER_VAR))
    model = look_at_value_model(shop.models_dir, shop.db)
    findings, unreadable = _look_at_database(shop)
    problems = [
        *(f"{name} is not installed" for name, found in machine.versions.items() if not found),
        encoder.problem,
        model.problem,
        unreadable,
        *(table.problem for table in (findings.tables if findings else ())),
        findings.problem if findings else None,
    ]
    not_ours = _published_of_another(shop)
    problems.append(not_ours)
    current = shop.published / CURRENT
    is_fine = not any(problems)
    advice = advise(shop, model, findings, is_fine=is_fine) if findings else ()
    return Report(
        is_fine,
        tuple(problem for problem in problems if problem),
        tuple(advice),
        str(shop.db),
        current.resolve().name if current.exists() and not not_ours else None,
        machine,
        encoder,
        model,
        findings,
    )


def _published_of_another(shop: ResolvedShop) -> str | None:
    """That what is published is another database's."""
    from cva_sql.cli.shop.owner import Owned, check_owner

    try:
        check_owner(shop, Owned.PUBLISHED)
    except CvaError as error:
        return str(error)
    return None


def _look_at_database(shop: ResolvedShop) -> tuple[Findings | None, str | None]:
    import duckdb

    from cva_sql.cli.doctor.tables import look_at_database
    from cva_sql.cli.shop.connection import connect
    from cva_sql.cli.shop.sql_text import one_line

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
