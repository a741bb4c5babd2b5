"""A shop: a database and what belongs beside it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cva_sql.cli.shop.defaults import default_vars
from cva_sql.cli.shop.own_project import DEFAULT_SCHEMA, OwnProject
from cva_sql.udfs.places import PUBLISHED, WORK_FOLDER, models_beside

CURRENT = "current"  # in the folder of published runs: a link to the one that readers open
PUBLISHED_FILE = "cva.duckdb"


@dataclass(frozen=True)
class ResolvedShop:
    """A database and what belongs beside it. `schema` is the target schema of the marts.

    `project` is the user's dbt project to run, None for the packaged one. `vars` are those that
    were set, in the project or for this call. `published_at` and `work_at` are where readers look
    and where dbt works, None for beside the database.
    """

    db: Path
    models_dir: Path
    vars: Mapping[str, Any] = field(default_factory=dict)
    schema: str = DEFAULT_SCHEMA
    project: OwnProject | None = None
    published_at: Path | None = None
    work_at: Path | None = None

    def var(self, name: str) -> Any:
        """A dbt var: what was set, else the package's default."""
        return self.vars[name] if name in self.vars else default_vars().get(name)

    @property
    def horizon_days(self) -> int:
        """How far the forecast looks: as was set, else as far as the deployed model."""
        from cva_sql.udfs.errors import ModelError
        from cva_sql.udfs.sessions import USUAL_HORIZON_DAYS, deployed_horizon

        given = self.var("cva_horizon_days")
        if given is not None:
            return int(given)
        try:
            return deployed_horizon(self.models_dir)
        except ModelError:  # training mends it, and what scores says what is wrong
            return USUAL_HORIZON_DAYS

    @property
    def target(self) -> str:
        """What is predicted: `cva_target`; raises UsageError for what it cannot be."""
        from cva_sql.udfs.errors import UsageError
        from cva_sql.udfs.target import TARGETS

        given = self.var("cva_target")
        if given not in TARGETS:
            raise UsageError(f"cva_target is {given!r}; expected {' or '.join(TARGETS)}")
        return str(given)

    @property
    def encoder_tier(self) -> str:
        """Which packaged encoder reads: `cva_encoder_tier`; raises UsageError for another."""
        from cva_sql.udfs.encoder_tiers import TIER_VAR, check_tier

        return check_tier(self.var(TIER_VAR))

    def elsewhere(self, db: Path) -> ResolvedShop:
        """The shop on another database file, with what belongs beside it there, but its models."""
        models = self.models_dir.resolve()
        return replace(self, db=db, models_dir=models, published_at=None, work_at=None)

    def raw_table(self, table: str) -> tuple[str, str]:
        """Schema and name of the user's table behind a canonical one, as the vars name it."""
        identifier = self.vars.get(f"cva_{table}_identifier", table)
        return str(self.var("cva_raw_schema")), str(identifier)

    @property
    def work_dir(self) -> Path:
        """dbt's own files: profile, targets, logs."""
        return (self.work_at or self.db.resolve().parent / WORK_FOLDER).absolute()

    def target_dir(self, schema: str | None = None, spine: str | None = None) -> Path:
        """What dbt last parsed and built in a schema for a spine; by default what a run builds.

        dbt takes up what it parsed only with the schema and vars of then: in one folder for all,
        training would have the next run parse the project anew.
        """
        side = [schema] if schema not in (None, self.schema) else []
        return self.work_dir / "-".join(["target", *filter(None, [*side, spine])])

    @property
    def published(self) -> Path:
        """The folder that readers open."""
        return self.published_at or self.db.parent / PUBLISHED

    def command(self, text: str) -> str:
        """A command, as a shell reads it, with the options that name this shop to it."""
        name, own, usual = text.split()[0], self.project, models_beside(self.db)
        options: dict[str, Path | None] = {"--db": self.db}
        if own and name != "load":
            usual = own.models_dir
            options = {"--project": None if own.root.resolve() == Path.cwd() else own.root}
        if name != "load":
            options["--models-dir"] = None if self.models_dir == usual else self.models_dir
            options["--published"] = self.published_at if name in ("run", "doctor") else None
            options["--work-dir"] = None if name in ("report", "export-model") else self.work_at
        given = (text for option, at in options.items() if at for text in (option, str(at)))
        return f"cva {text} {shlex.join(given)}".rstrip()
