"""A shop: a database and what belongs beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cva_sql.cli.shop.own_project import OwnProject


@dataclass(frozen=True)
class Shop:
    """A database and what belongs beside it. `schema` is the target schema of the marts.

    `project` is the user's dbt project to run, None for the packaged one. `vars` are those that
    were set, in the project or for this call.
    """

    db: Path
    models_dir: Path
    vars: Mapping[str, Any] = field(default_factory=dict)
    schema: str = "main"
    project: OwnProject | None = None

    @property
    def work_dir(self) -> Path:
        """dbt's own files: profile, target, logs."""
        return self.db.resolve().parent / ".cva"

    @property
    def published(self) -> Path:
        """The folder that readers open."""
        return self.db.parent / "published"

    @property
    def naming(self) -> str:
        """The options that name it to the next command, with a space before them."""
        if self.project is None:
            return f" --db {self.db}"
        root = self.project.root
        return "" if root.resolve() == Path.cwd() else f" --project {root}"
