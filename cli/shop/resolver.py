"""Finds the shop that the options name: its database, dbt project, vars and models."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cva_sql.cli.shop.connection import has_table
from cva_sql.cli.shop.expressions import shortened
from cva_sql.cli.shop.own_project import PROJECT_FILE, find_project, read_project
from cva_sql.cli.shop.progress import say
from cva_sql.cli.shop.shop import Shop
from cva_sql.udfs.errors import CvaError, UsageError

if TYPE_CHECKING:
    from cva_sql.cli.shop.own_project import OwnProject


DEFAULT_DB = Path("shop.duckdb")
MAX_HORIZON_DAYS = 730


def open_shop(
    db: Path | None,
    *,
    as_of: str | None = None,
    horizon_days: int | None = None,
    variables: str | None = None,
    models_dir: Path | None = None,
    project: Path | None = None,
    only_reads: bool = False,
) -> Shop:
    """The shop that the options describe; raises UsageError where one cannot be taken.

    Without `db` it is that of the dbt project in `project`, by default the current folder. One that
    `only_reads` may be open in other processes that read, and may lack the orders.
    """
    own = _own_project(db, project)
    if own is not None:
        db = own.db
        models_dir = models_dir or own.models_dir
    db = db or DEFAULT_DB
    if not db.is_file():
        raise UsageError(
            f"{db} does not exist; load orders into it with: cva load orders FILE --db {db}"
        )
    settings = {**(own.vars if own else {}), **parse_vars(variables)}
    if as_of is not None:
        settings["cva_as_of"] = parse_date(as_of, "--as-of").isoformat()
    if horizon_days is not None:
        settings["cva_horizon_days"] = horizon_days
    horizon = settings.get("cva_horizon_days", 90)
    if not isinstance(horizon, int) or not 1 <= horizon <= MAX_HORIZON_DAYS:
        raise UsageError(
            f"--horizon-days is {horizon}; expected a whole number from 1 to {MAX_HORIZON_DAYS}"
        )
    shop = Shop(
        db,
        models_dir or db.parent / "cva_models",
        settings,
        own.schema if own else "main",
        own,
    )
    if not only_reads:
        _require_orders(shop)
    return shop


def _own_project(db: Path | None, folder: Path | None) -> OwnProject | None:
    """The user's dbt project to run, said on stderr; None for the packaged one."""
    if db is not None and folder is not None:
        raise UsageError(
            f"--db {db} and --project {folder} name two shops; the project's database is in its "
            "profile, so leave --db out"
        )
    if db is not None:
        if (Path() / PROJECT_FILE).is_file():
            say(f"--db {db}: the packaged dbt project is used, not the one in this folder")
        return None
    root = find_project(folder or Path())
    if folder is not None and root is None:
        raise UsageError(
            f"--project {folder} has no {PROJECT_FILE} with cva_package in its packages; "
            f"complete it with: cva init {folder}"
        )
    if root is None:
        return None
    own = read_project(root)
    say(
        f"dbt project {root.resolve().name}: profile {own.profile}, target {own.target}, "
        f"schema {own.schema}, database {own.db}"
    )
    return own


def shop_database(db: Path | None, project: Path | None) -> Path:
    """The database that the options name: the project's where there is one."""
    own = _own_project(db, project)
    return own.db if own else db or DEFAULT_DB


def parse_date(text: str, option: str) -> date:
    """A YYYY-MM-DD date; raises UsageError."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option} is {text!r}; expected a date like 2025-12-31") from None


def parse_vars(text: str | None) -> dict[str, Any]:
    """The dbt vars of --vars; raises UsageError."""
    if not text:
        return {}
    import yaml  # type: ignore[import-untyped]

    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        reason = re.sub(r"\s+", " ", str(error))
        raise UsageError(f"--vars cannot be read as JSON or YAML: {reason}") from None
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise UsageError(
            f"--vars is '{shortened(text)}'; expected names and values, e.g. "
            "'{cva_currency: EUR}'"
        )
    return value


def _require_orders(shop: Shop) -> None:
    schema = str(shop.vars.get("cva_raw_schema", "raw"))
    table = str(shop.vars.get("cva_orders_identifier", "orders"))
    if has_table(shop.db, schema, table):
        return
    if shop.project:
        raise CvaError(
            f"{shop.db} has no table {schema}.{table}; name yours in {PROJECT_FILE}, under vars: "
            "{cva: {cva_raw_schema: …, cva_orders_identifier: …}}"
        )
    raise CvaError(
        f"{shop.db} has no table {schema}.{table}; load it with: "
        f"cva load orders FILE --db {shop.db}"
    )


def find_shop(db: Path | None, models_dir: Path | None, variables: str | None = None) -> Shop:
    """The shop that the options name, orders or none; else that of the dbt project in this folder.

    Raises UsageError where its database does not exist.
    """
    root = find_project(Path()) if db is None else None
    own = read_project(root) if root else None
    db = own.db if own else db or DEFAULT_DB
    if not db.is_file():
        raise UsageError(
            f"{db} does not exist; load orders into it with: cva load orders FILE --db {db}"
        )
    settings = {**(own.vars if own else {}), **parse_vars(variables)}
    models = models_dir or (own.models_dir if own else db.parent / "cva_models")
    return Shop(db, models, settings, own.schema if own else "main", own)
