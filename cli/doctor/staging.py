"""A shop's staged rows: those of its last build, else made by dbt in a database thrown away."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cva_sql.cli.shop.connection import find_relation
from cva_sql.cli.shop.dbt_runner import ARTEFACTS, reason_of_dbt, run_dbt
from cva_sql.cli.shop.package import canonical_tables
from cva_sql.cli.shop.progress import step
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.cli.shop.sql_text import column_names, literal, quoted
from cva_sql.udfs.errors import CvaError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

REJECTS = "cva_rejects"
NEEDED = "status"  # a column of staged orders that builds before it have not


@dataclass(frozen=True)
class Staging:
    """Where the package's staging models and rejects are, for a connection to the shop.

    `schema` is in SQL, None where there is none. `problems` says by canonical table what is wrong,
    `problem` why nothing at all could be staged.
    """

    schema: str | None
    is_of_last_build: bool
    problems: Mapping[str, str] = field(default_factory=dict)
    problem: str | None = None

    def model(self, name: str) -> str:
        """A model's relation in SQL."""
        return f"{self.schema}.{quoted(name)}"

    def columns(self, con: DuckDBPyConnection, name: str) -> list[str]:
        """The columns of a model; none where it was not built, or fails."""
        import duckdb

        if self.schema is None:
            return []
        try:
            return column_names(con, f"from {self.model(name)}")
        except duckdb.Error:
            return []


@contextmanager
def staged(con: DuckDBPyConnection, shop: ResolvedShop) -> Iterator[Staging]:
    """The staging of the last build where it is what a build would make now, else made for now.

    `con` is a connection to the shop's database, of which nothing is changed.
    """
    built = _last_build(con, shop)
    if built is not None:
        yield built
        return
    (name,) = con.execute("select current_database()").fetchall()[0]
    with tempfile.TemporaryDirectory(prefix="cva-doctor-") as folder:
        db = Path(folder) / f"{name}_staged.duckdb"
        problems, problem = _stage(shop, db, name)
        if not db.is_file():
            yield Staging(None, False, problems, problem)
            return
        con.execute(f"attach {literal(str(db))} as {quoted(db.stem)} (read_only)")
        try:
            schema = f"{quoted(db.stem)}.{quoted(f'{shop.schema}_cva')}"
            yield Staging(schema, False, problems, problem)
        finally:
            con.execute(f"detach {quoted(db.stem)}")


def _last_build(con: DuckDBPyConnection, shop: ResolvedShop) -> Staging | None:
    """None where nothing was built, where it does not fit the raw tables, or with other vars."""
    schema = f"{shop.schema}_cva"
    if dict(shop.vars) != dict(shop.project.vars if shop.project else {}):
        return None
    if find_relation(con, schema, REJECTS) is None:
        return None
    found = Staging(quoted(schema), True)
    if NEEDED not in found.columns(con, "stg_cva__orders"):
        return None
    is_whole = all(found.columns(con, f"stg_cva__{table}") for table in canonical_tables())
    return found if is_whole else None


def _stage(shop: ResolvedShop, db: Path, name: str) -> tuple[dict[str, str], str | None]:
    """Lets dbt stage the raw tables into `db`; what is wrong by table, and with the whole."""
    aside = replace(
        shop.elsewhere(db),
        vars={**shop.vars, "cva_raw_database": name, "cva_questions": False},
    )
    failure = None
    try:
        with step("reading the tables as dbt would (nothing of it is kept)"):
            run_dbt(
                aside,
                "run",
                select=[f"+{REJECTS}"],
                attached={name: shop.db},
                environment=ARTEFACTS,
            )
    except CvaError as error:
        failure = str(error).split(" (dbt's log: ")[0]  # which is gone in a moment
    results = aside.target_dir() / "run_results.json"
    if not results.is_file():
        return {}, failure
    problems = {}
    for result in json.loads(results.read_text(encoding="utf-8"))["results"]:
        _, _, table = result["unique_id"].partition("model.cva.stg_cva__")
        if table and result["status"] == "error":
            problems[table] = reason_of_dbt([str(result["message"])])
    return problems, None if problems else failure
