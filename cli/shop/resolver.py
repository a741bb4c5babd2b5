"""Finds the shop that the options name: its database, dbt project, vars, schema and models."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cva_sql.cli.shop.connection import check_name, has_table
from cva_sql.cli.shop.expressions import shortened
from cva_sql.cli.shop.own_project import (
    DEFAULT_SCHEMA,
    PROJECT_FILE,
    find_project,
    read_project,
)
from cva_sql.cli.shop.progress import say
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.cli.shop.yaml_text import parse_yaml
from cva_sql.udfs.errors import CvaError, UsageError
from cva_sql.udfs.places import models_beside

if TYPE_CHECKING:
    from cva_sql.cli.shop.own_project import OwnProject


DEFAULT_DB = Path("shop.duckdb")
MAX_HORIZON_DAYS = 730


class Need(Enum):
    """What a command needs of a shop. One that only reads may be open in other processes."""

    NOTHING = "no database has to be there"
    DATABASE = "only reads: the database is there, with orders or without"
    ORDERS = "builds tables: the database is there and has orders"


def open_shop(
    db: Path | None = None,
    *,
    project: Path | None = None,
    variables: str | Mapping[str, Any] | None = None,
    models_dir: Path | None = None,
    published: Path | None = None,
    work_dir: Path | None = None,
    as_of: str | None = None,
    horizon_days: int | None = None,
    status_counts: Sequence[str] | None = None,
    status_cancelled: Sequence[str] | None = None,
    need: Need = Need.ORDERS,
) -> ResolvedShop:
    """The shop that the options describe; raises UsageError where one cannot be taken.

    Without `db` it is that of the dbt project in `project`, by default the current folder.
    """
    own = _own_project(db, project)
    settings = {**(own.vars if own else {}), **parse_vars(variables)}
    if as_of is not None:
        settings["cva_as_of"] = parse_date(as_of, "--as-of").isoformat()
    elif isinstance(settings.get("cva_as_of"), str):
        settings["cva_as_of"] = parse_date(settings["cva_as_of"], "cva_as_of").isoformat()
    if horizon_days is not None:
        settings["cva_horizon_days"] = horizon_days
    for name, given in (("counts", status_counts), ("cancelled", status_cancelled)):
        if given:
            known = settings.get(f"cva_status_{name}") or []
            settings[f"cva_status_{name}"] = [*known, *given]
    db = own.db if own else db or DEFAULT_DB
    models = models_dir or (own.models_dir if own else models_beside(db))
    schema = own.schema if own else DEFAULT_SCHEMA
    shop = ResolvedShop(db, models, settings, schema, own, published, work_dir)
    require(shop, need)
    return shop


def require(shop: ResolvedShop, need: Need) -> None:
    """Raises UsageError or CvaError, with the command that helps, where the shop lacks `need`."""
    check_name(shop.db)
    if need is not Need.NOTHING and not shop.db.is_file():
        raise UsageError(
            f"{shop.db} does not exist; load orders into it with: "
            f"{shop.command('load orders FILE')}"
        )
    horizon = shop.var("cva_horizon_days")
    is_days = isinstance(horizon, int) and 1 <= horizon <= MAX_HORIZON_DAYS
    if horizon is not None and not is_days:
        raise UsageError(
            f"--horizon-days is {horizon}; expected a whole number from 1 to {MAX_HORIZON_DAYS}"
        )
    if need is Need.ORDERS:
        _require_orders(shop)


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


def parse_date(text: str, option: str) -> date:
    """A YYYY-MM-DD date; raises UsageError."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option} is {text!r}; expected a date like 2025-12-31") from None


def parse_vars(given: str | Mapping[str, Any] | None) -> dict[str, Any]:
    """The dbt vars of --vars, which are text, or of a mapping; raises UsageError."""
    if not given:
        return {}
    value: Any = dict(given) if isinstance(given, Mapping) else _read_vars(given)
    try:
        json.dumps(value, default=str)
    except (ValueError, RecursionError) as error:  # YAML's anchors can hold themselves
        raise UsageError(f"--vars cannot be read: {error}") from None
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise UsageError(
            f"--vars is '{shortened(str(given))}'; expected names and values, e.g. "
            "'{cva_currency: EUR}'"
        )
    return value


def _read_vars(text: str) -> Any:
    # JSON first: YAML reads the two halves of an emoji that JSON spells as two broken characters.
    with suppress(ValueError, RecursionError):
        return json.loads(text)
    try:
        return parse_yaml(text)
    except ValueError as error:
        raise UsageError(f"--vars cannot be read as JSON or YAML: {error}") from None


def _require_orders(shop: ResolvedShop) -> None:
    schema, table = shop.raw_table("orders")
    if has_table(shop.db, schema, table):
        return
    if shop.project:
        raise CvaError(
            f"{shop.db} has no table {schema}.{table}; name yours in {PROJECT_FILE}, under vars: "
            "{cva: {cva_raw_schema: …, cva_orders_identifier: …}}"
        )
    raise CvaError(
        f"{shop.db} has no table {schema}.{table}; load it with: {shop.command('load orders FILE')}"
    )
